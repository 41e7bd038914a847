"""Piecewise-linear real queries: dual bounds with optimised slopes, branch and bound on ReLUs and inputs, outward rounding."""
