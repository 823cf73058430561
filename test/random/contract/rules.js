// What holds beyond the contract, as the documentation has it.  Each rule says
// where it refuses what the contract allows, or allows what the contract refuses.
import { holdsSomething, isLeftOut, MAX_LEVELS } from './facts.js';
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

const refusedPrefixes = `LIGHTDASH_DBT_PROFILE_VAR_ LD_ DYLD_ GLIBC_ GCONV_ MALLOC_ GIT_ SSH_ BASH_ XDG_ PYTHON PIP_ UV_ CONDA_ VIRTUAL_ENV NODE_ NPM_CONFIG_
  npm_config_ PERL5 PERLLIB RUBY GEM_ BUNDLE_ JAVA_TOOL_OPTIONS _JAVA_OPTIONS`.split(/\s+/);
const refusedNames = `PATH HOME SHELL IFS CDPATH PS4 PROMPT_COMMAND TMPDIR TMP TEMP LOCPATH NLSPATH HOSTALIASES RES_OPTIONS RESOLV_HOST_CONF EDITOR VISUAL
  PAGER LESSOPEN LESSCLOSE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
  CURL_CA_BUNDLE CURL_HOME OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES DBT_PROFILES_DIR DBT_PROJECT_DIR DBT_TARGET_PATH DBT_LOG_PATH
  DBT_PACKAGES_INSTALL_PATH`.split(/\s+/);

const MAX_NAME = 255;
const MAX_DIGITS = 400;
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
      for (const path of numbersOutOfRange(one)) if (!one.isFlat(path[1])) yield path;
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
    message: /^must (not contain .*, which PostgreSQL's jsonb cannot hold|be a number in the range .*|not be nested .*)$/,
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
      const kept = one.fields.has('environment') && connection.environment === undefined ? one.stored.environment : undefined;
      if (kept !== undefined && holdsSomething(kept)) yield ['dbtConnection', 'environment'];
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
