"""One number from a series of verdicts: largest radius, least value, fewest bits."""
