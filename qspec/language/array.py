"""What an array of numbers offers in Python beside its operators: how it is shown, its elements, reductions, and the functions of numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from qspec.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

    from qspec.language.expressions import Expression


class Array:
    """Base of expressions: everything that is said by other parts of the language."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        raise AssertionError

    def __getitem__(self, index: object) -> Expression:
        raise AssertionError

    @property
    def _expression(self) -> Expression:
        return cast("Expression", self)

    def __array_ufunc__(self, function: np.ufunc, method: str, *arguments: object, **options: object) -> Any:
        from qspec.language.numpy_functions import ufunc

        return ufunc(function, method, arguments, options)

    def __array_function__(self, called: Any, types: object, arguments: Sequence[object], options: Mapping[str, object]) -> Any:
        from qspec.language.numpy_functions import function

        return function(called, arguments, options)

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise SpecError(
            "an expression has no numbers yet", given=repr(self), expected="numbers", advice="qs.join for an array of several expressions"
        )

    def __repr__(self) -> str:
        from qspec.language.text import shown

        return shown(self._expression)

    def __bool__(self) -> NoReturn:
        raise SpecError(
            "an expression has no truth value", given=type(self).__name__, expected="a comparison", advice="compare it: expr <= 3"
        )

    def __len__(self) -> int:
        return self._axis()

    def __iter__(self) -> Iterator[Expression]:
        return iter([self[k] for k in range(self._axis())])

    def _axis(self) -> int:
        """Return the length of the first axis; raises SpecError of a single number."""
        if not self.shape:
            raise SpecError("a single number cannot be iterated", given=repr(self), expected="an array")
        return self.shape[0]

    def sum(self, axis: Literal["last", "all"] = "all") -> Expression:
        """Return the sum of all elements, or along the last axis."""
        from qspec.language.functions import total

        return total(self._expression, axis)

    def max(self, axis: Literal["last", "all"] = "all") -> Expression:
        """Return the greatest element, or those along the last axis."""
        from qspec.language.functions import maximum

        return maximum(self._expression, axis=axis)

    def min(self, axis: Literal["last", "all"] = "all") -> Expression:
        """Return the least element, or those along the last axis."""
        from qspec.language.functions import minimum

        return minimum(self._expression, axis=axis)
