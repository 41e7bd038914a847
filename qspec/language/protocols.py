"""What expressions and formulas offer Python and numpy beside their operators.

How they are shown, and what functions of numpy mean of them, is for modules to say that know all of them. `text.py` and
`numpy_functions.py` attach it when the package is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any, ClassVar, NoReturn

from qspec.errors import SpecError


@singledispatch
def shown(part: object) -> str:
    """Return a part of a property as text, as Python shows it."""
    raise AssertionError(type(part))


class Syntax:
    """Base of expressions and formulas."""

    __slots__ = ()
    __array_function__: ClassVar[Callable[..., Any]]

    def __repr__(self) -> str:
        return shown(self)


class Array(Syntax):
    """Base of expressions: an array of numbers without the numbers."""

    __slots__ = ()
    __array_ufunc__: ClassVar[Callable[..., Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        raise AssertionError

    def __getitem__(self, index: object) -> Any:
        raise AssertionError

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise SpecError(
            "an expression has no numbers yet", given=repr(self), expected="numbers", advice="qs.join for an array of several expressions"
        )

    def __bool__(self) -> NoReturn:
        raise SpecError(
            "an expression has no truth value", given=type(self).__name__, expected="a comparison", advice="compare it: expr <= 3"
        )

    def __len__(self) -> int:
        return self._axis()

    def __iter__(self) -> Iterator[Any]:
        return iter([self[k] for k in range(self._axis())])

    def _axis(self) -> int:
        """Return the length of the first axis; raises SpecError of a single number."""
        if not self.shape:
            raise SpecError("a single number cannot be iterated", given=repr(self), expected="an array")
        return self.shape[0]
