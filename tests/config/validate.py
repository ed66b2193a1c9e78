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
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        document = tomllib.load(file)
    errors = sorted(validator.iter_errors(document), key=lambda error: error.json_path)
    if errors:
        print(f"invalid {name}: {errors[0].json_path}: {errors[0].message}")
    else:
        print(f"valid {name}")
