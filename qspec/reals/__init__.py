"""Queries over the reals: their operations, their exact meaning, and how they are written for solvers."""
