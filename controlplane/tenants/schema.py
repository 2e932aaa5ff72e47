"""The JSON Schema (2020-12) of a tenant spec, made from the models, so that editors help while people write.

    python -m controlplane.tenants.schema            write tenant.schema.json beside this module
    python -m controlplane.tenants.schema --check    exit 1 when the file is not current

The schema is weaker than `reading` and `checks`: what it refuses is wrong, what it accepts may still be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from controlplane.tenants.refusals import EXAMPLES
from controlplane.tenants.spec import Tenant

FILE = Path(__file__).with_name("tenant.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = "urn:sovereign-controlplane:tenant"

_EITHER_OR = {"Subnet": ("cidr", "pool")}
_ONE_EACH = {"Assignment": (("user", "group"), ("project", "domain"))}


def schema() -> dict[str, Any]:
    """The schema of a tenant spec."""
    made = Tenant.model_json_schema(by_alias=True)
    for name, part in {"Tenant": made, **made["$defs"]}.items():
        _tidy(part)
        pairs = _ONE_EACH.get(name, (_EITHER_OR[name],) if name in _EITHER_OR else ())
        if pairs:
            part["allOf"] = [{"oneOf": [{"required": [key]} for key in pair]} for pair in pairs]
    return {"$schema": DIALECT, "$id": IDENTIFIER, **made}


def _tidy(part: dict[str, Any]) -> None:
    """Keys without invented titles, one line of help each, an example where one is known."""
    if "description" in part:
        part["description"] = " ".join(part["description"].split())
    for key, field in part.get("properties", {}).items():
        field.pop("title", None)
        if "description" in field:
            field["description"] = " ".join(field["description"].split())
        if EXAMPLES.get(key, "").replace(" ", "").isalnum() and field.get("type") == "string":
            field["examples"] = [EXAMPLES[key]]


def render() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or compare it with `--check`."""
    if arguments == ["--check"]:
        current = FILE.is_file() and FILE.read_text(encoding="utf-8") == render()
        if not current:
            sys.stderr.write(f"{FILE.name} is not current; run: python -m controlplane.tenants.schema\n")
        return 0 if current else 1
    if arguments:
        sys.stderr.write("usage: python -m controlplane.tenants.schema [--check]\n")
        return 2
    FILE.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
