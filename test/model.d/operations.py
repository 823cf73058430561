"""Random operations: what is called, by whom, in which transaction.

The choices depend on the model and on the seed, on nothing that the server makes up; so a seed is a run.
"""
from dataclasses import dataclass

import api
import rules
import values
from database import NULL, Project
from values import Values, chance, to_json

# project: to whom a policy shows it, and whom one lets change it
PROJECTS = [
    Project("11111111-1111-4111-8111-111111111111", ("viewer", "manager", "worker"), ("manager",)),
    Project("22222222-2222-4222-9222-222222222222", ("viewer", "manager", "worker"), ("manager",)),
    Project("33333333-3333-4333-a333-333333333333", ("viewer", "manager"), ()),
    Project("44444444-4444-4444-b444-444444444444", ("worker",), ("manager",)),
    Project("abcdefab-cdef-4bcd-8fab-cdefabcdefab", ("manager", "worker"), ("manager", "viewer")),
    # no UUIDv4: SQL takes it, HTTP doesn't
    Project("55555555-5555-1555-8555-555555555555", ("viewer", "manager", "worker"), ("manager",)),
]
COMES_AND_GOES = "66666666-6666-4666-8666-666666666666"
NOWHERE = "99999999-9999-4999-8999-999999999999"

THEIRS = ("add_project", "drop_project", "share_project", "spoil")     # what applications and their owners do themselves
READS = ("list_project_dbt_sources", "project_dbt_connection", "validate_dbt_connection")
CALLERS = {"manager": 72, "owner": 12, "postgres": 6, "viewer": 3, "worker": 3, "nobody": 1, "blind": 1, "keeper": 1}      # of a hundred
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@dataclass
class Operation:
    session: int
    function: str
    arguments: tuple = ()
    role: str = None
    keyring: bool = True
    projects: tuple = ()            # that it's about, for who reads what led to a disagreement

    def __str__(self):
        call = ", ".join(a if isinstance(a, str) else to_json(a) if a is None or isinstance(a, (dict, list)) else str(a)
                         for a in self.arguments if a is not api.NOT_JSON)
        caller = f" by {self.role}" if self.role else ""
        return ("second session: " if self.session else "") + f"{self.function}({call}){caller}" + ("" if self.keyring else ", without keyring")


class Operations:
    def __init__(self, random, database):
        self.random, self.database, self.values = random, database, Values(random)

    def next(self):
        first = self.database.sessions[0]
        if not first.is_open:
            if chance(self.random, 0.1):
                return Operation(0, "begin", (self.random.choice(LEVELS), self.random.choices(["READ WRITE", "READ ONLY"], [5, 1])[0]))
            return self.call(0)
        if chance(self.random, 0.25):
            return self.beside()
        if first.failed:
            if first.savepoints and chance(self.random, 0.7):
                return self.to_savepoint("rollback_to", first)
            return Operation(0, self.random.choice(["rollback", "rollback", "commit"])) if chance(self.random, 0.7) else self.call(0)
        choice = self.random.random()
        if choice < 0.2:
            return Operation(0, "savepoint", (self.random.choice("abc"),))
        if choice < 0.24 and first.savepoints:
            return self.to_savepoint("rollback_to", first)
        if choice < 0.26 and first.savepoints:
            return self.to_savepoint("release", first)
        if choice < 0.33:
            return Operation(0, self.random.choice(["commit", "commit", "rollback"]))
        return self.call(0)

    def to_savepoint(self, what, session):
        return Operation(0, what, (session.savepoints[-1 if chance(self.random, 0.7) else self.random.randrange(len(session.savepoints))][0],))

    def beside(self):
        """What another session does meanwhile: nothing that would wait for the first one."""
        first = self.database.sessions[0]
        while True:
            operation = self.call(1)
            if operation.function in READS or operation.projects and operation.function not in THEIRS and not (
                    first.locked.intersection(operation.projects)):
                return operation

    # One call

    def call(self, session):
        self.session = self.database.sessions[session]
        self.rows = self.session.rows if self.session.is_open else self.database.committed
        make, role = self.random.choices(*(self.READING if self.session.read_only and chance(self.random, 0.6) else self.MIX))[0]
        role = role or self.random.choices(list(CALLERS), CALLERS.values())[0]
        operation = make(self)
        while operation is None:
            operation = self.update()
        operation.session = session
        operation.role = "postgres"
        if operation.function not in THEIRS:
            operation.role = self.random.choice(list(CALLERS)) if chance(self.random, 0.05) else role
            operation.keyring = not chance(self.random, 0.012) or not operation.projects
            if operation.arguments and chance(self.random, 0.004) and operation.function != "http_request":
                at = self.random.randrange(len(operation.arguments))
                operation.arguments = operation.arguments[:at] + (NULL,) + operation.arguments[at + 1:]
        return operation

    def project(self):
        if chance(self.random, 0.02):
            return NOWHERE
        if chance(self.random, 0.1 if ("project", COMES_AND_GOES) in self.rows else 0.01):
            return COMES_AND_GOES
        return self.random.choices(PROJECTS, [7, 4, 1, 1, 4, 3])[0].uuid

    def sources(self, project):
        return [row for key, row in self.rows.items() if key[:2] == ("source", project) and row.uuid != project]

    def source(self, project, primary=0.15):
        if chance(self.random, primary):
            return project
        if chance(self.random, 0.02):
            project = self.project()
        there = self.sources(project)
        return self.random.choice(there).uuid if there else project

    def row(self, project, source):
        return next((row for key, row in self.rows.items() if key[:2] == ("source", project) and row.uuid is source), None)

    def is_full(self, project):
        return len(self.sources(project)) >= 6

    def replacement(self, row):
        """A connection for the source: as the edit form sends it back, or another."""
        if row is None or row.connection is None or chance(self.random, 0.15):
            connection = self.values.connection()
        elif chance(self.random, 0.15):
            connection = self.values.connection(row.type)
        elif chance(self.random, 0.25):
            connection = row.connection
        else:
            connection = rules.view(row.connection, chance(self.random, 0.7))
        return self.unusual(self.values.changed(connection))

    def unusual(self, connection):
        choice = self.random.random()
        if choice < 0.015:
            return self.values.junk()
        if choice < 0.035:
            return self.values.deep()
        if choice < 0.04:
            return self.values.many_problems()
        return connection

    def body(self, row):
        body = {}
        if chance(self.random, 0.02):
            return self.values.junk()
        if chance(self.random, 0.35):
            body["name"] = row.name if row is not None and chance(self.random, 0.1) else self.values.project_name()
        if chance(self.random, 0.75):
            body["dbtConnection"] = self.replacement(row)
        if chance(self.random, 0.04):
            body[self.values.pick("dbt_connection", "Name", "precedence", "")] = self.values.anything()
        return body

    def create(self):
        project = self.project()
        if self.is_full(project):
            return Operation(0, "delete_project_dbt_source", (project, self.source(project, 0)), projects=(project,))
        return Operation(0, "create_project_dbt_source", (project, self.body_of_new()), projects=(project,))

    def body_of_new(self):
        connection = self.values.connection()
        if chance(self.random, 0.3):
            connection = self.unusual(self.values.changed(connection))
        body = {"name": self.values.project_name(), "dbtConnection": connection}
        if chance(self.random, 0.04):
            body.pop(self.random.choice(list(body)))
        return body

    def update(self):
        project = self.project()
        source = self.source(project)
        return Operation(0, "update_project_dbt_source", (project, source, self.body(self.row(project, source))), projects=(project,))

    def set(self):
        project = self.project()
        return Operation(0, "set_project_dbt_connection", (project, self.replacement(self.row(project, project))), projects=(project,))

    def get(self):
        project = self.project()
        return Operation(0, "get_project_dbt_source", (project, self.source(project)), projects=(project,))

    def whole(self):
        project = self.project()
        return Operation(0, "project_dbt_connection", (project, self.source(project)), projects=(project,))

    def list(self):
        project = self.project()
        return Operation(0, "list_project_dbt_sources", (project,), projects=(project,))

    def delete(self):
        project = self.project()
        return Operation(0, "delete_project_dbt_source", (project, self.source(project, 0.2)), projects=(project,))

    def validate(self):
        return Operation(0, "validate_dbt_connection", (self.unusual(self.values.changed(self.values.connection())),))

    def copy(self):
        project, target = self.project(), self.project()
        if project == target and chance(self.random, 0.8) or len(self.sources(project)) + len(self.sources(target)) > 9:
            return None
        names = {row.name for row in self.sources(target)}
        if any(row.name in names for row in self.sources(project)) and chance(self.random, 0.7):
            return None
        return Operation(0, "copy_project_dbt_sources", (project, target), projects=(project, target))

    # The same over HTTP

    def http(self):
        method = self.random.choices(["PATCH", "POST", "GET", "DELETE"], [60, 18, 16, 6])[0]
        project, source, body, headers = self.project(), None, NULL, NULL
        if method == "POST" and self.is_full(project):
            method = "DELETE"
        if method != "POST" and not (method == "GET" and chance(self.random, 0.3)):
            source = self.source(project, 0.1)
        row = self.row(project, source) if source else None
        if method == "POST":
            body = self.body_of_new()
        elif method == "PATCH":
            body = self.body(row)
        path = self.path(project, source)
        text = NULL
        if body is not NULL or method in ("POST", "PATCH"):
            body, text = self.text(body)
        if source and method != "GET" and chance(self.random, 0.3):
            headers = {self.values.pick("if-match", "If-Match"): self.version(row)}
        if chance(self.random, 0.04):
            headers = {**({} if headers is NULL else headers), **self.values.pick(
                {"content-type": "application/json"}, {"Content-Type": " Application/JSON ; charset=utf-8"}, {"content-type": "text/plain"},
                {"content-type": "application/merge-patch+json"}, {"content-encoding": "gzip"}, {"content-encoding": "identity"}, {},
                {"content-type": "application/jsonp"}, {"x": "y"})}
        if chance(self.random, 0.02):
            method = self.values.pick("PUT", "get", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE")
        return Operation(0, "http_request", (method, path, text, headers, body), projects=(project,))

    def path(self, project, source):
        if chance(self.random, 0.1):
            project = project.upper()
        path = f"/api/v1/projects/{project}/dbt-sources" + (f"/{source}" if source else "")
        if chance(self.random, 0.04):
            return self.values.pick(path + "/", path + "?x=/y", path + "//", path.replace("-", "%2D"), path + "%", path[1:], path + "x",
                                    path.replace("v1", "v2"), path.replace("/api", "/api%2F"), "/", path[:-1], path.replace("-4", "-3"))
        return path

    def text(self, body):
        """The body, and one of the ways to write it."""
        choice = self.random.random()
        if choice < 0.01:
            return None, self.values.pick(NULL, "")
        if choice < 0.03:
            written = to_json({"name": "x", "dbtConnection": {"type": "none"}})
            return api.NOT_JSON, self.values.pick(written[:-1], written + "}", "{" + written, " ", values.SECRET, written.replace(":", ""))
        if choice < 0.07 and isinstance(body, dict):
            body = values.json_copy(body)
            for _ in range(self.random.choice([1, 1, 2])):
                self.make_unstorable(body)
        written = to_json(body, self.random)
        if choice > 0.995:
            written += " " * self.database.http_body_limit
        return body, written

    def make_unstorable(self, body):
        """Puts what jsonb can't hold somewhere into it."""
        at = body
        while True:
            inside = [item for item in (at.values() if isinstance(at, dict) else at) if isinstance(item, (dict, list)) and item]
            if not inside or chance(self.random, 0.3):
                break
            at = self.random.choice(inside)
        value = values.Decimal(self.random.choice(values.TOO_LARGE)) if chance(self.random, 0.3) else self.random.choice(values.STRANGE)
        if isinstance(at, list):
            at[self.random.randrange(len(at))] = value
        elif isinstance(value, str) and chance(self.random, 0.2):
            at[value] = ""
        else:
            at[self.random.choice([*at, "x"])] = value

    def version(self, row):
        version = row.version if row is not None else 1
        if chance(self.random, 0.3):
            version = max(1, version + self.random.choice([-1, 1, 10]))
        return self.values.pick(*[f'"{version}"'] * 6, "*", f'"x", "{version}"', f'W/"{version}"', f'"0{version}"', f"{version}", f'"{version}',
                                ",", "", f' , "{version}",, "7"')

    # Keys, and what applications and their owners do themselves

    def rotate(self):
        return Operation(0, "rotate_encryption_key")

    def keys(self):
        return Operation(0, "encryption_keys")

    def reencrypt(self):
        if self.session.overtaken:
            return None
        return Operation(0, "reencrypt_dbt_connections", (self.values.pick(1000, 1000, 3, 1, 0, -1),))

    def reencrypt_all(self):
        return Operation(0, "reencrypt_all_dbt_connections", (self.values.pick(1000, 2, 1, 0),))

    def remove(self):
        if self.session.is_open and not self.session.wrote:
            return None
        kids = self.database.kids
        at = self.random.random()       # how many keys are left depends on which connections the server has encrypted anew
        return Operation(0, "remove_encryption_key", ("no such key" if chance(self.random, 0.1) else kids[int(at * len(kids))],))

    def add(self):
        return Operation(0, "add_project", (COMES_AND_GOES, ("viewer", "manager", "worker"), ("manager",)), projects=(COMES_AND_GOES,))

    def drop(self):
        if self.session.overtaken:
            return None
        return Operation(0, "drop_project", (COMES_AND_GOES,), projects=(COMES_AND_GOES,))

    def share(self):
        project = self.project()
        viewers, managers = (tuple(role for role in ("viewer", "manager", "worker") if chance(self.random, 0.75)) for _ in range(2))
        original = next((p for p in PROJECTS if p.uuid == project), None)
        if original and chance(self.random, 0.6):
            viewers, managers = original.viewers, original.managers
        return Operation(0, "share_project", (project, viewers, managers), projects=(project,))

    def spoil(self):
        stored = [row for row in self.rows.values() if hasattr(row, "connection") and row.connection is not None]
        if not stored or self.session.overtaken:
            return None
        row, other = self.random.choice(stored), self.random.choice(stored)
        like = (NULL, NULL) if chance(self.random, 0.15) or other is row or not other.whole else (other.project, other.uuid)
        return Operation(0, "spoil", (row.project, row.uuid, *like), projects=(row.project, other.project))

    READING = (((get, None), (list, None), (whole, "worker"), (http, None)), (5, 1, 1, 2))

    # how often, and by whom if it's always the same
    MIX = tuple(zip(*[
        ((create, None), 12), ((update, None), 34), ((set, None), 10), ((get, None), 9), ((list, None), 6), ((delete, None), 4),
        ((whole, "worker"), 7), ((validate, None), 4), ((copy, None), 7), ((http, None), 34),
        ((rotate, "keeper"), 0.8), ((keys, "keeper"), 1.5), ((reencrypt, "keeper"), 1), ((reencrypt_all, "keeper"), 0.8), ((remove, "keeper"), 1),
        ((add, None), 1.5), ((drop, None), 0.4), ((share, None), 0.6), ((spoil, None), 0.8)]))
