"""Queries: programs over integers and over reals, with their meaning."""
