"""Validates TOML files against a JSON Schema, as editors do.

Prints `valid NAME` or `invalid NAME: why` for each, or fails where the schema is none.
"""

import json
import sys
import tomllib

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)


def judge_values(node, place):
    """Defaults and examples are values that the key takes."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            judge_values(item, f"{place}/{index}")
        return
    if not isinstance(node, dict):
        return
    values = node.get("examples", []) if isinstance(node.get("examples"), list) else []
    if "type" in node or "anyOf" in node:
        if "default" in node:
            values = [*values, node["default"]]
        for value in values:
            Draft202012Validator(node).validate(value)
    for name, inner in node.items():
        if name not in ("examples", "default", "enum"):
            judge_values(inner, f"{place}/{name}")


judge_values(schema, "")
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        document = tomllib.load(file)
    errors = sorted(validator.iter_errors(document), key=lambda error: error.json_path)
    if errors:
        print(f"invalid {name}: {errors[0].json_path}: {errors[0].message}")
    else:
        print(f"valid {name}")
