"""qspec beside the real runtime: the same file, the same inputs, every tensor compared."""
