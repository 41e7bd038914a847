"""Exact rewritings of queries: each file is one pass, `pipeline` runs them."""

from __future__ import annotations

from qspec.passes.base import Lift, Pass, Reduced
from qspec.passes.pipeline import ALL_PASSES, DEFAULT_PASSES, PassRecord, Pipeline, Reduction, Size

__all__ = ["ALL_PASSES", "DEFAULT_PASSES", "Lift", "Pass", "PassRecord", "Pipeline", "Reduced", "Reduction", "Size"]
