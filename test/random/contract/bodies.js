// Random bodies: drawn from the contract, then mutated.
import { isObject, Numeral, walk, write } from './json.js';
import { document, nameOf } from './schema.js';
import { stored } from './stored.js';

const { schemas } = document.components;
const types = Object.keys(stored);
const fields = [...new Set(Object.values(schemas).flatMap((schema) => Object.keys(schema.properties ?? {})))];

// what texts are made of, and what is pasted along
const texts = ['', 'a', 'main', 'acme/shop', '/', 'x'.repeat(254), 'Tok-en_1.é', 'ü'.repeat(300), '🦊', '{}', ' [1] ', 'https://x y', '7', 'true', 'null'];
const odd = [
  ' ', '  ', '\t', '\n', '\r\n', '\x7f', '\x85', '\x01', '\u00a0', '\u3000', '\u2003', '\u200b', '\ufeff', '\u202e', '\u00ad', '\u2028', '\u034f',
  '\ufff9', '\u{e0041}', '"', '\\', "'", '$', 'ä', '🦊',
];
const unstorable = ['\0', '\ud800', '\udc00', '\ud83e'];
const numbers = [
  '0', '-0', '0.0', '7', '-1', '1.5', '-1.5e10', '1E3', '1.7976931348623157e308', '-1.7976931348623157e308', '5e-324', '1.8e308', '-1e309', '9e131071',
  '1e-400', '1e-16383', `0.${'7'.repeat(399)}`, `0.${'7'.repeat(400)}`, '0e-500', '1'.repeat(401),
];
const beyondNumeric = ['1e140000', '-1e999999', '1e-20000'];
const names = [
  'note', 'x', '', 'a: b', 'a.b', '"', 'a\nb', '\\', 'a[0]', '0', 'ä', '\u200b', 'constructor', 'toString', 'ü'.repeat(40), 'long'.repeat(20),
  `${'y'.repeat(62)}\n`, `${'y'.repeat(61)}"z`, `${'\x01'.repeat(40)}`,
];

// by name: what has rules of its own
const keys = [
  'DBT_SCHEMA', 'DBT_ENV_SECRET_TOKEN', 'DBT_ENV_SECRET_TOKEN', 'DBT_ENV_SECRET_EMPTY', 'DBT_ENV_SECRET_NEW', 'A', '', '_', 'a1', '1a', 'A-B', 'A B',
  'PATH', 'path', 'HOME', 'http_proxy', 'GIT_DIR', 'GITHUB_TOKEN', 'LD_PRELOAD', 'LDAP_HOST', 'PYTHONPATH', 'PIPELINE', 'PIP_INDEX_URL', 'NODE_OPTIONS',
  'npm_config_x', 'LIGHTDASH_DBT_PROFILE_VAR_X', 'DBT_PROFILES_DIR', 'DBT_PROFILES_DIR_', 'XDG', 'XDG_', '_JAVA_OPTIONS', 'é',
];
const special = {
  name: ['Marketing', ...types.map((type) => `stored ${type}`), ' ', '', 'x'.repeat(255), 'x'.repeat(256), '🦊'.repeat(255), `${'x'.repeat(260)}\n`],
  key: keys,
  value: ['', 'v', 'prod'],
  host_domain: ['github.com', 'GitLab.com', 'bitbucket.org', 'git.example.com', 'GIT.EXAMPLE.COM', 'git.example.com:8443', 'evil.example.com', ''],
  discovery_api_endpoint: ['https://metadata.cloud.getdbt.com/graphql', 'https://dbt.example.com', 'HTTPS://DBT.example.com./x', 'http://dbt.example.com', ''],
  username: ['builder', 'Builder', ''],
};


// the numbers and the texts that jsonb can't hold are for HTTP, which says why
const storable = { odd, numbers };
const anything = { odd: [...odd, ...unstorable], numbers: [...numbers, ...beyondNumeric] };

class Generator {
  constructor(random, pools) {
    this.random = random;
    this.pools = pools;
  }

  number() {
    return new Numeral(this.random.pick(this.pools.numbers));
  }

  spoiled(text) {
    const characters = [...text];
    const at = this.random.pick([0, characters.length, this.random.below(characters.length + 1)]);
    return [...characters.slice(0, at), this.random.pick(this.pools.odd), ...characters.slice(at)].join('');
  }

  string(name) {
    const { random } = this;
    const text = Object.hasOwn(special, name) && random.chance(0.8) ? random.pick(special[name]) : random.pick(texts);
    return random.chance(0.05) ? this.spoiled(text) : text;
  }

  name() {
    const { random } = this;
    return random.chance(0.05) ? this.spoiled(random.pick(names)) : random.pick(random.chance(0.3) ? fields : names);
  }

  // any JSON
  value(levels = 3) {
    const { random } = this;
    const some = () => Array.from({ length: random.below(4) });
    return random.weighted([
      [2, () => null],
      [2, () => random.chance(0.5)],
      [3, () => this.number()],
      [4, () => this.string(random.pick(fields))],
      [levels > 0 ? 2 : 0, () => some().map(() => this.value(levels - 1))],
      [levels > 0 ? 2 : 0, () => Object.fromEntries(some().map(() => [this.name(), this.value(levels - 1)]))],
    ])();
  }

  // about as deep as it may be, and a number at the bottom
  deep() {
    let value = this.random.chance(0.5) ? this.number() : [];
    for (let level = 990 + this.random.below(15); level > 0; level--) value = this.random.chance(0.9) ? [value] : { x: value };
    return value;
  }

  // what the contract has for a schema
  drawn(schema, name) {
    const { random } = this;
    if (schema.$ref) return this.drawn(schemas[nameOf(schema)], name);
    if (schema.anyOf) return this.drawn(random.pick(schema.anyOf), name);
    if (schema.enum) return random.pick(schema.enum);
    if (schema.type === 'string') return this.string(name);
    if (schema.type === 'boolean') return random.chance(0.5);
    if (schema.type === 'array') return Array.from({ length: random.below(4) }, () => this.drawn(schema.items));
    const likely = random.pick([0.2, 0.8]);
    const members = Object.entries(schema.properties).filter(([property]) => schema.required?.includes(property) || random.chance(likely));
    const value = Object.fromEntries(members.map(([property, of]) => [property, this.drawn(of, property)]));
    if (random.chance(0.3)) value[this.name()] = random.chance(0.01) ? this.deep() : this.value();
    return value;
  }

  body() {
    const value = this.drawn(schemas.ApiUpdateProjectDbtSource);
    // a body of nothing is soon told
    if (!value.name && this.random.chance(0.8)) value.name = this.string('name');
    if (!value.dbtConnection && this.random.chance(0.8)) value.dbtConnection = this.drawn(schemas.DbtProjectConfig);
    return value;
  }

  // Something is changed in a value that holder.root is.
  mutate(holder) {
    const { random } = this;
    const places = [];
    for (const [at] of walk(holder)) if (Array.isArray(at) || isObject(at)) for (const name of Object.keys(at)) places.push([at, name]);
    const [at, name] = random.pick(places);
    const value = at[name];
    const change = random.pick(mutations);
    change(this, at, name, value);
  }
}

const remove = (at, name) => (Array.isArray(at) ? at.splice(name, 1) : delete at[name]);
const add = (value, name, member) => {
  if (Array.isArray(value)) value.push(member);
  else if (isObject(value)) value[name] = member;
};

// what can happen to a member or an element
const mutations = [
  (g, at, name) => (at[name] = g.value()),
  (g, at, name) => (at[name] = g.value(0)),
  (g, at, name) => (at[name] = null),
  (g, at, name, value) => (at[name] = [value]),
  (g, at, name, value) => (at[name] = write(value)),
  (g, at, name, value) => (at[name] = typeof value === 'string' ? g.spoiled(value) : g.string(name)),
  (g, at, name) => name !== 'root' && remove(at, name),
  (g, at, name) => name !== 'root' && remove(at, name),
  (g, at, name, value) => name !== 'root' && remove(at, name) && add(at, g.random.pick([name.toUpperCase(), `${name} `, g.name()]), value),
  (g, at, name, value) => add(at, g.name(), value),
  (g, at, name, value) => add(value, g.name(), g.value()),
  (g, at, name, value) => add(value, 'type', g.random.pick([...types, 'svn', 'GitHub', 'github '])),
  (g, at, name, value) => add(value, 'environment', g.drawn({ type: 'array', items: schemas.DbtProjectEnvironmentVariable })),
  (g, at, name, value) => g.random.chance(0.02) && add(value, g.name(), g.deep()),
];

// What is asked of one of the functions, and of what is stored already.
export class Case {
  constructor(random) {
    this.call = random.weighted([[4, 'validate'], [3, 'create'], [3, 'update'], [1, 'POST'], [1, 'PATCH']]);
    this.overHttp = this.call === 'POST' || this.call === 'PATCH';
    this.updates = this.call === 'update' || this.call === 'PATCH';
    this.creates = this.call === 'create' || this.call === 'POST';
    this.source = !this.updates ? undefined : random.chance(0.03) ? 'primary' : random.pick(types);

    const generator = new Generator(random, this.overHttp && random.chance(0.2) ? anything : storable);
    const holder = { root: this.call === 'validate' ? generator.drawn(schemas.DbtProjectConfig) : generator.body() };
    // an update is mostly of a source of its own type
    if (this.updates && random.chance(0.7)) add(holder.root, 'dbtConnection', generator.drawn(schemas[ofType[this.source] ?? 'DbtProjectConfig']));
    if (random.chance(0.005)) crowd(generator, this.call === 'validate' ? holder.root : holder.root.dbtConnection);
    if (this.updates && random.chance(0.5)) likeStored(random, holder.root.dbtConnection, stored[this.source]);
    for (let n = random.weighted([[4, 0], [4, 1], [2, 2], [1, 5]]); n > 0; n--) generator.mutate(holder);

    this.body = holder.root;
    this.text = write(this.body, (name) => random.chance(0.005) && !unstorable.some((odd) => name.includes(odd)));
    this.value = JSON.parse(this.text);
    this.connection = this.call === 'validate' ? this.body : isObject(this.body) && Object.hasOwn(this.body, 'dbtConnection') ? this.body.dbtConnection : undefined;
  }
}

// the alternative by the type that it has
const ofType = Object.fromEntries(schemas.DbtProjectConfig.anyOf.map((schema) => {
  const name = nameOf(schema);
  return [schemas[nameOf(schemas[name].properties.type)].enum[0], name];
}));

// About as many problems as are listed.
function crowd(generator, connection) {
  const number = 90 + generator.random.below(30);
  add(connection, 'environment', Array.from({ length: number }, () => ({ key: '1a', value: '' })));
  add(connection, 'tags', Array.from({ length: number }, () => null));
}

// A connection gets some of what is stored, so that some of that goes where it
// went, and leaves out what is kept, or removes it.
function likeStored(random, connection, from) {
  if (!isObject(connection) || connection.type !== from?.type) return;
  for (const [name, value] of Object.entries(from)) {
    if (typeof value !== 'string' || name === 'type') continue;
    if (random.chance(0.8)) connection[name] = value;
    if (!/token|key|secret|note|kept/.test(name)) continue;
    random.weighted([[3, () => {}], [1, () => delete connection[name]], [1, () => (connection[name] = '')], [1, () => (connection[name] = null)]])();
  }
  if (!from.environment || random.chance(0.5)) return;
  connection.environment = from.environment.map(({ key, value }) => random.pick([{ key, value }, { key, value: '' }, { key }]));
}
