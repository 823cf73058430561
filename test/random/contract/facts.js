// What the documentation has about fields, and what that makes of a case.
import { depth, isObject } from './json.js';
import { stored } from './stored.js';

export const MAX_LEVELS = 1000;

const secrets = ['personal_access_token', 'api_key', 'webhook_hmac_secret'];
const hosts = ['host_domain', 'discovery_api_endpoint'];
const texts = [...secrets, 'username', ...hosts];
const secretVariable = 'DBT_ENV_SECRET';

// where a secret goes, and where the environment does beyond that
const destinations = ['host_domain', 'discovery_api_endpoint'];
const destinationsOfBitbucket = [...destinations, 'username'];
const destinationsOfEnvironment = ['repository', 'organization', 'project', 'project_dir'];
const ownHosts = { github: 'github.com', gitlab: 'gitlab.com', bitbucket: 'bitbucket.org', dbt_cloud_ide: 'https://metadata.cloud.getdbt.com/graphql' };

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

  // whether what is there is of the one type that it may have
  isFlat(name) {
    return this.fields.has(name) && name !== 'environment';
  }

  isTooDeep() {
    // each level has two brackets
    if (!this.known || this.text.length < 2 * MAX_LEVELS) return false;
    return depth(Object.entries(this.connection).map(([name, value]) => !this.isFlat(name) && value)) > MAX_LEVELS;
  }

  changed(names) {
    return names.some((name) => this.fields.has(name) && !this.#same(name, this.stored[name], this.connection[name]));
  }

  #same(name, a = '', b = '') {
    if (typeof b !== 'string') return false;
    const host = (text) => normalHost(text) || normalHost(ownHosts[this.connection.type]);
    return a === b || (hosts.includes(name) && host(a) === host(b));
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
    const seen = new Map();
    for (const [i, variable] of this.variables.entries()) {
      if (!isObject(variable) || typeof variable.key !== 'string') continue;
      const nth = seen.get(variable.key) ?? 0;
      seen.set(variable.key, nth + 1);
      if (!variable.key.startsWith(secretVariable) || !isLeftOut(variable.value)) continue;
      yield [['dbtConnection', 'environment', i, 'value'], before.filter(({ key }) => key === variable.key)[nth], variable.value];
    }
  }
}

export const isLeftOut = (value) => value === undefined || value === '';
export const holdsSomething = (value) => value !== '' && value !== null && !(Array.isArray(value) && value.length === 0);

// host, host:port, or the origin of a URL
function normalHost(text) {
  const trimmed = text.replace(/^ +| +$/g, '');
  const [, scheme = '', name, port = '', path] = /^([A-Za-z]+:\/\/)?([A-Za-z0-9._-]+)(:\d+)?(\/[!-[\]-~]*)?$/.exec(trimmed) ?? [];
  if (name === undefined || (scheme === '' && path !== undefined)) return trimmed;
  return `${scheme}${name.length > 1 ? name.replace(/\.$/, '') : name}${port}`.toLowerCase();
}
