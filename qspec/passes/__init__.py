"""Exact rewritings of queries: each file is one pass, `pipeline` runs them."""

from __future__ import annotations

from qspec.passes.base import Lift, Pass, Reduced
from qspec.passes.pipeline import ALL_PASSES, DEFAULT_PASSES, Pipeline, Record, Reduction, Size

__all__ = ["ALL_PASSES", "DEFAULT_PASSES", "Lift", "Pass", "Pipeline", "Record", "Reduced", "Reduction", "Size"]
