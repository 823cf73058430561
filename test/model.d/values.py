"""Random values: connections, bodies, and what nobody would send in good faith.

A value that must not be told has the word sesame in it.
"""
import json
from decimal import Decimal

import rules

SECRET = "sesame"

NAMES = ["a", "b", "c", "Sales", "sales", "Größe", "🦊", " padded ", "x" * 255, "Project dbt connection"]
BAD_NAMES = ["", "   ", "\u3000\u00a0", "x" * 256, "ü" * 256, "a\tb", "\x7f", "a\u0085", None, Decimal(7), [], {}, True]

HOSTS = ["", "github.com", "GitHub.com", "gitlab.com.", "bitbucket.org", "own.example", "Own.Example", "own.example.", "own.example:8443",
         "own.example.:8443", "OWN.example:8443", "https://own.example", "HTTPS://own.example/path", "https://own.example/", "own.example/path",
         "x@own.example", "own.example@evil.example", "öwn.example", "ÖWN.example", "own%2eexample", "own.example\\x", "evil.example", "own.example.."]
BAD_HOSTS = [" own.example", "own.example ", "github.com\t", " github.com", "\u3000gitlab.com", " ", "own .example", "own.example\n", "\ufeffown.example", "own\u200b.example", "own\u00a0.example"]
OWN = "https://metadata.cloud.getdbt.com"
# the same as what is left out
OWN_HOSTS = {type: ["", host, host.upper(), host + "."] for type, host in (
    ("github", "github.com"), ("gitlab", "gitlab.com"), ("bitbucket", "bitbucket.org"))}
ENDPOINTS = ["", OWN + "/graphql", OWN, OWN.upper() + "/x", OWN + "./", "http://metadata.cloud.getdbt.com/graphql", OWN + ":8443/graphql",
             "https://own.example/a", "https://own.example/b", "https://Own.example./c?d=e", "https://own.example?d=e", "https://own.example:1/a",
             "https://x@own.example/a", "https://own.example/\\a", "https://own.example/%20", "own.example", OWN + "@evil.example/"]
TEXTS = {
    "repository": ["acme/shop", "acme/shop2", "", "acme/größe", "a\nb"],
    "organization": ["acme", "Globex", ""],
    "project": ["shop", "shop2"],
    "project_dir": ["", "/usr/app/dbt", "/elsewhere"],
    "branch": ["main", "release", "", " ", "\u0001", "🦊\u200b", "a\"b\\c'd$e"],
    "project_sub_path": ["/", "/dbt", ""],
    "username": ["u", "U", "other@x", "", "ü"],
    "authorization_method": ["personal_access_token", "installation_id"],
    "manifest": ["{}", "", "{\"a\": \"\\u0000\"}", "x" * 3000],
    "host_domain": HOSTS,
    "discovery_api_endpoint": ENDPOINTS,
}
PASTED = [" x", "x ", "x\n", "\tx", "x\u200by", "\ufeffx", "x\u00a0", "\u3000x", "x\u202ey", "x\u00ady", "x\u2028y", "x\u0085", "x\x7f", "x\U000e0041"]

KEYS = ["DBT_ENV_SECRET_A", "DBT_ENV_SECRET_B", "DBT_ENV_SECRET", "DBT_ENV_SECRETX", "A", "B", "", "DBT_SCHEMA", "_x1", "dbt_env_secret_a"]
FINE_KEYS = ["ENV", "LDAP_HOST", "HOMEPAGE", "GITHUB_TOKEN", "GIT", "Path", "PATH_X", "PIPELINE"]
BAD_KEYS = ["1A", "A-B", "A B", "Ä", "A\n", " A", "A.B"]
EXTRAS = ["note", "comment", "a: b"]

# what isn't in the table of any type, or not in that of some
UNKNOWN = ["ssh_key", "x", "nested", "a: b", "", "ä\n", "\"\\", "personal_access_token", "api_key", "host_domain", "username", "environment",
           "tags", "organization", "Repository", "webhook_hmac_secret", "name", "branch"]

NUMBERS = ["0", "-0", "7", "1.50", "-1e10", "1.7976931348623157e308", "5e-324", "0e5", "123456789012345678901234567890.000", "0.1"]
BAD_NUMBERS = ["1.9e308", "-1e309", "1e-330", "1e1000", "9e131071", "0." + "7" * 400, "1" * 310, "0e-400", "1e-16383"]
TOO_LARGE = ["1e999999", "-1e-999999", "1e131072"]
STRANGE = ["\0", "a\0b", "\ud800", "\udc00\ud800", "x\udfff"]


def chance(random, p):
    return random.random() < p


class Values:
    def __init__(self, random):
        self.random, self.made = random, 0

    def pick(self, *choices):
        return self.random.choice(choices)

    def secret(self):
        self.made += 1
        return f"{SECRET}-{self.made}{self.random.choice(['', '', '', 'é🦊', ' x', chr(92) + chr(34), chr(36) * 2 + chr(39)])}"

    def project_name(self):
        return self.random.choice(BAD_NAMES if chance(self.random, 0.12) else NAMES)

    def number(self):
        return Decimal(self.random.choice(BAD_NUMBERS if chance(self.random, 0.1) else NUMBERS))

    def anything(self, depth=0):
        kind = self.random.randrange(9 if depth < 3 else 6)
        if kind == 0:
            return None
        if kind == 1:
            return ""
        if kind == 2:
            return self.number()
        if kind == 3:
            return chance(self.random, 0.5)
        if kind <= 5:
            return self.secret()
        if kind == 6:
            return [self.anything(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(UNKNOWN): self.anything(depth + 1) for _ in range(self.random.randrange(4))}

    def variable(self):
        key = self.random.choice(KEYS)
        if chance(self.random, 0.05):
            key = self.random.choice([*FINE_KEYS, *BAD_KEYS, *rules_keys(self.random)])
        variable = {"key": key, "value": self.secret() if rules.is_secret_variable(key) else self.pick("v", "w", "", "ü\n")}
        if chance(self.random, 0.15):
            variable[self.random.choice(EXTRAS)] = self.anything(2)
        return variable

    def environment(self):
        variables = [self.variable() for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 4]))]
        if variables and chance(self.random, 0.15):
            variables.append({**self.variable(), "key": variables[0]["key"]})
        return variables

    def field(self, name, type):
        if name == "host_domain" and type in OWN_HOSTS and chance(self.random, 0.4):
            return self.random.choice(OWN_HOSTS[type])
        if name in rules.SECRETS:
            return self.random.choice([self.secret(), self.secret(), self.secret(), ""])
        if name == "environment":
            return self.environment()
        if name == "tags":
            return [self.pick("a", "", "ü") for _ in range(self.random.randrange(3))]
        if name == "hideRefreshButton":
            return chance(self.random, 0.5)
        return self.random.choice(TEXTS.get(name, ["x", "", "y"]))

    def connection(self, type=None):
        """A valid one, nearly always."""
        type = type or self.random.choices(list(rules.TYPES), [2, 2, 3, 2, 3, 2, 1, 1])[0]
        connection = {"type": type}
        for name in rules.FIELDS[type][1:]:
            if name in rules.REQUIRED[type] or chance(self.random, 0.45):
                connection[name] = self.field(name, type)
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            name = self.random.choice(UNKNOWN)
            if name not in rules.FIELDS[type]:
                connection[name] = self.anything()
        return connection

    def changed(self, connection):
        """The same with a few things done to it, in good faith or not."""
        connection = json_copy(connection)
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 2, 3])):
            self.change(connection)
        return connection

    def change(self, connection):
        type = rules.type_of(connection)
        fields = rules.FIELDS.get(type, [])[1:]
        name = self.random.choice(list(connection) + fields + UNKNOWN[:2])
        withheld = [f for f in fields if f in rules.SECRETS] + [f for f in connection if f not in fields and f != "type"]
        if withheld and chance(self.random, 0.4):
            name = self.random.choice(withheld)
        what = self.random.randrange(20)
        if name == "type":
            if what < 2:
                connection["type"] = self.pick("svn", None, Decimal(1), ["github"], "GitHub", "", "type")
        elif what < 4:
            connection.pop(name, None)
        elif what < 6:
            connection[name] = ""
        elif what < 8:
            connection[name] = None
        elif what < 9:
            connection[name] = self.anything()
        elif what < 10 and (name in rules.SECRETS or name in rules.HOSTS or name == "username"):
            connection[name] = self.random.choice(BAD_HOSTS if name in rules.HOSTS else PASTED)
        elif what < 14:
            destinations = [f for f in fields if f in rules.DESTINATIONS_OF_ENVIRONMENT]
            if destinations:
                name = self.random.choice(destinations)
            connection[name] = self.field(name, type) if name in fields else self.anything()
        elif what < 18 and "environment" in fields:
            self.change_environment(connection)
        elif what < 19:
            connection[name] = self.field(name, type)

    def change_environment(self, connection):
        variables = connection.get("environment")
        if not isinstance(variables, list):
            connection["environment"] = self.environment()
            return
        what = self.random.randrange(13)
        if what == 0:
            variables.insert(self.random.randrange(len(variables) + 1), self.variable())
        elif what == 1:
            variables.append(self.anything())
        elif what == 2:
            connection["environment"] = []
        elif not variables:
            variables.append({"key": self.random.choice(KEYS), "value": ""})
        else:
            at = self.random.randrange(len(variables))
            if not isinstance(variables[at], dict) or what == 3:
                del variables[at]
            elif what == 4:
                variables.append(dict(variables[at]))
            elif what == 5:
                variables[at]["key"] = self.random.choice(KEYS)
            elif what in (6, 7):
                variables[at]["value"] = ""
            elif what == 8:
                variables[at].pop("value", None)
            elif what == 9:
                variables[at][self.random.choice(["key", "value", "note"])] = self.anything(2)
            elif what == 10:
                variables[at][self.random.choice(EXTRAS)] = self.random.choice([None, "", self.secret()])
            elif what == 11:
                self.random.shuffle(variables)
            else:
                # two of one name
                variables[:] = [{"key": key, "value": self.secret() if chance(self.random, 0.5) else ""} for key in [KEYS[0]] * 2]

    def deep(self):
        value = []
        for _ in range(self.random.choice([997, 998, 999, 1000, 2000])):
            value = [value]
        return {"type": self.pick("none", "dbt"), "x": value}

    def many_problems(self):
        return {"type": "dbt_cloud_ide", "tags": [Decimal(n) for n in range(self.random.choice([97, 98, 99, 100, 250]))]}

    def junk(self):
        return self.random.choice([None, [], "x", "", Decimal(7), True, {}, [{"type": "none"}], "{\"type\": \"none\"}"])


def rules_keys(random):
    """Names that are refused, or begin with what is, or nearly."""
    return [random.choice(rules.REFUSED_NAMES), random.choice(rules.REFUSED_PREFIXES), random.choice(rules.REFUSED_PREFIXES) + "X",
            "X" + random.choice(rules.REFUSED_PREFIXES)]


def json_copy(value):
    if isinstance(value, dict):
        return {name: json_copy(item) for name, item in value.items()}
    return [json_copy(item) for item in value] if isinstance(value, list) else value


def to_json(value, random=None):
    """As JSON; with random in one of the many ways to write it."""
    if isinstance(value, dict):
        members = [(name, to_json(item, random)) for name, item in value.items()]
        if random and members and chance(random, 0.1) and not members[-1][0].startswith(tuple(STRANGE)) and "\0" not in members[-1][0]:
            # of members of one name the last one counts
            members.insert(0, (members[-1][0], random.choice(['"not this"', "null", "[{}]", "1"])))
        return "{" + ", ".join(f"{string(name, random)}: {item}" for name, item in members) + "}"
    if isinstance(value, list):
        depth, inner = 0, value
        while isinstance(inner, list) and len(inner) == 1:      # very deep ones have one item each
            depth, inner = depth + 1, inner[0]
        inner = "[" + ", ".join(to_json(item, random) for item in inner) + "]" if isinstance(inner, list) else to_json(inner, random)
        return "[" * depth + inner + "]" * depth
    if isinstance(value, str):
        return string(value, random)
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value)


def string(text, random):
    if not random or any("\ud800" <= c <= "\udfff" for c in text):
        return json.dumps(text)
    written = json.dumps(text, ensure_ascii=chance(random, 0.5))
    if text and text[0].isalpha() and text[0].isascii() and chance(random, 0.05):
        written = '"\\u%04x' % ord(text[0]) + written[2:]
    return written


def from_json(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
