"""Formats of others: networks and properties that were written for other tools."""
