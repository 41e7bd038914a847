"""What users write. Importing the package attaches how parts are shown, and what numpy's functions mean of them."""

from __future__ import annotations

from qspec.language import numpy_functions, text

__all__ = ["numpy_functions", "text"]
