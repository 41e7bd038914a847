"""What every part may use: checks of arguments, optional packages, names of options, threads."""
