"""Exact numbers: integers, formats, rounding, correctly rounded functions; no layer, no program."""
