"""What each function answers, and who may call it.

Written from docs/ (functions.md, authorization.md, errors.md, keyring.md), not from src/.
"""
from dataclasses import replace

import rules
from database import NULL, Between, Database, Failure, New, Project, Source, new_uuid
from rules import AT

PRIMARY_NAME = "Project dbt connection"


class Functions(Database):
    # Sources of a project

    def sources(self, project):
        return [row for key, row in self.rows.items() if key[:2] == ("source", project)]

    def primary(self, project):
        return self.rows.get(("source", project, project)) or self.made_up(project)

    def made_up(self, project):
        """The primary source, as long as nobody has changed it."""
        return Source(project, project, PRIMARY_NAME, 0)

    # Who may do what

    def given(self, **arguments):
        if any(value is NULL for value in arguments.values()):
            raise Failure("22023")

    def writes(self):
        if self.session.read_only:
            raise Failure("25006")

    def executes(self, function):
        if function not in self.role.functions:
            raise Failure("42501")

    def sees(self, project):
        """Checks that the caller may view the project."""
        if not self.role.select:
            raise Failure("42501")
        row = self.rows.get(("project", project))
        if row is None or not (self.role.everything or self.role.name in row.viewers):
            raise Failure("P0002")

    def may_manage(self, project):
        row = self.rows["project", project]
        return self.role.update and (self.role.everything or self.role.name in row.managers)

    def manages(self, project):
        self.sees(project)
        self.lock(project)
        if not self.may_manage(project):
            raise Failure("42501")

    def find(self, project, source):
        if source == project:
            return self.primary(project)
        for row in self.sources(project):
            if str(row.uuid) == str(source):
                return row
        raise Failure("P0002")

    # Connections at rest

    def usable_keyring(self):
        if not self.keyring:
            raise Failure("55000")

    def may_encrypt(self):
        """Without a usable keyring what else is wrong may be said first, or not at all."""
        if not self.keyring:
            self.or_else.add("55000")

    def readable(self, source):
        return source.connection is None or bool(self.keyring) and source.whole

    def decrypt(self, source):
        if source.connection is None:
            return None
        self.usable_keyring()
        if not source.whole:
            raise Failure("XX001")
        return source.connection

    def encrypt(self, source, connection):
        self.usable_keyring()
        known = all(f in rules.FIELDS[connection["type"]] for f in connection) and not any(
            name not in ("key", "value") for v in connection.get("environment", []) for name in v)
        has_environment = "environment" in connection and "environment" in rules.FIELDS[connection["type"]]
        return replace(source, type=connection["type"], connection=connection, kid=self.kids[0], whole=True,
                       header=(known, has_environment))

    # Answers

    def is_primary(self, source):
        return source.uuid == source.project

    def summary(self, source):
        readable = self.readable(source)
        return {"name": source.name, "isPrimary": self.is_primary(source), "precedence": source.precedence,
                "hasCredentialError": self.has_credential_error(source), "projectDbtSourceUuid": source.uuid,
                **rules.identity(source.connection if readable else None)}

    def has_credential_error(self, source):
        return not self.is_primary(source) and not self.readable(source)

    # The functions

    def list_project_dbt_sources(self, project):
        self.given(project=project)
        self.sees(project)
        additional = [s for s in self.sources(project) if not self.is_primary(s)]
        return [self.summary(s) for s in [self.primary(project)] + sorted(additional, key=lambda s: (s.precedence, s.name))]

    def get_project_dbt_source(self, project, source):
        self.given(project=project, source=source)
        self.sees(project)
        row = self.find(project, source)
        connection = self.decrypt(row)
        if connection is not None:
            connection = rules.view(connection, self.is_shown_environment(project))
        return {**self.summary(row), "dbtConnection": connection}

    def is_shown_environment(self, project):
        return self.may_manage(project) and not self.session.read_only

    def project_dbt_connection(self, project, source):
        self.executes("project_dbt_connection")
        self.given(project=project, source=source)
        self.sees(project)
        return self.decrypt(self.find(project, source))

    def validate_dbt_connection(self, connection):
        self.given(connection=connection)
        return rules.problems_of(connection)

    def create_project_dbt_source(self, project, body):
        self.given(project=project, body=body)
        self.writes()
        self.manages(project)
        self.may_encrypt()
        problems = self.problems_of_body(body, required=True)
        connection = body.get("dbtConnection") if isinstance(body, dict) else None
        if connection is not None:
            problems += rules.problems_of(connection)
        if problems:
            raise Failure("22023", problems)
        self.extend(project)
        source = self.encrypt(Source(project, new_uuid(), body["name"], self.next_precedence(project)), connection)
        self.has_no_other(project, source.name)
        self.store(source)
        return self.summary(source)

    def next_precedence(self, project):
        return max((s.precedence for s in self.sources(project)), default=0) + 1

    def extend(self, project):
        """Where another session was first since the snapshot, the precedence that it took can't be seen.  The documentation leaves open
        which changes are in the way of one more source."""
        if any(key[:2] in (("source", project), ("extended", project)) for key in self.session.overtaken):
            self.or_else.add("40001")

    def problems_of_body(self, body, required=False):
        if not isinstance(body, dict):
            return [("body",)]
        self.ignores = any(property not in ("name", "dbtConnection") for property in body)
        problems = []
        if "name" not in body:
            problems += [("name",)] if required else []
        elif not rules.is_name(body["name"]):
            problems.append(("name",))
        if "dbtConnection" not in body:
            problems += [AT] if required else []
        elif body["dbtConnection"] is None:
            problems.append(AT)
        return problems

    def has_no_other(self, project, name, but=None):
        names = {other.uuid: other.name for other in [self.made_up(project)] + self.latest(project)}
        if any(other == name for uuid, other in names.items() if uuid != but):
            raise Failure("23505")

    def latest(self, project):
        """The sources as they would be after a commit: a name that another session took since the snapshot is in the way, and one
        that it gave up isn't, though neither can be seen."""
        latest = {key: row for key, row in self.committed.items() if key not in self.session.changed}
        latest.update((key, row) for key, row in self.rows.items() if key in self.session.changed)
        return [row for key, row in latest.items() if key[:2] == ("source", project)]

    def update_project_dbt_source(self, project, source, body, version=None):
        self.given(project=project, source=source, body=body)
        self.writes()
        if self.role.everything:        # who isn't told first that there is no such project
            self.may_encrypt()
        self.manages(project)
        self.may_encrypt()
        row = self.take(self.find(project, source))
        self.has_version(row, version)
        problems = self.problems_of_body(body)
        connection = body.get("dbtConnection") if isinstance(body, dict) else None
        if connection is not None:
            if self.is_changed_elsewhere(row):
                problems.append(AT)
            else:
                connection, more = self.replacement(row, connection)
                problems += more
        if problems:
            raise Failure("22023", problems)
        return self.summary(self.change(row, body.get("name"), connection))

    def is_changed_elsewhere(self, row):
        """By set_project_dbt_connection()."""
        return self.is_primary(row)

    def set_project_dbt_connection(self, project, connection):
        self.given(project=project, connection=connection)
        self.writes()
        self.manages(project)
        self.may_encrypt()
        row = self.take(self.primary(project))
        connection, problems = self.replacement(row, connection)
        if problems:
            raise Failure("22023", problems)
        return self.summary(self.change(row, None, connection))

    def take(self, row):
        """The row, to change it; which is too late if another session was first, whatever else is wrong."""
        if self.is_primary(row):
            self.extend(row.project)
        if ("source", row.project, row.uuid) in self.session.overtaken:
            self.or_else.add("40001")
        return row

    def has_version(self, row, version):
        if version is not None and not version(row.version):
            raise Failure("412")

    def replacement(self, row, sent):
        """The connection that takes the place of the stored one, and its problems."""
        if rules.type_of(sent) is None:
            return None, rules.problems_of(sent)
        if self.readable(row):
            old = row.connection
        elif rules.would_keep(sent, row.type, *row.header):
            self.usable_keyring()
            raise Failure("XX001")
        else:
            old = None
        connection, problems = rules.kept(sent, old)
        return connection, problems + rules.problems_of(connection)

    def change(self, row, name, connection):
        if name is None and connection is None:
            return row
        if connection is not None:
            row = self.encrypt(row, connection)
        if name is not None:
            self.has_no_other(row.project, name, but=row.uuid)
            row = replace(row, name=name)
        row = replace(row, version=self.next_version(row, name, connection))
        self.store(row)
        return row

    def next_version(self, row, name, connection):
        return row.version + 1

    def delete_project_dbt_source(self, project, source, version=None):
        self.given(project=project, source=source)
        self.writes()
        self.manages(project)
        row = self.find(project, source)
        if not self.may_be_deleted(row):
            raise Failure("22023")
        self.has_version(self.take(row), version)
        self.write(("source", project, row.uuid), None)
        return ""

    def copies_from(self, project):
        """Who may only view it could hand its secrets to the other's worker."""
        self.manages(project)

    def may_be_deleted(self, row):
        return not self.is_primary(row)

    def copy_project_dbt_sources(self, source_project, target_project):
        self.given(source_project=source_project, target_project=target_project)
        self.writes()
        self.copies_from(source_project)
        self.manages(target_project)
        if source_project == target_project:
            raise Failure("22023")
        self.may_encrypt()
        self.extend(target_project)
        self.write(("extended", target_project), None)      # even where there is nothing to copy
        copied = sorted((s for s in self.sources(source_project) if not self.is_primary(s)), key=lambda s: (s.precedence, s.name))
        for source in copied:
            copy = Source(target_project, new_uuid(), source.name, self.next_precedence(target_project))
            copy = self.encrypt(copy, self.decrypt(source))
            self.has_no_other(target_project, source.name)
            self.store(copy)
            self.bindings.append(copy)
        return len(copied)

    # The functions for keys

    def stored(self):
        return [row for key, row in self.rows.items() if key[0] == "source" and row.connection is not None]

    def rotate_encryption_key(self):
        self.executes("rotate_encryption_key")
        self.writes()
        self.kids.insert(0, New(r"[!-~]{1,255}"))
        return self.kids[0]

    def encryption_keys(self):
        self.executes("encryption_keys")
        rows = self.stored()
        return [{"kid": kid, "active": kid is self.kids[0], "connections": sum(row.kid is kid for row in rows)} for kid in self.kids]

    def to_reencrypt(self):
        return [row for row in self.stored() if row.whole and row.kid is not self.kids[0]]

    def reencrypt_dbt_connections(self, max_rows):
        self.executes("reencrypt_dbt_connections")
        self.given(max_rows=max_rows)
        self.writes()
        if max_rows < 1:
            raise Failure("22023")
        # in one session it goes on where it was, so it may be any of them; encrypt_anew() has then been seen
        left = len(self.to_reencrypt())
        return Between(min(1, left), min(left, max_rows))

    def encrypt_anew(self, rows):
        for row in rows:
            self.store(replace(row, kid=self.kids[0]))

    def reencrypt_all_dbt_connections(self, batch):
        self.executes("reencrypt_all_dbt_connections")
        if self.session.is_open:
            raise Failure("25001")
        self.given(batch=batch)
        if batch < 1:
            raise Failure("22023")
        self.encrypt_anew(self.to_reencrypt())

    def remove_encryption_key(self, kid):
        self.executes("remove_encryption_key")
        self.given(kid=kid)
        self.writes()
        if self.session.wrote:
            raise Failure("25001")
        key = next((k for k in self.kids if str(k) == str(kid)), None)
        if key is None:
            raise Failure("42704")
        if key is self.kids[0] or self.is_needed(key):
            raise Failure("55006")
        self.kids.remove(key)
        return ""

    def is_needed(self, key):
        """By a connection, or perhaps by one that doesn't say which it needs."""
        return any(row.kid in (None, key) for row in self.stored())

    # What applications and their owners do themselves

    def add_project(self, project, viewers, managers):
        self.writes()
        if ("project", project) in self.rows:
            raise Failure("23505")
        self.write(("project", project), Project(project, viewers, managers))

    def drop_project(self, project):
        """Its sources go with it."""
        self.writes()
        for key in [key for key in self.rows if key[1] == project]:
            self.write(key, None)

    def share_project(self, project, viewers, managers):
        self.writes()
        if ("project", project) in self.rows:
            self.write(("project", project), Project(project, viewers, managers))

    def spoil(self, project, source, of_project, of_source):
        """Puts the ciphertext of another source in the place of what is stored, or what is none."""
        self.writes()
        row = self.find(project, source)
        if of_source is NULL:
            self.store(replace(row, whole=False, kid=None, header=(True, False)))
        else:
            other = self.find(of_project, of_source)
            self.store(replace(row, whole=False, kid=other.kid, header=other.header))
