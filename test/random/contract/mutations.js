// What can happen to a value that is allowed.
import { isObject, walk, write } from './json.js';
import { document } from './schema.js';
import { stored } from './stored.js';

const { schemas } = document.components;
const types = Object.keys(stored);

const remove = (at, name) => (Array.isArray(at) ? at.splice(name, 1) : delete at[name]);
export const add = (value, name, member) => {
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

// Something is changed in the value that holder.root is.
export function mutate(generator, holder) {
  const places = [];
  for (const [at] of walk(holder)) if (Array.isArray(at) || isObject(at)) for (const name of Object.keys(at)) places.push([at, name]);
  const [at, name] = generator.random.pick(places);
  generator.random.pick(mutations)(generator, at, name, at[name]);
}
