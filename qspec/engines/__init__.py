"""Deciding natively, one room for each engine."""
