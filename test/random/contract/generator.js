// Random values, drawn from the contract.
import { Numeral } from './json.js';
import { document, nameOf } from './schema.js';
import { names, special, texts } from './values.js';

const { schemas } = document.components;
const fields = [...new Set(Object.values(schemas).flatMap((schema) => Object.keys(schema.properties ?? {})))];

export class Generator {
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
}
