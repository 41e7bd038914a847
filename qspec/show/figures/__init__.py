"""Figures in matplotlib, for papers and for reports; imported only when something is drawn."""

from __future__ import annotations
