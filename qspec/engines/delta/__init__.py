"""A δ-complete branch-and-prune solver for real queries: enclosures that are rounded outward, and exact arithmetic for solutions."""
