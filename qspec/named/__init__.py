"""Properties that have names: robustness, fairness, monotonicity; tables of people."""
