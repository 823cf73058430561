"""The server, and each operation as SQL."""
import psycopg2

from database import NULL
from values import to_json

BODY_LIMIT = 20480
MISSING = "missing.jwks"

# function: the types of its arguments, and how its answer is asked for
SCALAR = "SELECT {call}::text"
SET = "SELECT coalesce(jsonb_agg(t), '[]')::text FROM {call} t"
FUNCTIONS = {
    "list_project_dbt_sources": (("uuid",), SCALAR),
    "get_project_dbt_source": (("uuid", "uuid"), SCALAR),
    "project_dbt_connection": (("uuid", "uuid"), SCALAR),
    "create_project_dbt_source": (("uuid", "jsonb"), SCALAR),
    "update_project_dbt_source": (("uuid", "uuid", "jsonb"), SCALAR),
    "set_project_dbt_connection": (("uuid", "jsonb"), SCALAR),
    "delete_project_dbt_source": (("uuid", "uuid"), SCALAR),
    "copy_project_dbt_sources": (("uuid", "uuid"), SCALAR),
    "validate_dbt_connection": (("jsonb",), SET),
    "http_request": (("text", "text", "text", "jsonb"), "SELECT jsonb_build_array(status, body, headers)::text FROM {call}"),
    "rotate_encryption_key": ((), SCALAR),
    "encryption_keys": ((), SET),
    "reencrypt_dbt_connections": (("integer",), SCALAR),
    "reencrypt_all_dbt_connections": (("integer",), "CALL {call}"),
    "remove_encryption_key": (("text",), SCALAR),
}
# whose answer isn't JSON
TEXTS = ("rotate_encryption_key", "remove_encryption_key", "delete_project_dbt_source")

# what applications and their owners do themselves, as the superuser
THEIRS = {
    "add_project": (("project", "viewers", "managers"), "INSERT INTO projects VALUES (%(project)s, %(viewers)s, %(managers)s)"),
    "share_project": (("project", "viewers", "managers"),
                      "UPDATE projects SET viewers = %(viewers)s, managers = %(managers)s WHERE project_uuid = %(project)s"),
    "drop_project": (("project",), "DELETE FROM projects WHERE project_uuid = %(project)s"),
    "spoil": (("project", "source", "of_project", "of_source"), """
        UPDATE project_dbt_sources SET dbt_connection = coalesce(
            (SELECT dbt_connection FROM project_dbt_sources WHERE project_uuid = %(of_project)s AND project_dbt_source_uuid = %(of_source)s), 'spoiled')
        WHERE project_uuid = %(project)s AND project_dbt_source_uuid = %(source)s"""),
}

TRANSACTIONS = {
    "begin": "BEGIN ISOLATION LEVEL {0}, {1}; SELECT 1",    # which takes the snapshot
    "savepoint": "SAVEPOINT {0}",
    "rollback_to": "ROLLBACK TO {0}",
    "release": "RELEASE {0}",
    "commit": "COMMIT",
    "rollback": "ROLLBACK",
}


def parameter(value, type="text"):
    if value is NULL or value is None and type != "jsonb":
        return None
    if type == "jsonb":
        return to_json(value)
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int) else str(value)


class Server:
    """A session."""

    def __init__(self):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.keyring = None
        # neither session ever waits for the other; if one does, it isn't for ever
        self.cursor.execute(f"SET dbt_sources.http_body_limit = '{BODY_LIMIT}B'; SET lock_timeout = '1min'")

    def ask(self, statements, parameters=None):
        """The first value of the last statement's result, or the error; and all that was said beside it."""
        del self.connection.notices[:]
        try:
            self.cursor.execute(statements, parameters)
            answer = self.cursor.fetchone()[0] if self.cursor.description else None
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            answer = error
        return answer, "".join(self.connection.notices)

    def perform(self, operation):
        function, arguments = operation.function, operation.arguments
        if function in TRANSACTIONS:
            return self.ask(TRANSACTIONS[function].format(*arguments))
        if function in THEIRS:
            names, statement = THEIRS[function]
            return self.ask("RESET ROLE; " + statement, dict(zip(names, map(parameter, arguments))))
        types, ask = FUNCTIONS[function]
        statement = ask.format(call="%s(%s)" % (function, ", ".join("%s::" + type for type in types)))
        keyring = self.keyring if operation.keyring else MISSING
        caller = f"RESET ROLE; SET dbt_sources.keyring_file = '{keyring}'; SET ROLE {operation.role}; "
        if statement.startswith("CALL"):
            # which can't commit in a list of statements
            self.ask(caller)
            caller = ""
        return self.ask(caller + statement, [parameter(value, type) for value, type in zip(arguments, types)])

    def as_superuser(self, statement, parameters=None):
        answer, _ = self.ask(f"RESET ROLE; SET dbt_sources.keyring_file = '{self.keyring}'; " + statement, parameters)
        if isinstance(answer, psycopg2.Error):
            raise answer
        return answer
