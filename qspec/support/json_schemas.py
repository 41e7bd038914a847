"""JSON Schemas of the documents that qspec writes, in the file `schemas.json` beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qspec.support import checks


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document that says `"schema": name`, such as `qspec.result/2`.

    Raises SpecError on a name that no document has.
    """
    every = json.loads((Path(__file__).parent / "schemas.json").read_text(encoding="utf-8"))
    checks.choice(name, "schema", every["$defs"])
    return {**every, "$id": name, "$ref": f"#/$defs/{name.replace('/', '~1')}"}
