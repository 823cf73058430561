"""Whether an answer of the server is the one of the model, and both in words."""
import json
import re

import psycopg2

from api import Response
from database import Between, Failure, New
from server import FUNCTIONS, TEXTS
from values import from_json


def agree(function, expected, answer):
    if isinstance(answer, psycopg2.Error):
        return (isinstance(expected, Failure) and answer.pgcode == expected.sqlstate
                and (expected.paths is None or same_paths(expected.paths, problems_in(answer.diag.message_detail or ""))))
    if isinstance(expected, Failure):
        return False
    if function not in FUNCTIONS or expected is None and answer is None:
        return True
    if function in TEXTS:
        return same(expected, answer)
    answer = from_json(answer) if answer is not None else None
    if function == "validate_dbt_connection":
        return same_paths(expected, [(row["path"], row["message"]) for row in answer])
    if function == "http_request":
        return same_response(expected, *answer)
    return same(expected, answer)


def same_response(expected, status, body, headers):
    if status != expected.status or not same(expected.headers, headers):
        return False
    if expected.error is None:
        return same({"status": "ok", **({} if expected.results is None else {"results": expected.results})}, body)
    error = body["error"]
    data = error.get("data")
    return (body.keys() == {"status", "error"} and body["status"] == "error" and error["name"] == expected.error
            and error["statusCode"] == status and isinstance(error["message"], str)
            and same_paths(expected.paths, data and [(row["path"], row["message"]) for row in data]))


def same(expected, got):
    """As jsonb: 1 and 1.0 are the same number, 1 and true aren't the same."""
    if isinstance(expected, New):
        return expected.is_answered_by(got)
    if isinstance(expected, Between):
        return expected.least <= got <= expected.most
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(same(expected[name], got[name]) for name in expected)
    if isinstance(expected, (list, tuple)):
        return isinstance(got, list) and len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    return expected == got


# Paths

STEP = re.compile(r'\.?(?:("(?:[^"\\]|\\.)*")|([A-Za-z0-9_-]+)|\[(\d+)\])')
PROBLEM = re.compile(r'((?:[^":]|"(?:[^"\\]|\\.)*")*): (.*)')      # the path ends at the first ": " outside quotes


def parse_path(text):
    steps, at = [], 0
    while at < len(text):
        match = STEP.match(text, at)
        if match is None:
            return (text,)
        quoted, plain, index = match.groups()
        steps.append(json.loads(quoted) if quoted else plain if plain else int(index))
        at = match.end()
    return tuple(steps)


def problems_in(detail):
    matches = [PROBLEM.fullmatch(line) for line in detail.split("\n")]
    return [match.groups() if match else ("", match) for match in matches]


def same_paths(expected, got):
    """The first hundred are told, and how many more there are."""
    if expected is None or got is None:
        return expected is got
    told = {parse_path(path) for path, _ in got[:100]}
    if len(expected) <= 100:
        return len(got) <= 100 and told == set(expected)
    return told <= set(expected) and [tuple(row) for row in got[100:]] == [("...", f"{len(expected) - 100} more")]


# In words

def shown(value):
    if isinstance(value, Failure):
        return value.sqlstate if value.paths is None else f"{value.sqlstate} at {shown_paths(value.paths)}"
    if isinstance(value, psycopg2.Error):
        return f"{value.pgcode} {value}".strip().replace("\n", " / ")
    if isinstance(value, Response):
        end = f"{value.error} at {shown_paths(value.paths)}" if value.error else shown(value.results)
        return f"{value.status} {value.headers} {end}"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def shown_paths(paths):
    return "no path" if paths is None else ", ".join(".".join(map(str, path)) for path in paths)
