"""qspec: say what a quantised neural network must do, and find out, with any solver, whether it does.

The public names are listed in `__init__.pyi`, one import a line, which type checkers read. Each is imported when it is first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from qspec.support.distribution import VERSION

__version__ = VERSION

with open(f"{__file__}i", encoding="utf-8") as _listed:  # noqa: PTH123 (pathlib takes longer to import than all of this)
    _IMPORTS = [_line.split() for _line in _listed if _line.startswith("from qspec")]
_PLACES = {name: (module, inner) for _, module, _, inner, _, name in _IMPORTS}
"""Where each public name is: the module, and what it is called there."""


class _Front(ModuleType):
    """A module whose names stay what they are when a package inside is imported that is called alike: `qs.verify` is the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType) and value.__name__ != ".".join(_PLACES[name])):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, ...]:
        """Be found by name where a function that uses it is sent, as plain modules are."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Front


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    if name not in _PLACES:
        raise AttributeError(f"module 'qspec' has no attribute {name!r}")
    place, inner = _PLACES[name]
    module = import_module(place)
    found: object = vars(module)[inner] if inner in vars(module) else import_module(f"{place}.{inner}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_PLACES)
