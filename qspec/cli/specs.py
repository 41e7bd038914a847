"""Read what a command is about: properties and networks in a Python file, and values for their parameters."""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from qspec.cli.arrays import load_npy
from qspec.errors import QspecError, SpecError
from qspec.face import Network
from qspec.files.atomic import check_plain
from qspec.language.property import Property
from qspec.support.json_text import parse


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a file defines at top level, by name, in order."""

    properties: Mapping[str, Property]
    networks: Mapping[str, Network]


def split_target(target: str) -> tuple[Path, str]:
    """Return the file and the name in `FILE.py:NAME`; the name is empty if there is none. Raises SpecError if the file is not there."""
    head, mark, name = target.partition(".py:")
    path = Path(f"{head}.py" if mark else target)
    if path.suffix != ".py":
        raise SpecError("not a specification", given=target, expected="a Python file: FILE.py or FILE.py:NAME")
    if not path.is_file():
        raise SpecError("no such file", given=str(path), expected="a Python file that defines properties")
    return path, name


def read_specs(target: str, settings: Sequence[str] = ()) -> list[Property]:
    """Return the properties of a file, or those of the name given, named as in the file, with parameters set by `NAME=VALUE`.

    Raises SpecError if there are none, if a value is for no parameter, or if the file cannot be run.
    """
    path, name = split_target(target)
    found = choose(read_file(path).properties, name, path)
    values = dict(setting(s) for s in settings)
    known = {n for p in found.values() for n in p.parameters}
    if stray := sorted(set(values) - known):
        raise SpecError("the specification has no such parameter", given=", ".join(stray), expected=_list(sorted(known)) or "no parameters")
    return [replace(p, name=label).at(**{k: v for k, v in values.items() if k in p.parameters}) for label, p in found.items()]


def choose(properties: Mapping[str, Property], name: str, path: Path) -> dict[str, Property]:
    """Return the properties of this name (all if it is empty): a variable of the file, an element `name[k]`, or a property's own name."""
    chosen = {k: p for k, p in properties.items() if not name or k == name or k.startswith(f"{name}[")}
    chosen = chosen or {k: p for k, p in properties.items() if p.name == name}
    if not chosen:
        what = f"{path.name} defines no property" + (f" {name!r}" if name else "")
        raise SpecError(what, expected=_list(properties) or "qs.forall(…) or qs.exists(…) given a name at top level")
    return chosen


def _list(names: Iterable[str], most: int = 12) -> str:
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def read_file(path: Path) -> Contents:
    """Run a Python file and return what it defines; names with a leading underscore are its own. What it prints goes to stderr."""
    values = read_values(path)
    properties: dict[str, Property] = {}
    networks: dict[str, Network] = {}
    seen: set[int] = set()
    for name, value in values.items():
        if name.startswith("_"):
            continue
        for label, p in _properties(name, value):
            if id(p) not in seen:
                seen.add(id(p))
                properties[label] = p
        if isinstance(value, Network):
            networks[name] = value
    return Contents(properties, networks)


def _properties(name: str, value: object) -> Iterator[tuple[str, Property]]:
    """Yield the properties in a value: itself, or elements of lists, tuples and dictionaries."""
    if isinstance(value, Property):
        yield name, value
    elif isinstance(value, list | tuple):
        for k, item in enumerate(cast(Sequence[object], value)):
            yield from _properties(f"{name}[{k}]", item)
    elif isinstance(value, dict):
        for key, item in cast(Mapping[object, object], value).items():
            yield from _properties(f"{name}[{key}]", item)


def read_values(path: Path) -> dict[str, object]:
    """Return the globals of a file after it ran; its folder is searched for modules after all others."""
    folder = str(path.resolve().parent)
    sys.path.append(folder)  # last, so that a file called json.py or numpy.py stands for nothing but itself
    try:
        with redirect_stdout(sys.stderr):
            return dict(runpy.run_path(str(path), run_name="qspec_specification"))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _blame(path, error) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _blame(path: Path, error: BaseException) -> SpecError:
    """Return an error that shows the line of the file at which it went wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno or 1
        message = error.msg
    else:
        own = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = own[-1] if own and own[-1] else 0
        message = str(error)
    kind = "" if isinstance(error, QspecError) else f"{type(error).__name__}: "
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    source = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    what = f"{path}:{line}: {kind}{message}" if line else f"{path}: {kind}{message}"
    return SpecError(what + (f"\n  line {line}:  {source}" if source else ""))


def setting(text: str) -> tuple[str, object]:
    """Return the name and the value of `NAME=VALUE`; numbers stay exact, `@FILE` reads JSON or a numpy array."""
    name, mark, value = text.partition("=")
    if not mark or not name.isidentifier():
        raise SpecError("not a parameter setting", given=text, expected="NAME=VALUE")
    return name, _array(Path(value[1:])) if value.startswith("@") else _json(value, name)


def reader_options(texts: Sequence[str], semantics: str | None) -> dict[str, Any]:
    """Return the options of a reader by name; raises SpecError if the semantics are named twice."""
    options = dict(map(reader_option, texts))
    if semantics is not None and "semantics" in options:
        raise SpecError("the semantics are named twice", given=f"{semantics} and {options['semantics']}", expected="--semantics alone")
    return options if semantics is None else options | {"semantics": semantics}


def reader_option(text: str) -> tuple[str, Any]:
    """Return the name and the value of an option of a reader, `NAME=VALUE`: true, false, a number as JSON has it, or else a text."""
    name, mark, value = text.partition("=")
    if not mark or not name.isidentifier():
        raise SpecError("not an option of a reader", given=text, expected="NAME=VALUE")
    try:
        return name, parse(value)
    except ValueError:
        return name, value


def _array(path: Path) -> object:
    check_plain(path, "a parameter's value")
    try:
        if path.suffix == ".npy":
            return load_npy(path)
        return _json(path.read_text(encoding="utf-8-sig"), path.name)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError("cannot read a parameter's value", given=str(path), expected=f"JSON numbers, or a .npy array ({error})") from None


def _json(text: str, name: str) -> object:
    """Return numbers, or nested lists of them, as JSON has them; decimals and ratios stay text, which is exact."""
    try:
        value = parse(text, floats=str, words=_refuse)
    except json.JSONDecodeError:
        value = text.removeprefix("\ufeff")
    except SpecError:
        raise
    except ValueError as error:  # deeper, or with more digits, than Python reads
        raise SpecError(f"no value for parameter {name!r}", given=text, expected=f"a number, or a list of them ({error})") from None
    if isinstance(value, dict) or value is None or isinstance(value, bool):
        raise SpecError(f"no value for parameter {name!r}", given=text, expected="a number such as 3, 0.05 or 1/3, or a list [1, 2, 3]")
    return value


def _refuse(word: str) -> object:
    raise SpecError("not an exact number", given=word, expected="a finite number")
