"""Show specifications, counterexamples and images to people, as plain text or as files."""

from __future__ import annotations
