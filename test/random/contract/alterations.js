// Each fact of the contract that a body could meet, altered: a test that doesn't
// notice doesn't look at it.
import { isObject } from './json.js';
import { Contract, document, nameOf } from './schema.js';

const { schemas } = document.components;

// An alteration of a schema, for bodies that concerns() says are judged by it.
function alteration(name, schema, alter, user, concerns) {
  return {
    name,
    concerns,
    contract(truth) {
      const copy = structuredClone(schemas);
      alter(copy[schema]);
      return truth.altered(copy, user);
    },
  };
}

const otherTypes = { string: 'boolean', boolean: 'string', array: 'string' };

function* ofSchema(schema, user, concerns) {
  for (const [property, { $ref, ...itself }] of Object.entries(schemas[schema].properties)) {
    // one that may lack its type is there for what has none
    const seen = property === 'type' ? ({ connection }) => connection !== undefined : concerns;
    const of = (what, alter) => alteration(`${schema}.${property}: ${what}`, schema, alter, user, seen);
    const required = schemas[schema].required?.includes(property);
    yield of(required ? 'not required' : 'required', (altered) => {
      altered.required = required ? altered.required.filter((name) => name !== property) : [...(altered.required ?? []), property];
    });
    if (itself.type && !itself.enum) yield of(`a ${otherTypes[itself.type]}`, (altered) => (altered.properties[property] = { type: otherTypes[itself.type] }));
    if (itself.type) yield of('nullable', (altered) => (altered.properties[property].nullable = true));
    if (itself.enum) {
      yield of('one value less', (altered) => altered.properties[property].enum.pop());
      yield of('one value more', (altered) => altered.properties[property].enum.push('a'));
    }
    if (itself.items?.type) yield of('elements of any type', (altered) => (altered.properties[property].items = {}));
    if (itself.type === 'array') yield of('not empty', (altered) => (altered.properties[property].minItems = 1));
  }
  yield alteration(`${schema}: no other properties`, schema, (altered) => (altered.additionalProperties = false), user, concerns);
}

const connections = schemas.DbtProjectConfig.anyOf.map(nameOf);
const typeOf = (connection) => schemas[nameOf(schemas[connection].properties.type)].enum[0];
const ofType = (connection) => (one) => isObject(one.connection) && one.connection.type === typeOf(connection);

export const alterations = [
  ...connections.flatMap((connection) => [...ofSchema(connection, connection, ofType(connection))]),
  ...connections.map((connection) => {
    const type = nameOf(schemas[connection].properties.type);
    return alteration(`${connection}: of another type`, type, (altered) => (altered.enum = ['svn']), connection, ofType(connection));
  }),
  ...ofSchema('DbtProjectEnvironmentVariable', connections[0], ofType(connections[0])),
  ...ofSchema('ApiUpdateProjectDbtSource', 'ApiUpdateProjectDbtSource', ({ call }) => call !== 'validate'),
];
