"""Solver routes: one file each, found by entry point; none imports its solver, which runs in a process of its own."""

from __future__ import annotations
