"""The database as PostgreSQL makes it: rows, what a transaction sees of them, and roles."""
import re
from dataclasses import dataclass, field

UUID_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Failure(Exception):
    """An error, with the paths of its problems if there are any."""

    def __init__(self, sqlstate, paths=None):
        super().__init__(sqlstate)
        self.sqlstate, self.paths = sqlstate, paths


class Null:
    """SQL's NULL; that of JSON is None."""

    def __str__(self):
        return "NULL"


NULL = Null()


class New:
    """What the server makes up, a uuid or a key's id: unknown until it has answered."""

    def __init__(self, pattern):
        self.pattern, self.value = re.compile(pattern), None

    def is_answered_by(self, answer):
        if self.value is None and isinstance(answer, str) and self.pattern.fullmatch(answer):
            self.value = answer
        return self.value is not None and self.value == answer

    def __str__(self):
        return self.value or "(new)"

    __repr__ = __str__


@dataclass(frozen=True)
class Between:
    """What the documentation leaves to the server."""
    least: int
    most: int


def new_uuid():
    return New(UUID_V4.pattern)


@dataclass(frozen=True)
class Role:
    name: str
    select: bool = False            # on the table of projects
    update: bool = False
    everything: bool = False        # no policy binds it
    functions: tuple = ()           # that not everybody may execute


KEY_FUNCTIONS = ("rotate_encryption_key", "encryption_keys", "reencrypt_dbt_connections", "reencrypt_all_dbt_connections",
                 "remove_encryption_key")
ROLES = {role.name: role for role in (
    Role("postgres", select=True, update=True, everything=True, functions=KEY_FUNCTIONS + ("project_dbt_connection",)),
    Role("owner", select=True, update=True, everything=True),
    Role("nobody"),
    Role("blind", update=True),
    Role("viewer", select=True),
    Role("manager", select=True, update=True),
    Role("worker", select=True, functions=("project_dbt_connection",)),
    Role("keeper", functions=KEY_FUNCTIONS),
)}


@dataclass(frozen=True)
class Project:
    uuid: str
    viewers: tuple                  # the roles that a SELECT policy shows it to
    managers: tuple                 # and those that an UPDATE policy lets change it


@dataclass(frozen=True)
class Source:
    project: str
    uuid: object
    name: str
    precedence: int
    type: str = None
    connection: dict = None         # what was stored, whatever has happened to the ciphertext
    kid: object = None              # of the key that it needs, None if that can't be read
    header: tuple = (True, False)   # known, environment: what the header tells without a key
    whole: bool = True              # can be decrypted
    version: int = 1


@dataclass
class Session:
    name: str
    rows: dict = None               # what a transaction sees; outside of one None
    snapshot: bool = False          # it goes on seeing what was there when it began
    read_only: bool = False
    failed: bool = False
    savepoints: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)     # keys of rows that it has written, in that order
    locked: set = field(default_factory=set)        # projects that another session can't change without waiting
    overtaken: set = field(default_factory=set)     # keys of rows that another one has changed since the snapshot
    wrote: bool = False

    @property
    def is_open(self):
        return self.rows is not None


class Database:
    """Rows, by key: ("project", uuid) and ("source", project, uuid).  Calls are made one at a time, by a role, with a keyring, in a
    session."""

    def __init__(self, projects, kid, http_body_limit):
        self.http_body_limit = http_body_limit
        self.committed = {("project", project.uuid): project for project in projects}
        self.kids = [kid]           # the active one first; no transaction has a say in that
        self.sessions = [Session("first"), Session("second")]

    def forget(self):
        """What is known of one call only."""
        self.or_else = set()        # SQLSTATEs that it may as well end with
        self.bindings = []          # copies whose uuids aren't told
        self.ignores = False        # properties of the body

    # Transactions

    def control(self, session, function, *arguments):
        self.forget()
        function(session, *arguments)

    def call(self, session, role, keyring, function, *arguments):
        """What the function answers; may raise Failure."""
        if session.failed:
            raise Failure("25P02")
        self.before = session.rows
        self.forget()
        self.session, self.role, self.keyring = session, ROLES[role], keyring
        self.rows = dict(self.seen_by(session))
        self.written = {}           # keys of rows, in that order
        try:
            answer = function(*arguments)
        except Failure:
            self.fail(session)
            raise
        if session.is_open:
            session.rows = self.rows
        else:
            self.publish(self.rows, self.written, session)
        return answer

    def seen_by(self, session):
        return session.rows if session.is_open else self.committed

    def fail(self, session):
        session.failed = session.is_open

    def undo(self, session):
        """The last call hasn't happened."""
        session.rows = self.before

    def publish(self, rows, written, author):
        """Makes the rows seen by everybody but those that look at a snapshot."""
        for key in written:
            views = [self.committed]
            for session in self.sessions:
                if session is author or not session.is_open:
                    continue
                if session.snapshot:
                    session.overtaken.add(key)
                else:
                    views += [session.rows] + [rows for _, rows in session.savepoints]
            for view in views:
                if key in rows:
                    view[key] = rows[key]       # where it stands
                else:
                    view.pop(key, None)

    def begin(self, session, level, access):
        session.rows, session.snapshot, session.read_only = dict(self.committed), level != "READ COMMITTED", access == "READ ONLY"

    def savepoint(self, session, name):
        if session.failed:
            raise Failure("25P02")
        session.savepoints.append((name, dict(session.rows)))

    def find_savepoint(self, session, name):
        return max(i for i, (other, _) in enumerate(session.savepoints) if other == name)

    def rollback_to(self, session, name):
        at = self.find_savepoint(session, name)
        session.rows, session.failed = dict(session.savepoints[at][1]), False
        del session.savepoints[at + 1:]

    def release(self, session, name):
        if session.failed:
            raise Failure("25P02")
        del session.savepoints[self.find_savepoint(session, name):]

    def commit(self, session):
        if not session.failed:
            self.publish(session.rows, [key for key in session.changed if key not in session.overtaken], session)
        self.rollback(session)

    def rollback(self, session):
        session.__init__(session.name)

    # Rows

    def write(self, key, row):
        self.lock(key[1])
        if self.session.is_open:
            if key in self.session.overtaken:
                raise Failure("40001")
            self.session.changed[key] = True
            self.session.wrote = True
        self.written[key] = True
        self.rows.pop(key, None) if row is None else self.rows.__setitem__(key, row)

    def store(self, source):
        self.write(("source", source.project, source.uuid), source)

    def lock(self, project):
        if self.session.is_open:
            self.session.locked.add(project)
