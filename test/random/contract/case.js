// A random case: what is asked of which function, with which body.
import { Generator } from './generator.js';
import { isObject, write } from './json.js';
import { add, mutate } from './mutations.js';
import { document, nameOf } from './schema.js';
import { stored } from './stored.js';
import { anything, storable, unstorable } from './values.js';

const { schemas } = document.components;
const types = Object.keys(stored);

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

// updates: of the source that source names; creates: of a new one; otherwise the
// connection by itself is looked at.
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
    for (let n = random.weighted([[4, 0], [4, 1], [2, 2], [1, 5]]); n > 0; n--) mutate(generator, holder);

    this.body = holder.root;
    this.text = write(this.body, (name) => random.chance(0.005) && !unstorable.some((odd) => name.includes(odd)));
    this.value = JSON.parse(this.text);
    this.connection = this.call === 'validate' ? this.body : isObject(this.body) ? this.body.dbtConnection : undefined;
  }
}
