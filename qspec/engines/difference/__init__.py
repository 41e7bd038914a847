"""Bounds of the difference of two networks that read one input: a quantised network and the real one that it stands for."""
