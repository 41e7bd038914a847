"""Proofs that a query has no solution: their files, and a checker that shares no bounding code with the engines that write them."""
