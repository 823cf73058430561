"""What a connection may be, who is shown what of it, and what an update keeps.

Written from docs/connections.md, not from src/.  A connection is JSON as Python has it, with numbers as Decimal.
A problem is the path to it, as a tuple: ("dbtConnection", "environment", 0, "key").
"""
import re
import unicodedata
from decimal import Decimal

# of each type what is required, and what is optional
TYPES = {
    "dbt": ("", "target environment selector profiles_dir project_dir"),
    "dbt_cloud_ide": ("api_key environment_id", "discovery_api_endpoint tags webhook_hmac_secret"),
    "github": ("authorization_method repository branch project_sub_path",
               "personal_access_token installation_id host_domain target environment selector"),
    "gitlab": ("personal_access_token repository branch project_sub_path",
               "host_domain target environment selector"),
    "bitbucket": ("username personal_access_token repository branch project_sub_path",
                  "host_domain target environment selector"),
    "azure_devops": ("personal_access_token organization project repository branch project_sub_path",
                     "target environment selector"),
    "none": ("", "target environment selector hideRefreshButton"),
    "manifest": ("manifest hideRefreshButton", ""),
}
REQUIRED = {type: required.split() for type, (required, _) in TYPES.items()}
FIELDS = {type: ["type"] + required.split() + optional.split() for type, (required, optional) in TYPES.items()}

GIT = ("github", "gitlab", "bitbucket", "azure_devops")
SECRETS = ("personal_access_token", "api_key", "webhook_hmac_secret")
HOSTS = ("host_domain", "discovery_api_endpoint")
METHODS = ("personal_access_token", "installation_id")

SECRET_VARIABLE = "DBT_ENV_SECRET"
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)?")
REFUSED_PREFIXES = tuple("""LIGHTDASH_DBT_PROFILE_VAR_ LD_ DYLD_ GLIBC_ GCONV_ MALLOC_ GIT_ SSH_ BASH_ XDG_ PYTHON PIP_ UV_ CONDA_
    VIRTUAL_ENV NODE_ NPM_CONFIG_ npm_config_ PERL5 PERLLIB RUBY GEM_ BUNDLE_ JAVA_TOOL_OPTIONS _JAVA_OPTIONS""".split())
REFUSED_NAMES = """PATH HOME SHELL IFS CDPATH PS4 PROMPT_COMMAND TMPDIR TMP TEMP LOCPATH NLSPATH HOSTALIASES RES_OPTIONS
    RESOLV_HOST_CONF EDITOR VISUAL PAGER LESSOPEN LESSCLOSE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy
    all_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CURL_HOME OPENSSL_CONF OPENSSL_ENGINES
    OPENSSL_MODULES DBT_PROFILES_DIR DBT_PROJECT_DIR DBT_TARGET_PATH DBT_LOG_PATH DBT_PACKAGES_INSTALL_PATH""".split()

MAX_LEVELS = 1000
MAX_DIGITS = 400
SMALLEST, LARGEST = Decimal("5e-324"), Decimal("1.7976931348623157e308")
MAX_NAME = 255

AT = ("dbtConnection",)
ABSENT = object()


# Characters

def is_control(c):
    return unicodedata.category(c) == "Cc"


def is_invisible(c):
    return unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")


def is_blank(c):
    return unicodedata.category(c) == "Zs"


def is_clean(field, text):
    """Tokens, user names and hosts: nothing that was pasted along."""
    if any(is_invisible(c) for c in text):
        return False
    if field in HOSTS:
        return not any(is_blank(c) for c in text)
    return not text or not (is_blank(text[0]) or is_blank(text[-1]))


def is_name(name):
    return (isinstance(name, str) and any(not is_blank(c) for c in name) and len(name) <= MAX_NAME
            and not any(is_control(c) for c in name))


# Numbers and nesting

def is_number_in_range(number):
    _, digits, exponent = number.as_tuple()
    written = max(1, len(digits) + exponent) + max(0, -exponent) if number else 1 + max(0, -exponent)
    return (number == 0 or SMALLEST <= abs(number) <= LARGEST) and written <= MAX_DIGITS


def levels(value):
    """How deep it is nested; not by recursion, as that may be very deep."""
    deepest, left = 0, [(value, 1)]
    while left:
        value, level = left.pop()
        if isinstance(value, (dict, list)):
            deepest = max(deepest, level)
            left.extend((item, level + 1) for item in (value.values() if isinstance(value, dict) else value))
    return deepest


def leaves(value, path, max_levels=None):
    """All values that aren't arrays or objects, and all names of members, with their paths, in the order of the text; with max_levels
    up to what is nested deeper."""
    left = [(ABSENT, value, path, 1)]
    while left:
        name, value, path, level = left.pop()
        if name is not ABSENT:
            yield name, path
        if not isinstance(value, (dict, list)):
            yield value, path
        elif max_levels is not None and level > max_levels:
            return
        elif isinstance(value, dict):
            left.extend((name, item, path + (name,), level + 1) for name, item in reversed(value.items()))
        else:
            left.extend((ABSENT, item, path + (index,), level + 1) for index, item in reversed(list(enumerate(value))))


def numbers_out_of_range(value, path):
    return [at for leaf, at in leaves(value, path) if isinstance(leaf, Decimal) and not is_number_in_range(leaf)]


# What a connection may be

def is_refused(key):
    return key.startswith(REFUSED_PREFIXES) or key in REFUSED_NAMES


def is_secret_variable(key):
    return isinstance(key, str) and key.startswith(SECRET_VARIABLE)


def problems_of_environment(variables, at):
    if not isinstance(variables, list):
        return [at]
    problems = []
    for index, variable in enumerate(variables):
        if not isinstance(variable, dict):
            problems.append(at + (index,))
            continue
        key, value = variable.get("key", ABSENT), variable.get("value", ABSENT)
        if not isinstance(key, str) or not VARIABLE.fullmatch(key) or is_refused(key):
            problems.append(at + (index, "key"))
        if not isinstance(value, str):
            problems.append(at + (index, "value"))
        for name, more in variable.items():
            if name not in ("key", "value"):
                problems += numbers_out_of_range(more, at + (index, name))
    return problems


def problems_of_field(field, value, at):
    if field == "environment":
        return problems_of_environment(value, at)
    if field == "tags":
        if not isinstance(value, list):
            return [at]
        return [at + (index,) for index, tag in enumerate(value) if not isinstance(tag, str)]
    if field == "hideRefreshButton":
        good = isinstance(value, bool)
    elif field == "authorization_method":
        good = isinstance(value, str) and value in METHODS
    else:
        good = isinstance(value, str)
        if good and (field in SECRETS or field in HOSTS or field == "username"):
            good = is_clean(field, value)
    return [] if good else [at]


def type_of(connection):
    """None if it isn't one of the eight."""
    if not isinstance(connection, dict):
        return None
    type = connection.get("type")
    return type if isinstance(type, str) and type in TYPES else None


def problems_of(connection):
    if not isinstance(connection, dict):
        return [AT]
    type = type_of(connection)
    if type is None:
        return [AT + ("type",)]
    problems = [AT] if levels(connection) > MAX_LEVELS else []
    for field, value in connection.items():
        if field in FIELDS[type]:
            problems += problems_of_field(field, value, AT + (field,))
        else:
            problems += numbers_out_of_range(value, AT + (field,))
    problems += [AT + (field,) for field in REQUIRED[type] if field not in connection]
    return problems


# What a view withholds

def is_withheld(type, field):
    return field in SECRETS or field not in FIELDS[type]


def view(connection, manages):
    type, shown = connection["type"], {}
    for field, value in connection.items():
        if is_withheld(type, field):
            continue
        if field == "environment":
            if not manages:
                continue
            value = [{"key": v["key"], "value": "" if is_secret_variable(v["key"]) else v["value"]} for v in value]
        shown[field] = value
    return shown


def identity(connection):
    """What the summary shows of it."""
    names = {"repository": "repository", "branch": "branch", "projectSubPath": "project_sub_path"}
    git = connection is not None and connection["type"] in GIT
    shown = {name: connection[field] if git else None for name, field in names.items()}
    return {"type": connection and connection["type"], **shown}


# Where a secret goes

OWN_HOSTS = {
    "github": {"host_domain": "github.com"},
    "gitlab": {"host_domain": "gitlab.com"},
    "bitbucket": {"host_domain": "bitbucket.org"},
    "dbt_cloud_ide": {"discovery_api_endpoint": "https://metadata.cloud.getdbt.com/graphql"},
}
DESTINATIONS = ("host_domain", "username", "discovery_api_endpoint")
DESTINATIONS_OF_ENVIRONMENT = DESTINATIONS + ("repository", "organization", "project", "project_dir")
PLAIN = re.compile(r"[\x21-\x24\x26-\x5b\x5d-\x7e]*")         # no percent sign, no backslash


def normal_host(type, field, host):
    host = host.strip(" ") or OWN_HOSTS[type][field]
    scheme, separator, rest = host.partition("://")
    if separator and not scheme:
        return host
    if not separator:
        scheme, rest = "", host
    elif "\\" not in host:
        rest = rest.split("/", 1)[0]
    if not PLAIN.fullmatch(scheme + rest):
        return host
    return scheme.lower() + separator + re.sub(r"\.(?=$|:\d+$)", "", rest.lower(), count=1)


def destination(type, field, connection):
    value = connection.get(field, "")
    if isinstance(value, str) and field in HOSTS:
        return normal_host(type, field, value)
    return value


def moved(type, fields, stored, sent):
    """Whether one of the destinations is another one now."""
    return any(destination(type, field, stored) != destination(type, field, sent)
               for field in fields if field in FIELDS[type])


def secret_moves(type, stored, sent):
    return moved(type, DESTINATIONS, stored, sent)


def environment_moves(type, stored, sent):
    return moved(type, DESTINATIONS_OF_ENVIRONMENT, stored, sent)


# What an update keeps of the stored connection

def is_left_out(value):
    """Left out of an update, or sent empty."""
    return value is ABSENT or isinstance(value, str) and value == ""


def is_secret(value):
    return not (is_left_out(value) or value is None or value == [])


def what_may_be_kept(stored, type):
    return stored if stored is not None and stored["type"] == type else {}


def is_removed(type, field, value):
    return value is None and field not in REQUIRED[type]


def has_use_for(connection, field):
    return not (field == "personal_access_token" and connection["type"] == "github"
                and connection.get("authorization_method") == "installation_id")


def kept(sent, stored):
    """What is to be stored, and the problems of keeping it.

    sent is of one of the types; stored is what is there, or None.
    """
    type, result, problems = sent["type"], dict(sent), []
    old = what_may_be_kept(stored, type)
    withheld = [field for field in {**sent, **old} if is_withheld(type, field)]
    for field in withheld:
        value = sent.get(field, ABSENT)
        if is_removed(type, field, value):
            del result[field]
        elif is_left_out(value) and field in old and has_use_for(sent, field):
            result[field] = old[field]
            if secret_moves(type, old, sent) and is_secret(old[field]):
                problems.append(AT + (field,))
    if "environment" in FIELDS[type]:
        keep_environment(type, sent, old, result, problems)
    return result, problems


def keep_environment(type, sent, old, result, problems):
    at, moves = AT + ("environment",), environment_moves(type, old, sent)
    if "environment" not in sent:
        if keeps_environment(old):
            result["environment"] = old["environment"]
            if moves and old["environment"]:
                problems.append(at)
        return
    if not isinstance(sent["environment"], list):
        return
    # of several variables of one name the first keeps what the first has, and so on
    left = list(old.get("environment", []))
    result["environment"] = []
    for index, variable in enumerate(sent["environment"]):
        if isinstance(variable, dict):
            counterpart = take_counterpart(left, variable.get("key", ABSENT))
            variable = keep_variable(variable, counterpart or {}, moves, at + (index,), problems)
        result["environment"].append(variable)


def keeps_environment(old):
    return "environment" in old


def take_counterpart(left, key):
    """The first of the stored variables of that name, which no other one of those that were sent gets then."""
    for index, variable in enumerate(left):
        if variable["key"] == key:
            return left.pop(index)


def keep_variable(sent, old, moves, at, problems):
    result = dict(sent)
    for name in {**sent, **old}:
        value = sent.get(name, ABSENT)
        if name == "key" or name == "value" and not is_secret_variable(sent.get("key")):
            continue
        if value is None and name != "value":
            del result[name]
        elif is_left_out(value) and name in old:
            result[name] = old[name]
            if moves and is_secret(old[name]):
                problems.append(at + (name,))
        elif name == "value" and is_empty_without_counterpart(value):
            problems.append(at + (name,))
    return result


def is_empty_without_counterpart(value):
    return value == ""


# What an update would keep of a connection that can't be read

def would_keep(sent, type, known, environment):
    """type is what is stored; known and environment what its header says: whether it has only fields of the table,
    and whether it has an environment."""
    if type_of(sent) != type:
        return False
    if not known:
        return True
    if any(field in FIELDS[type] and is_left_out(sent.get(field, ABSENT)) and has_use_for(sent, field) for field in SECRETS):
        return True
    if "environment" not in FIELDS[type]:
        return False
    variables = sent.get("environment", ABSENT)
    if variables is ABSENT:
        return environment
    return isinstance(variables, list) and any(
        isinstance(v, dict) and is_secret_variable(v.get("key")) and is_left_out(v.get("value", ABSENT)) for v in variables)
