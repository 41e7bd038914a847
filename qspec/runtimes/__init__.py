"""Runtime semantics as values: what the kernels of a runtime do with the integers of one file."""
