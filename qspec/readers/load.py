"""The door for files of networks and properties: who reads them is found by their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from qspec.errors import ModelFileError
from qspec.face import Network, RealNetwork
from qspec.language.property import Property
from qspec.support import checks

ENTRY_POINTS = "qspec.models"
Kind = TypeVar("Kind", Network, RealNetwork)


@overload
def load(name: str | Path, *, kind: type[Kind], format: str | None = None, **options: Any) -> Kind: ...
@overload
def load(name: str | Path, *, format: str | None = None, **options: Any) -> Any: ...
def load(name: str | Path, *, kind: type[Network] | type[RealNetwork] | None = None, format: str | None = None, **options: Any) -> Any:
    """Return the network in a file, or the model of this name among the entry points `qspec.models`.

    The format is recognised by content, by suffix where that does not decide, or named by `format`; `docs/readers.md` lists formats and
    their options, such as `semantics` (the runtime whose kernels a quantised file is read for) and `normalized` (NNet). The result is a
    Network or a RealNetwork, as the file has it; `kind` asks for one of them. Raises ModelFileError if there is no such file or model, if
    it is damaged, or of another kind; UnsupportedError on what no reader knows; SpecError on options that the format does not have.
    """
    checks.path(name, "a network")
    found = _model(name) if _is_model(name, format) else _read(name, format, options)
    if kind is not None and not isinstance(found, kind):
        raise ModelFileError("this is another kind of network", given=f"{name}, a {type(found).__name__}", expected=kind.__name__)
    return found


def read_property(path: str | Path, network: object, *, format: str | None = None, **options: object) -> Property:
    """Return the property in a file about a network, which is a RealNetwork or the path of its file; of several, a mapping by name.

    Formats are registered as entry points `qspec.property_readers`; qspec reads VNN-LIB 1.0 and 2. Raises as `load`, and SpecError if the
    property does not fit the network.
    """
    from qspec.readers.registry import PROPERTIES, reader_of

    place = Path(checks.path(path, "the file of a property"))
    about = _all_loaded(network)
    found = reader_of(place, PROPERTIES, format)(place, about, options=options)
    if not isinstance(found, Property):
        raise ModelFileError("the reader made no property", given=repr(found), expected="a Property")
    return found


def _all_loaded(network: object) -> object:
    """Return a network, or a mapping to networks, in which paths are loaded."""
    if isinstance(network, Mapping):
        return {name: _all_loaded(one) for name, one in cast("Mapping[object, object]", network).items()}
    return load(network) if isinstance(network, str | Path) else network


def _read(name: str | Path, format: str | None, options: dict[str, object]) -> object:
    from qspec.readers.registry import NETWORKS, reader_of  # here, because `import qspec` is to be quick

    place = Path(name)
    return reader_of(place, NETWORKS, format)(place, options=options)


def _is_model(name: str | Path, format: str | None) -> bool:
    from qspec.readers.registry import NETWORKS, has_suffix  # here, because `import qspec` is to be quick

    return isinstance(name, str) and format is None and not Path(name).exists() and not has_suffix(Path(name), NETWORKS)


def _model(name: str | Path) -> object:
    from importlib.metadata import entry_points  # here, because `import qspec` is to be quick

    points = {p.name: p for p in entry_points(group=ENTRY_POINTS)}
    if str(name) not in points:
        expected = f"a file of a network, or one of {', '.join(sorted(points)) or 'no installed models'}"
        raise ModelFileError("no such model", given=str(name), expected=expected)
    made = points[str(name)].load()()
    if not isinstance(made, Network | RealNetwork):
        raise ModelFileError(f"{points[str(name)].value} is not a network", given=made, expected="a function that returns a network")
    return made
