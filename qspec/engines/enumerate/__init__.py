"""Every assignment, in blocks."""
