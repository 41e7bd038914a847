"""Robustness of a classifier on a whole test set: batched exact bounds, batched attacks, then a complete procedure for the rest."""
