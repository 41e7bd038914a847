"""The one list of examples: every layer, activation, format, construct of the language and named property."""

from __future__ import annotations

from qspec.testing.examples.activations import ACTIVATIONS
from qspec.testing.examples.formats import FORMATS
from qspec.testing.examples.language import LANGUAGE
from qspec.testing.examples.layers import LAYERS
from qspec.testing.examples.named import NAMED

EXAMPLES = (*LAYERS, *ACTIVATIONS, *FORMATS, *LANGUAGE, *NAMED)
