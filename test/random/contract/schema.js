// The contract, as a JSON Schema validator reads it.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import { parse } from 'yaml';

export const document = parse(readFileSync(new URL('../../openapi/update-dbt-source.yaml', import.meta.url), 'utf8'));

const BODY = 'ApiUpdateProjectDbtSource';
const CONNECTION = 'DbtProjectConfig';

export const nameOf = (schema) => schema.$ref.replace('#/components/schemas/', '');

// OpenAPI 3.0 as JSON Schema: what is nullable may also be null.
function jsonSchema(node) {
  if (Array.isArray(node)) return node.map(jsonSchema);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest } = node;
  const schema = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, jsonSchema(value)]));
  return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema;
}

function compiler(schemas) {
  const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false, validateSchema: false });
  ajv.addSchema({ $id: 'contract', components: { schemas: jsonSchema(schemas) } });
  return (schema) => ajv.compile(typeof schema === 'string' ? { $ref: `contract#/components/schemas/${schema}` } : schema);
}

// What a validator finds wrong with a value, as a path to a set of reasons.
function errorsOf(validate, value, start = []) {
  const errors = new Map();
  if (validate(value)) return errors;
  for (const error of validate.errors) {
    const path = [...start];
    let at = value;
    for (const part of error.instancePath.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      path.push(Array.isArray(at) ? Number(name) : name);
      at = at[name];
    }
    if (error.keyword === 'required') path.push(error.params.missingProperty);
    const key = JSON.stringify(path);
    if (!errors.has(key)) errors.set(key, new Set());
    errors.get(key).add(error.keyword === 'type' ? `type ${error.params.type}` : error.keyword);
  }
  return errors;
}

// One of the connections that DbtProjectConfig may be.
function alternative(schemas, name, compile) {
  const { type } = schemas[name].properties;
  return {
    name,
    fields: new Set(Object.keys(schemas[name].properties)),
    types: schemas[nameOf(type)].enum,
    validate: compile(name),
  };
}

export class Contract {
  constructor(schemas = document.components.schemas) {
    const compile = compiler(schemas);
    this.alternatives = schemas[CONNECTION].anyOf.map((schema) => alternative(schemas, nameOf(schema), compile));
    this.body = Contract.bodyAlone(schemas, compile);
    this.isBody = compile(BODY);
    this.isConnection = compile(CONNECTION);
    this.isAnswer = compile('ApiProjectDbtSourceResponse');
    this.isError = compile('ApiErrorPayload');
  }

  // The same with one of its schemas as altered has it; of what uses that, only
  // the alternative of that name, or the body, is looked at again.
  altered(schemas, name) {
    const compile = compiler(schemas);
    const copy = Object.create(Contract.prototype);
    copy.alternatives = this.alternatives.map((one) => (one.name === name ? alternative(schemas, name, compile) : one));
    copy.body = name === BODY ? Contract.bodyAlone(schemas, compile) : this.body;
    return copy;
  }

  static bodyAlone(schemas, compile) {
    const { properties, ...body } = jsonSchema(schemas[BODY]);
    return compile({ ...body, properties: { ...properties, dbtConnection: {} } });
  }

  // The alternative that the type of a connection names.
  named(connection) {
    return this.alternatives.find(({ types }) => types.includes(connection?.type));
  }

  // The validator can say only that none of the alternatives fits.  What is wrong
  // is then what the one finds that the type names, or without one what all find.
  connectionErrors(connection) {
    const one = this.named(connection);
    const start = ['dbtConnection'];
    if (one) return errorsOf(one.validate, connection, start);
    const [first, ...others] = this.alternatives.map(({ validate }) => errorsOf(validate, connection, start));
    return new Map([...first].filter(([path]) => others.every((errors) => errors.has(path))));
  }

  // What the contract has against a body, or a connection by itself.
  errors(call, value) {
    if (call === 'validate') return this.connectionErrors(value);
    const errors = errorsOf(this.body, value);
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, 'dbtConnection')) {
      for (const [path, reasons] of this.connectionErrors(value.dbtConnection)) errors.set(path, reasons);
    }
    return errors;
  }

  // Whether all of it together, as the contract has it, allows a value.
  allows(call, value) {
    return call === 'validate' ? this.isConnection(value) : this.isBody(value);
  }
}
