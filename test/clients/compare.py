#!/usr/bin/env python3
"""Whether an API has all that the contract says of its operation.

Arguments: the contract, the API.  What the API adds (answers, headers, a
parameter, a type, its own security) is fine.  Prints each difference, a line each.
"""
import sys

import yaml

contract, api = (yaml.safe_load(open(name)) for name in sys.argv[1:])


def missing(expected, found, path):
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                yield f"{path}.{key} is missing"
            else:
                yield from missing(value, found[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        for item in expected:
            if item not in found:
                yield f"{path} lacks {item}"
    elif expected != found:
        yield f"{path} is {found!r} instead of {expected!r}"


differences = []
for path, item in contract["paths"].items():
    for method, operation in item.items():
        operation.pop("security")
        differences += missing(operation, api["paths"].get(path, {}).get(method), f"{method} {path}")
for name, schema in contract["components"]["schemas"].items():
    differences += missing(schema, api["components"]["schemas"].get(name), f"schema {name}")
print("\n".join(differences or ["the same"]))
