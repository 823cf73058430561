#!/usr/bin/python3
"""Runs random operations against the server and the model, and compares; see ../model for the options."""
import argparse
import base64
import json
import os
import random
import sys

import psycopg2

import wrong
from api import ERRORS, Api, Response
from compare import agree, same, shown
from database import Failure
from functions import Functions
from operations import PROJECTS, Operations
from server import BODY_LIMIT, TRANSACTIONS, Server
from values import SECRET, from_json

OPERATIONS = 20000
UNTIL_SEEN = 20000      # at most, with a wrong rule; some few hundred are the rule
CHECK_EVERY = 1000


class Disagreement(Exception):
    pass


class Run:
    """The same operations, one after the other, in the server and in the model."""

    made = 0        # each with a keyring of its own

    def __init__(self, seed, servers):
        self.servers = servers
        Run.made += 1
        for server in servers:
            server.ask("ROLLBACK")
            server.keyring = f"run-{os.getpid()}-{Run.made}.jwks"
        servers[0].as_superuser("DELETE FROM projects")
        for project in PROJECTS:
            servers[0].as_superuser("INSERT INTO projects VALUES (%s, %s, %s)", (project.uuid, list(project.viewers), list(project.managers)))
        self.database = Functions(PROJECTS, servers[0].as_superuser("SELECT rotate_encryption_key()"), BODY_LIMIT)
        self.api = Api(self.database)
        self.operations = Operations(random.Random(seed), self.database)
        self.past = []

    def step(self):
        operation = self.operations.next()
        expected = self.expect(operation)
        answer, said = self.servers[operation.session].perform(operation)
        self.past.append((operation, answer))
        self.is_silent(operation, answer, said)
        if self.ended_otherwise(expected, answer):
            session = self.database.sessions[operation.session]
            self.database.undo(session)
            if isinstance(answer, psycopg2.Error):
                self.database.fail(session)
        elif not agree(operation.function, expected, answer):
            raise Disagreement(self.told(operation, shown(expected), shown(answer)))
        elif not isinstance(expected, Failure):
            if operation.function in ("create_project_dbt_source", "update_project_dbt_source") and ("ignored" in said) != self.database.ignores:
                raise Disagreement(self.told(operation, "a notice about what is ignored" if self.database.ignores else "no notice", said))
            self.learn(operation, answer)
        if len(self.past) % CHECK_EVERY == 0:
            self.check()

    def expect(self, operation):
        """What the model says: an answer, or a Failure."""
        target = self.api if operation.function == "http_request" else self.database
        function, session = getattr(target, operation.function), self.database.sessions[operation.session]
        try:
            if operation.function in TRANSACTIONS:
                return self.database.control(session, function, *operation.arguments)
            return self.database.call(session, operation.role, operation.keyring, function, *operation.arguments)
        except Failure as failure:
            return failure

    def ended_otherwise(self, expected, answer):
        """With an error that may as well come first, or that only another session's changes explain."""
        failed = isinstance(expected, Failure) or isinstance(expected, Response) and expected.error
        for sqlstate in self.database.or_else:
            if sqlstate == "55000" and not failed:
                continue
            if isinstance(answer, psycopg2.Error):
                if answer.pgcode == sqlstate:
                    return True
            elif isinstance(expected, Response) and sqlstate in ERRORS and from_json(answer)[0] == ERRORS[sqlstate][0]:
                return True
        return False

    def is_silent(self, operation, answer, said):
        """No message has a value of a connection in it."""
        if isinstance(answer, psycopg2.Error):
            d = answer.diag
            said += "\n".join(filter(None, (d.message_primary, d.message_detail, d.message_hint, d.context, d.internal_query)))
        if SECRET in said:
            raise Disagreement(self.told(operation, "no value of a connection", said))

    def told(self, operation, expected, got):
        """What led to it: the last dozen operations of the same projects, and the beginnings and ends of transactions between them."""
        lines, found = [f"operation {len(self.past)}: {operation}", f"  expected: {expected}", f"  got:      {got}"], 0
        for project in operation.projects:
            lines[:0] = [f"  there is {row}" for row in self.database.sources(project)]
        for past, answer in reversed(self.past[-200:-1]):
            if past.function in TRANSACTIONS:
                lines.insert(0, f"  {past}")
            elif set(past.projects) & set(operation.projects):
                lines[:0] = [f"  {past}", f"    -> {shown(answer)}"]
                found += 1
            if found == 12:
                break
        return "\n".join(lines)

    # What the answer doesn't tell, but what follows depends on

    def learn(self, operation, answer):
        server, session = self.servers[operation.session], self.database.sessions[operation.session]
        for copy in self.database.bindings:
            got = server.as_superuser("SELECT project_dbt_source_uuid::text FROM project_dbt_sources WHERE project_uuid = %s AND name = %s",
                                      (copy.project, copy.name))
            if not same(copy.uuid, got):
                raise Disagreement(self.told(operation, f"a copy of {copy.name} with a UUIDv4", str(got)))
        if operation.function == "reencrypt_dbt_connections":
            active, kids = str(self.database.kids[0]), self.kids_of_stored(server)
            moved = [row for row in self.database.to_reencrypt() if kids[row.project, str(row.uuid)] == active]
            if len(moved) != int(answer):
                raise Disagreement(self.told(operation, f"{answer} connections encrypted anew", str(len(moved))))
            self.database.call(session, "postgres", True, self.database.encrypt_anew, moved)

    def kids_of_stored(self, server):
        """By project and source the id of the key, as the header of what is stored has it."""
        return {(project, source): kid(header) for project, source, header in from_json(server.as_superuser(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(project_uuid, project_dbt_source_uuid, split_part(dbt_connection, '.', 1))), '[]')::text"
            " FROM project_dbt_sources WHERE dbt_connection IS NOT NULL"))}

    # What is stored

    def check(self):
        """Compares all rows, and every connection that can be decrypted."""
        rows = {(row.project, str(row.uuid)): row for row in self.database.committed.values() if hasattr(row, "precedence")}
        spoiled = [str(row.uuid) for row in rows.values() if not row.whole]
        server = self.servers[1]
        stored = from_json(server.as_superuser("""
            SELECT coalesce(jsonb_agg(jsonb_build_array(project_uuid, project_dbt_source_uuid, name, precedence, version, split_part(dbt_connection, '.', 1),
                CASE WHEN project_dbt_source_uuid <> ALL (%s::uuid[]) THEN project_dbt_connection(project_uuid, project_dbt_source_uuid) END)), '[]')::text
            FROM project_dbt_sources""", (spoiled,)))
        for project, source, name, precedence, version, header, connection in stored:
            row = rows.pop((project, source), None) or self.database.made_up(project)
            expected = [str(row.uuid), row.name, row.precedence, row.version, row.kid, row.connection if row.whole else None]
            got = [source, name, precedence, version, header and kid(header), connection]
            if not same(expected, got):
                raise Disagreement(f"what is stored after {len(self.past)} operations, of project {project}:\n"
                                   f"  expected: {shown(expected)}\n  got:      {shown(got)}")
        if rows:
            raise Disagreement(f"after {len(self.past)} operations there isn't: {list(rows.values())}")

    def finish(self):
        self.servers[0].ask("ROLLBACK")
        self.database.rollback(self.database.sessions[0])
        self.check()


def kid(header):
    """Of the header of an envelope, or None if it's none."""
    try:
        return json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    except ValueError:
        return None


class Progress:
    """A line that moves on a terminal, or else one now and then."""

    def __init__(self, count):
        self.count, self.moves = count, sys.stdout.isatty()

    def show(self, done):
        if self.moves:
            print(f"\r\033[K{done} of {self.count} operations", end="", flush=True)
        elif done % 5000 == 0:
            print(f"# {done} of {self.count} operations", flush=True)

    def end(self):
        if self.moves:
            print("\r\033[K", end="", flush=True)


def disagreement(seed, count, servers, progress=None):
    """Runs; returns the first disagreement, or None, and the number of operations."""
    run = Run(seed, servers)
    try:
        for done in range(1, count + 1):
            run.step()
            if progress and done % 100 == 0:
                progress.show(done)
        run.finish()
    except Disagreement as found:
        return str(found), len(run.past)
    finally:
        if progress:
            progress.end()
    return None, len(run.past)


class Results:
    """In the form of TAP."""

    def __init__(self):
        self.number, self.failures = 0, 0

    def result(self, ok, what, more=None):
        self.number += 1
        self.failures += not ok
        print(f"{'ok' if ok else 'not ok'} {self.number} - {what}")
        if not ok and more:
            print("".join(f"# {line}\n" for line in more.split("\n")), end="")
        sys.stdout.flush()


def main():
    sys.setrecursionlimit(20000)        # for connections that are nested very deep
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int)
    parser.add_argument("--wrong")
    options = parser.parse_args()
    rules = [rule for rule in wrong.RULES if options.wrong in (rule.name, "all")]
    if options.wrong and not rules:
        sys.exit("there is no such wrong rule; there are:\n" + "\n".join(rule.name for rule in wrong.RULES))

    servers, results = [Server(), Server()], Results()
    seed = random.randrange(10 ** 6) if options.seed is None and not rules else options.seed or 0
    print(f"seed {seed}", flush=True)
    if not rules:
        found, done = disagreement(seed, options.count or OPERATIONS, servers, Progress(options.count or OPERATIONS))
        results.result(found is None, f"{done} operations, all as the model says" if found is None else f"operation {done} isn't as the model says",
                       f"{found}\nagain: test/model --seed {seed} --count {done}")
        if options.count is None:
            # always the same, so that what is seen doesn't depend on luck
            rules, seed = wrong.RULES, options.seed or 0
    most = 0
    for rule in rules:
        with rule:
            found, done = disagreement(seed, options.count or UNTIL_SEEN, servers)
        results.result(found is not None, f"with a wrong rule it disagrees: {rule.name}" + (f" ({done} operations)" if found else ""),
                       f'{done} operations were as the model says\nagain: test/model --seed {seed} --count {done} --wrong "{rule.name}"')
        most = max(most, done)
    if rules:
        found, done = disagreement(seed, most, servers)
        results.result(found is None, f"{done} operations, as many as it took, with the right rules", f"{found}\nagain: test/model --seed {seed} --count {done}")
    print(f"1..{results.number}")
    sys.exit(results.failures > 0)


if __name__ == "__main__":
    main()
