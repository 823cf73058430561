"""Rules that are wrong.  With any of them in the model a run has to disagree with the server: so it would see the rule broken there.

Each replaces one step of the model.
"""
import re
from dataclasses import replace

import api
import rules
from database import Database, Failure
from functions import Functions


class Rule:
    """In a with statement it holds."""

    def __init__(self, name, place, step, wrong):
        self.name, self.place, self.step, self.wrong = name, place, step, wrong

    def __enter__(self):
        self.right = getattr(self.place, self.step)
        setattr(self.place, self.step, self.wrong)

    def __exit__(self, *_):
        setattr(self.place, self.step, self.right)


normal_host, problems_of, begin, publish = rules.normal_host, rules.problems_of, Database.begin, Database.publish
rollback_to, rotate = Database.rollback_to, Functions.rotate_encryption_key


def sees_with_403(self, project):
    row = self.rows.get(("project", project))
    if not self.role.select or row is None or not (self.role.everything or self.role.name in row.viewers):
        raise Failure("42501")


def rolled_back_kept(self, session, name):
    rows = session.rows
    rollback_to(self, session, name)
    session.rows = rows


def rotated_and_encrypted(self):
    kid = rotate(self)
    self.encrypt_anew(self.to_reencrypt())
    return kid


def encrypted_as_a_change(self, rows):
    for row in rows:
        self.store(replace(row, kid=self.kids[0], version=row.version + 1))


def seen_before_the_commit(self, session):
    first = self.sessions[0]
    return session.rows if session.is_open else first.rows if first.is_open else self.committed


def first_counterpart(left, key):
    return next((variable for variable in left if variable["key"] == key), None)


RULES = [Rule(*rule) for rule in (
    ("a secret survives a change of its destination", rules, "secret_moves", lambda type, stored, sent: False),
    ("the environment survives a change of the repository", rules, "DESTINATIONS_OF_ENVIRONMENT", rules.DESTINATIONS),
    ("a user name is no destination", rules, "DESTINATIONS", ("host_domain", "discovery_api_endpoint")),
    ("capital letters of a host make a difference", rules, "normal_host",
     lambda type, field, host: host if host.lower() != host else normal_host(type, field, host)),
    ("the service's own host isn't the one that is left out", rules, "normal_host", lambda type, field, host: host.lower()),
    ("a secret that is left out is removed", rules, "has_use_for", lambda connection, field: False),
    ("a token is kept for a github connection by installation", rules, "has_use_for", lambda connection, field: True),
    ("null removes nothing", rules, "is_removed", lambda type, field, value: False),
    ("another type keeps the secrets", rules, "what_may_be_kept", lambda stored, type: stored or {}),
    ("fields that aren't in the table are shown, and replaced", rules, "is_withheld", lambda type, field: field in rules.SECRETS),
    ("secrets are shown, and replaced", rules, "is_withheld", lambda type, field: field not in rules.FIELDS[type]),
    ("only DBT_ENV_SECRET_ begins the name of a secret", rules, "SECRET_VARIABLE", "DBT_ENV_SECRET_"),
    ("an environment that is left out is removed", rules, "keeps_environment", lambda old: False),
    ("two variables of one name keep the same value", rules, "take_counterpart", first_counterpart),
    ("an empty secret variable needs nothing to keep", rules, "is_empty_without_counterpart", lambda value: False),
    ("what can't be decrypted is replaced by halves", rules, "would_keep", lambda sent, type, known, environment: False),
    ("what can't be decrypted isn't replaced", rules, "would_keep", lambda sent, type, known, environment: True),
    ("any variable may be set", rules, "is_refused", lambda key: False),
    ("a token may end with a blank", rules, "is_clean", lambda field, text: True),
    ("numbers have no limit", rules, "is_number_in_range", lambda number: True),
    ("a connection may be nested deeper", rules, "MAX_LEVELS", 2000),
    ("an environment_id isn't required", rules, "REQUIRED", {**rules.REQUIRED, "dbt_cloud_ide": ["api_key"]}),
    ("only the first problem is told", rules, "problems_of", lambda connection: problems_of(connection)[:1]),
    ("a name may be as long as it likes", rules, "MAX_NAME", 1000),
    ("names may be there twice", Functions, "has_no_other", lambda self, project, name, but=None: None),
    ("the primary source can be deleted", Functions, "may_be_deleted", lambda self, row: True),
    ("an update changes the connection of the primary source", Functions, "is_changed_elsewhere", lambda self, row: False),
    ("the primary source has credential errors", Functions, "has_credential_error", lambda self, source: not self.readable(source)),
    ("a precedence is the number of sources", Functions, "next_precedence", lambda self, project: len(self.sources(project)) + 1),
    ("a rename is no new version", Functions, "next_version", lambda self, row, name, connection: row.version + (connection is not None)),
    ("who may view may manage", Functions, "may_manage", lambda self, project: True),
    ("who has UPDATE manages, whatever the policies say", Functions, "may_manage", lambda self, project: self.role.update),
    ("who may view may copy from there", Functions, "copies_from", lambda self, project: self.sees(project)),
    ("what isn't seen is forbidden", Functions, "sees", sees_with_403),
    ("the environment is shown to who may view", Functions, "is_shown_environment", lambda self, project: True),
    ("the environment is shown in a read-only transaction", Functions, "is_shown_environment", lambda self, project: self.may_manage(project)),
    ("a read-only transaction writes", Functions, "writes", lambda self: None),
    ("everybody may execute everything", Functions, "executes", lambda self, function: None),
    ("a rollback to a savepoint keeps what came after it", Database, "rollback_to", rolled_back_kept),
    ("a rollback commits", Database, "rollback", lambda self, session: (publish(self, session.rows or {}, session.changed, session), session.__init__(session.name))),
    ("an error doesn't end a transaction", Database, "fail", lambda self, session: None),
    ("a snapshot sees what others commit", Database, "begin", lambda self, session, level, access: begin(self, session, "READ COMMITTED", access)),
    ("a change is seen before its commit", Database, "seen_by", seen_before_the_commit),
    ("encrypting anew is a new version", Functions, "encrypt_anew", encrypted_as_a_change),
    ("rotation encrypts anew", Functions, "rotate_encryption_key", rotated_and_encrypted),
    ("a key can be removed that is needed", Functions, "is_needed", lambda self, key: False),
    ("If-Match isn't asked", api, "if_match", lambda headers: None),
    ("any UUID will do", api, "UUID_V4", re.compile("[0-9A-Fa-f-]{36}")),
    ("jsonb holds everything", api, "cannot_be_stored", lambda leaf: False),
    ("a body may have any type", api.Api, "check_type", lambda self, headers: None),
)]
