"""JSON Schemas of the documents that qspec writes, in the file `schemas.json` beside this one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from qspec.errors import SpecError


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document that says `"schema": name`, such as `qspec.result/1`.

    Raises SpecError on a name that no document has.
    """
    every = _every()
    if name not in every["$defs"]:
        raise SpecError("no such schema", given=name, expected=", ".join(every["$defs"]))
    return {**every, "$id": name, "$ref": f"#/$defs/{name.replace('/', '~1')}"}


@cache
def _every() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "schemas.json").read_text(encoding="utf-8"))
