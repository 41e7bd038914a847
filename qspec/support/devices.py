"""What can be said of JAX's devices without loading JAX, which takes longer than most questions."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec

SEVERAL = "device_count"
"""Part of the flags of XLA that ask for several devices of one CPU."""


def one_cpu() -> bool:
    """Return whether JAX can show nothing but one CPU: it is not loaded, no other platform is installed, and none is asked for.

    False where that is not certain. Plugins are found as JAX finds them: packages below `jax_plugins`, entry points of that name, and
    `libtpu`.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "cpu")
    asked = platforms != "cpu" or SEVERAL in os.environ.get("XLA_FLAGS", "") or os.environ.get("JAX_NUM_CPU_DEVICES", "1") != "1"
    return not asked and "jax" not in sys.modules and not _plugins()


@cache
def _plugins() -> bool:
    """Return whether a package is installed that gives JAX another platform."""
    return any(find_spec(name) is not None for name in ("jax_plugins", "libtpu")) or bool(entry_points(group="jax_plugins"))
