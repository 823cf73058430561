// What holds beyond the contract, as the documentation has it.  Each rule says
// where it refuses what the contract allows, or allows what the contract refuses.
import { depth, isObject, Numeral, walk } from './json.js';
import { stored } from './stored.js';

// what we say about what the contract has against a value, by its keyword
export const said = {
  required: /^is required(| and must be one of dbt, [a-z_, ]+)$/,
  enum: /^must be one of [a-z_, ]+$/,
  'type string': /^must (be a string|be one of dbt, [a-z_, ]+|not be null)$/,
  'type boolean': /^must be true or false$/,
  'type array': /^must be an array of (strings|objects with key and value)(|, not a string with JSON in it \(was it encoded twice\?\))$/,
  'type object': /^must (be an object(| with key and value)(|, not a string with JSON in it \(was it encoded twice\?\))|not be null)$/,
};

const secrets = ['personal_access_token', 'api_key', 'webhook_hmac_secret'];
const hosts = ['host_domain', 'discovery_api_endpoint'];
const texts = [...secrets, 'username', ...hosts];
const secretVariable = 'DBT_ENV_SECRET';

// where a secret goes, and where the environment does beyond that
const destinations = ['host_domain', 'discovery_api_endpoint'];
const destinationsOfBitbucket = [...destinations, 'username'];
const destinationsOfEnvironment = ['repository', 'organization', 'project', 'project_dir'];
const ownHosts = { github: 'github.com', gitlab: 'gitlab.com', bitbucket: 'bitbucket.org', dbt_cloud_ide: 'https://metadata.cloud.getdbt.com/graphql' };

const refusedPrefixes = `LIGHTDASH_DBT_PROFILE_VAR_ LD_ DYLD_ GLIBC_ GCONV_ MALLOC_ GIT_ SSH_ BASH_ XDG_ PYTHON PIP_ UV_ CONDA_ VIRTUAL_ENV NODE_ NPM_CONFIG_
  npm_config_ PERL5 PERLLIB RUBY GEM_ BUNDLE_ JAVA_TOOL_OPTIONS _JAVA_OPTIONS`.split(/\s+/);
const refusedNames = `PATH HOME SHELL IFS CDPATH PS4 PROMPT_COMMAND TMPDIR TMP TEMP LOCPATH NLSPATH HOSTALIASES RES_OPTIONS RESOLV_HOST_CONF EDITOR VISUAL
  PAGER LESSOPEN LESSCLOSE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
  CURL_CA_BUNDLE CURL_HOME OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES DBT_PROFILES_DIR DBT_PROJECT_DIR DBT_TARGET_PATH DBT_LOG_PATH
  DBT_PACKAGES_INSTALL_PATH`.split(/\s+/);

const MAX_NAME = 255;
const MAX_DIGITS = 400;
const MAX_LEVELS = 1000;
export const MAX_PROBLEMS = 100;

const control = /\p{Cc}/u;
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u{fff9}-\u{fffb}]/u;
const blank = /(?!\p{Cc})\p{White_Space}/u;
const onlyBlanks = /^((?!\p{Cc})\p{White_Space})*$/u;
const blankAtAnEnd = /^(?!\p{Cc})\p{White_Space}|(?!\p{Cc})\p{White_Space}$/u;

// how numeric writes a number: 12.50e1 is 125.0
function digits(text) {
  const [, whole, fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const scale = Math.max(0, fraction.length - Number(exponent));
  const zero = /^0*$/.test(whole + fraction);
  const before = zero ? 1 : Math.max(1, whole.replace(/^0+/, '').length + Number(exponent));
  return { before, scale, zero };
}
function fits({ text }) {
  const { before, scale, zero } = digits(text);
  const number = Number(text);
  return Number.isFinite(number) && (number !== 0) !== zero && before + scale <= MAX_DIGITS;
}
// what jsonb takes at all
function isNumeric({ text }) {
  const { before, scale } = digits(text);
  return before <= 131072 && scale <= 16383;
}
const isText = (text) => !/[\0\p{Surrogate}]/u.test(text);

// A connection's facts, of a case whose type the contract knows.
export class Facts {
  constructor(contract, one) {
    Object.assign(this, one);
    const alternative = isObject(one.connection) ? contract.named(one.connection) : undefined;
    this.known = alternative !== undefined;
    this.fields = alternative?.fields ?? new Set();
    const before = stored[one.source];
    this.stored = this.known && before?.type === one.connection.type ? before : undefined;
    const { environment } = this.known && this.fields.has('environment') ? one.connection : {};
    this.variables = Array.isArray(environment) ? environment : [];
  }

  // a field that the type has, if it is a string
  string(name) {
    const value = this.fields.has(name) ? this.connection[name] : undefined;
    return typeof value === 'string' ? value : undefined;
  }

  *texts() {
    for (const name of texts) if (this.string(name)) yield [['dbtConnection', name], this.string(name), hosts.includes(name)];
  }

  // whether a path leads to where the contract has no say
  isUnknown([, name, element, member]) {
    if (name !== 'environment' || !this.fields.has(name)) return !this.fields.has(name);
    return isObject(this.variables[element]) && member !== undefined && member !== 'key' && member !== 'value';
  }

  isTooDeep() {
    // each level has two brackets
    return this.known && this.text.length > 2 * MAX_LEVELS && depth(this.connection) > MAX_LEVELS;
  }

  changed(names) {
    return names.some((name) => this.fields.has(name) && !this.#same(name, this.stored[name], this.connection[name]));
  }

  #same(name, a = '', b = '') {
    if (typeof b !== 'string') return false;
    const own = ownHosts[this.connection.type];
    return a === b || (hosts.includes(name) && normalHost(a || own) === normalHost(b || own));
  }

  secretsMove() {
    return this.changed(this.connection.type === 'bitbucket' ? destinationsOfBitbucket : destinations);
  }

  environmentMoves() {
    return this.secretsMove() || this.changed(destinationsOfEnvironment);
  }

  // the secrets that an update takes from what is stored
  *keptSecrets() {
    if (!this.stored) return;
    for (const name of secrets) {
      const unused = this.connection.authorization_method === 'installation_id' && this.connection.type === 'github';
      if (this.fields.has(name) && !unused && isLeftOut(this.connection[name]) && this.stored[name] !== undefined) yield name;
    }
  }

  // each secret variable that is left empty, with the stored one: the n-th of a
  // name goes with the n-th
  *emptyVariables() {
    const before = this.stored?.environment ?? [];
    const seen = {};
    for (const [i, variable] of this.variables.entries()) {
      if (!isObject(variable) || typeof variable.key !== 'string') continue;
      const nth = (seen[variable.key] = (seen[variable.key] ?? -1) + 1);
      if (!variable.key.startsWith(secretVariable) || !isLeftOut(variable.value)) continue;
      yield [['dbtConnection', 'environment', i, 'value'], before.filter(({ key }) => key === variable.key)[nth], variable.value];
    }
  }
}

const isLeftOut = (value) => value === undefined || value === '';
const holdsSomething = (value) => value !== '' && value !== null && !(Array.isArray(value) && value.length === 0);

// host, host:port, or the origin of a URL
function normalHost(text) {
  const trimmed = text.replace(/^ +| +$/g, '');
  const [, scheme = '', name, port = '', path] = /^([A-Za-z]+:\/\/)?([A-Za-z0-9._-]+)(:\d+)?(\/[!-[\]-~]*)?$/.exec(trimmed) ?? [];
  if (name === undefined || (scheme === '' && path !== undefined)) return trimmed;
  return `${scheme}${name.length > 1 ? name.replace(/\.$/, '') : name}${port}`.toLowerCase();
}

const isString = (value) => typeof value === 'string';
const nameIn = ({ call, body }) => (call !== 'validate' && isObject(body) && isString(body.name) ? body.name : undefined);

// refuses, allows: the paths that it is about in a case
// may: those that it may be about, as something else is wrong there
// instead: the beginning of the paths of which no other problem is reported
export const rules = [
  {
    name: 'a name is not blank',
    message: /^must not be blank$/,
    *refuses(one) {
      if (onlyBlanks.test(nameIn(one) ?? 'x')) yield ['name'];
    },
  },
  {
    name: 'a name has at most 255 characters',
    message: /^must not be longer than 255 characters$/,
    *refuses(one) {
      if ([...(nameIn(one) ?? '')].length > MAX_NAME) yield ['name'];
    },
  },
  {
    name: 'a name has no control characters',
    message: /^must not contain control characters$/,
    *refuses(one) {
      if (control.test([...(nameIn(one) ?? '')].slice(0, MAX_NAME).join(''))) yield ['name'];
    },
    *may(one) {
      if (control.test(nameIn(one) ?? '')) yield ['name'];
    },
  },
  {
    name: 'a new source has a name and a connection',
    message: /^is required$/,
    *refuses({ creates, body }) {
      for (const name of creates && isObject(body) ? ['name', 'dbtConnection'] : []) if (!Object.hasOwn(body, name)) yield [name];
    },
  },
  {
    name: 'the primary source has its connection set elsewhere',
    message: /^cannot be changed here for the primary source; use set_project_dbt_connection$/,
    instead: ['dbtConnection'],
    *refuses({ source, connection }) {
      if (source === 'primary' && connection !== undefined) yield ['dbtConnection'];
    },
  },
  {
    name: 'the key of a variable is a name',
    message: /^must consist of letters, digits and underscores, and not begin with a digit$/,
    *refuses({ variables }) {
      for (const [i, variable] of variables.entries()) {
        if (isObject(variable) && isString(variable.key) && !/^([A-Za-z_][A-Za-z0-9_]*)?$/.test(variable.key)) yield ['dbtConnection', 'environment', i, 'key'];
      }
    },
  },
  {
    name: 'a variable does not change how dbt runs',
    message: /^must not name a variable that changes how dbt runs$/,
    *refuses({ variables }) {
      for (const [i, { key } = {}] of variables.map((variable) => (isObject(variable) ? variable : {})).entries()) {
        if (!isString(key) || !/^\w*$/.test(key)) continue;
        if (refusedNames.includes(key) || refusedPrefixes.some((prefix) => key.startsWith(prefix))) yield ['dbtConnection', 'environment', i, 'key'];
      }
    },
  },
  {
    name: 'tokens, user names and hosts have no control or invisible characters',
    message: /^must not contain control or invisible characters$/,
    *refuses(one) {
      for (const [path, text] of one.texts()) if (control.test(text) || invisible.test(text)) yield path;
    },
  },
  {
    name: 'tokens and user names have no blank at either end',
    message: /^must not begin or end with a blank$/,
    *refuses(one) {
      for (const [path, text, isHost] of one.texts()) if (!isHost && blankAtAnEnd.test(text) && !control.test(text) && !invisible.test(text)) yield path;
    },
  },
  {
    name: 'hosts have no blank at all',
    message: /^must not contain blanks$/,
    *refuses(one) {
      for (const [path, text, isHost] of one.texts()) if (isHost && blank.test(text) && !control.test(text) && !invisible.test(text)) yield path;
    },
  },
  {
    name: 'numbers are those of a double, in at most 400 digits',
    message: /^must be a number in the range of a double \(5e-324 to 1\.8e308\), of at most 400 digits$/,
    *refuses(one) {
      if (!one.isTooDeep()) for (const path of numbersOutOfRange(one)) if (one.isUnknown(path)) yield path;
    },
    *may(one) {
      yield* numbersOutOfRange(one);
    },
  },
  {
    name: 'nesting ends at 1,000 levels',
    message: /^must not be nested deeper than 1000 levels$/,
    *refuses(one) {
      if (!one.isTooDeep()) return;
      const unknown = Object.entries(one.connection).filter(([name]) => !one.fields.has(name)).map(([, value]) => value);
      const ofVariables = one.variables.filter(isObject).map(({ key, value, ...others }) => Object.values(others));
      if (Math.max(depth(unknown), depth([ofVariables])) > MAX_LEVELS) yield ['dbtConnection'];
    },
    *may(one) {
      if (one.isTooDeep()) yield ['dbtConnection'];
    },
  },
  {
    name: 'what jsonb cannot hold is refused over HTTP',
    message: /^must (not contain (\\u0000|a lone surrogate \(\\ud800 to \\udfff\)), which PostgreSQL's jsonb cannot hold|be a number in the range .*|not be nested .*)$/,
    instead: [],
    *refuses(one) {
      if (isStorable(one)) return;
      // a body has one level more than the connection in it
      if (depth(one.body) > MAX_LEVELS + 1) yield [];
      else yield* unstorable(one);
    },
    *may(one) {
      if (!isStorable(one)) yield* unstorable(one);
    },
  },
  {
    name: 'an update keeps a secret that is left out',
    *allows(one) {
      for (const name of one.keptSecrets()) yield ['dbtConnection', name];
    },
  },
  {
    name: 'an update keeps the value of a secret variable that is left out',
    *allows(one) {
      if (one.updates) for (const [path, before] of one.emptyVariables()) if (before) yield path;
    },
  },
  {
    name: 'an update removes an optional secret that is null',
    *allows({ updates, connection, fields }) {
      const optional = updates && fields.size > 0 ? ['webhook_hmac_secret', connection.type === 'github' && 'personal_access_token'] : [];
      for (const name of optional) if (fields.has(name) && connection[name] === null) yield ['dbtConnection', name];
    },
  },
  {
    name: 'a secret variable that is sent empty is stored already',
    message: /^must not be empty, because there is no stored value to keep$/,
    *refuses(one) {
      if (one.updates) for (const [path, before, sent] of one.emptyVariables()) if (sent === '' && !before) yield path;
    },
  },
  {
    name: 'a secret stays with its destination',
    message: /^must be sent again, because [a-z_]+ changes, which decides where it goes$/,
    *refuses(one) {
      if (!one.stored) return;
      const { connection } = one;
      const unknown = Object.keys(one.stored).filter((name) => !one.fields.has(name) && isLeftOut(connection[name]));
      for (const name of one.secretsMove() ? [...one.keptSecrets(), ...unknown] : []) if (holdsSomething(one.stored[name])) yield ['dbtConnection', name];
      if (!one.environmentMoves()) return;
      for (const [path, before] of one.emptyVariables()) if (before && holdsSomething(before.value)) yield path;
      if (one.fields.has('environment') && connection.environment === undefined && holdsSomething(one.stored.environment ?? '')) yield ['dbtConnection', 'environment'];
    },
  },
];

const textsAt = (value, path) => [path.at(-1), value].filter(isString);

function isStorable({ overHttp, body }) {
  if (!overHttp) return true;
  for (const [value, path] of walk(body)) {
    if (!textsAt(value, path).every(isText) || (value instanceof Numeral && !isNumeric(value))) return false;
  }
  return true;
}

function* unstorable({ body }) {
  for (const [value, path] of walk(body)) {
    for (const text of textsAt(value, path)) if (!isText(text)) yield path;
    if (value instanceof Numeral && !fits(value)) yield path;
  }
}

function* numbersOutOfRange({ known, connection }) {
  if (!known) return;
  for (const [value, path] of walk(connection)) if (value instanceof Numeral && !fits(value)) yield ['dbtConnection', ...path];
}

// What is no problem with a path: a name that another source of the project has,
// and more problems than anybody reads.
export const crowded = { name: 'the first 100 problems are listed, and the others counted' };
export const taken = {
  name: 'a name is unique in its project',
  sqlstate: '23505',
  applies: (one) => nameIn(one)?.startsWith('stored ') && Object.hasOwn(stored, nameIn(one).slice('stored '.length)) && nameIn(one) !== `stored ${one.source}`,
};
