"""Reports: one HTML page about a file of results, with every number traceable to a row."""

from __future__ import annotations
