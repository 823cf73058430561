"""The HTTP API, as http_request() answers it.

Written from docs/http.md, not from src/.
"""
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import rules
from database import NULL, Failure
from rules import Decimal

UUID_V4 = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}")
ROOT = ("api", "v1", "projects")
METHODS = {False: ("HEAD", "GET", "POST"), True: ("HEAD", "GET", "PATCH", "DELETE")}

# SQLSTATE: status and name of the error
ERRORS = {
    "22023": (400, "ParameterError"),
    "42501": (403, "ForbiddenError"),
    "P0002": (404, "NotFoundError"),
    "23505": (409, "AlreadyExistsError"),
    "412": (412, "PreconditionFailedError"),
    "55000": (500, "UnexpectedServerError"),
    "XX001": (500, "UnexpectedServerError"),
}


class NotJson:
    """What was sent isn't JSON."""


NOT_JSON = NotJson()


@dataclass
class Response:
    status: int
    results: object = None
    error: str = None
    paths: list = None              # of the problems
    headers: dict = field(default_factory=dict)


class Refused(Exception):
    def __init__(self, status, error, paths=None, **headers):
        self.response = Response(status, error=error, paths=paths, headers=headers)


def bad(*paths):
    return Refused(400, "ParameterError", list(paths))


class Api:
    def __init__(self, database):
        self.database = database

    def http_request(self, method, path, text, headers, body):
        """text is what is sent, body what JSON has in it."""
        database = self.database
        database.given(method=method, path=path)
        before = dict(database.rows), dict(database.written)
        try:
            response = self.answer(method, path, text, {name.lower(): value for name, value in ({} if headers is NULL else headers).items()}, body)
        except Refused as refused:
            response = refused.response
        except Failure as failure:
            if failure.sqlstate not in ERRORS:
                raise
            database.rows, database.written = before
            database.bindings = []
            status, error = ERRORS[failure.sqlstate]
            response = Response(status, error=error, paths=failure.paths)
        response.headers["Cache-Control"] = "no-store"
        return response

    def answer(self, method, path, text, headers, body):
        project, source = self.route(path)
        if method not in METHODS[source is not None]:
            raise Refused(405, "MethodNotAllowedError", Allow=", ".join(METHODS[source is not None]))
        uuids = ("projectUuid", project), ("projectDbtSourceUuid", source)
        wrong = [(name,) for name, uuid in uuids if uuid is not None and not UUID_V4.fullmatch(uuid)]
        if wrong:
            raise bad(*wrong)
        project, source = project.lower(), source and source.lower()
        version = if_match(headers) if method in ("PATCH", "DELETE") else None
        if method in ("POST", "PATCH"):
            self.check_body(text, headers, body)
        return getattr(self, method.lower())(project, source, body, version)

    def route(self, path):
        path = path.split("?", 1)[0]
        if not path.startswith("/"):
            raise Refused(404, "NotFoundError")
        segments = [unquote_to_bytes(segment).decode(errors="replace") for segment in path[1:].split("/")]
        if len(segments) in (6, 7) and segments[-1] == "":
            segments.pop()          # a slash at the end
        if tuple(segments[:3]) != ROOT or len(segments) not in (5, 6) or segments[4] != "dbt-sources":
            raise Refused(404, "NotFoundError")
        return segments[3], segments[5] if len(segments) == 6 else None

    def check_body(self, text, headers, body):
        self.check_type(headers)
        text = "" if text is NULL else text
        if len(text.encode(errors="surrogatepass")) > self.database.http_body_limit:
            raise Refused(413, "PayloadTooLargeError")
        if not text or body is NOT_JSON:
            raise bad(("body",))
        if any(cannot_be_stored(leaf) for leaf, _ in rules.leaves(body, ())):
            max_levels = rules.MAX_LEVELS + 1       # one more than the connection in it
            problems = [at or ("body",) for leaf, at in rules.leaves(body, (), max_levels)
                        if cannot_be_stored(leaf) or isinstance(leaf, Decimal) and not rules.is_number_in_range(leaf)]
            if rules.levels(body) > max_levels:
                problems.append(("body",))
            raise bad(*problems)

    def check_type(self, headers):
        type = headers.get("content-type", "").split(";")[0].strip().lower()
        if type not in ("", "application/json") and not re.fullmatch(r"[\w.-]+/[\w.-]+\+json", type):
            raise Refused(415, "UnsupportedMediaTypeError")
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Refused(415, "UnsupportedMediaTypeError")

    def one(self, status, summary):
        """A response with a source and its version."""
        row = self.database.find(self.project, summary["projectDbtSourceUuid"])
        return Response(status, summary, headers={"ETag": '"%d"' % row.version})

    def get(self, project, source, body, version):
        self.project = project
        if source is None:
            return Response(200, self.database.list_project_dbt_sources(project))
        return self.one(200, self.database.get_project_dbt_source(project, source))

    head = get

    def post(self, project, source, body, version):
        self.project = project
        return self.one(201, self.database.create_project_dbt_source(project, body))

    def patch(self, project, source, body, version):
        self.project = project
        return self.one(200, self.database.update_project_dbt_source(project, source, body, version))

    def delete(self, project, source, body, version):
        self.database.delete_project_dbt_source(project, source, version)
        return Response(200)


def cannot_be_stored(leaf):
    """What jsonb can't hold."""
    if isinstance(leaf, str):
        return re.search("[\0\ud800-\udfff]", leaf) is not None
    return isinstance(leaf, Decimal) and (leaf.adjusted() > 131071 or -leaf.as_tuple().exponent > 16383)


def if_match(headers):
    """What tells whether a version is one of those that were asked for; None if any is."""
    sent = headers.get("if-match")
    if sent is None or sent.strip() == "*":
        return None
    tag = r'(?:W/)?"[^\s"\x00-\x1f\x7f]*"'
    if not re.fullmatch(rf"[\s,]*{tag}(?:\s*,[\s,]*{tag})*[\s,]*", sent):
        raise bad(("If-Match",))
    return lambda version: any(tag == '"%d"' % version for tag in re.findall(tag, sent))
