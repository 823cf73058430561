#!/usr/bin/env python3
"""Checks responses against the contract with a JSON Schema library.

Reads a line of JSON for each response: {"name", "method", "path", "status",
"type", "body"}; prints what doesn't match, a line each, and how many were
checked.
"""
import json
import re
import sys

import jsonschema
import yaml

contract = yaml.safe_load(open(sys.argv[1]))


def json_schema(node):
    """OpenAPI 3.0 as JSON Schema: what is nullable may also be null."""
    if isinstance(node, list):
        return [json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


schemas = json_schema(contract["components"]["schemas"])
# what the contract leaves open, its siblings close
schemas["Sources"] = {
    "type": "object", "required": ["results", "status"],
    "properties": {"status": {"enum": ["ok"]}, "results": {
        "type": "array", "items": {"$ref": "#/components/schemas/ProjectDbtSourceSummary"}}}}
schemas["SourceAndConnection"] = {
    "allOf": [{"$ref": "#/components/schemas/ApiProjectDbtSourceResponse"}, {
        "properties": {"results": {"required": ["dbtConnection"]}}}]}
schemas["Deleted"] = {"const": {"status": "ok"}}

success = {
    ("GET", False): (200, "Sources"),
    ("POST", False): (201, "ApiProjectDbtSourceResponse"),
    ("GET", True): (200, "SourceAndConnection"),
    ("PATCH", True): (200, "ApiProjectDbtSourceResponse"),
    ("DELETE", True): (200, "Deleted"),
}
summary = set(schemas["ProjectDbtSourceSummary"]["required"])


def problems(response):
    status = response["status"]
    try:
        body = json.loads(response["body"])
    except ValueError:
        yield "not JSON: " + response["body"][:80]
        return
    if not re.fullmatch(r"application/json(; ?charset=utf-8)?", response["type"], re.I):
        yield "content type " + response["type"]
    if status < 400:
        of_source = response["path"].split("?")[0].count("/") == 6
        expected, schema = success[response["method"], of_source]
        if status != expected:
            yield f"status {status} instead of {expected}"
    else:
        schema = "ApiErrorPayload"
        if body.get("error", {}).get("statusCode") != status:
            yield f"statusCode is not the status {status}"
    validator = jsonschema.Draft7Validator(
        {"$ref": "#/components/schemas/" + schema, "components": {"schemas": schemas}})
    for error in validator.iter_errors(body):
        yield f"{schema}: {error.message}"
    results = body.get("results", [])
    for source in results if isinstance(results, list) else [results]:
        if set(source) - {"dbtConnection"} != summary:
            yield "members of a summary: " + ", ".join(sorted(source))


count = 0
for line in sys.stdin:
    response = json.loads(line)
    count += 1
    for problem in problems(response):
        print(f'{response["name"]}: {problem}')
print(count, "checked")
