"""Boxes of inputs, many at once: interval and dual bounds, and cutting."""
