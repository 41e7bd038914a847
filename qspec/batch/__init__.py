"""Many queries: worker processes, stores, comparisons, sweeps, certified accuracy."""
