import { createHash } from 'node:crypto';
import { encode } from './jwe.js';

// What is stored.  Every secret has the mark in it, and nothing else has.
export const MARK = 'sesame';

export const project = '11111111-1111-4111-8111-111111111111';
const source = (n) => `a0b0c0d0-e0f0-4a0b-8c0d-${String(n).padStart(12, 'e')}`;
export const elsewhere = '22222222-2222-4222-8222-222222222222';

const environment = [
  { key: 'DBT_SCHEMA', value: 'prod' },
  { key: 'DBT_ENV_SECRET_TOKEN', value: `${MARK}-variable` },
];
const git = { repository: 'acme/shop', branch: 'main', project_sub_path: '/' };

// oldKey is said of what is encrypted with the key before the active one
export const connections = [
  {
    name: 'before', project, source: source(1), oldKey: true,
    connection: { type: 'gitlab', personal_access_token: `${MARK}-old`, ...git, environment, note: `${MARK}-note` },
  },
  {
    name: 'active', project, source: source(2),
    connection: { type: 'github', authorization_method: 'personal_access_token', personal_access_token: `${MARK}-active`, ...git },
  },
  { name: 'primary', project, source: project, connection: { type: 'dbt', target: 'prod', environment } },
  { name: 'nothing withheld', project: elsewhere, source: source(3), connection: { type: 'none', target: 'prod' } },
  {
    name: 'cloud', project: elsewhere, source: source(4),
    connection: { type: 'dbt_cloud_ide', api_key: `${MARK}-key`, environment_id: '7', webhook_hmac_secret: `${MARK}-hmac`, x: [`${MARK}-x`] },
  },
  {
    name: 'elsewhere', project: elsewhere, source: source(5),
    connection: { type: 'github', authorization_method: 'personal_access_token', personal_access_token: `${MARK}-elsewhere`, ...git, branch: 'other' },
  },
];

// The keyring, the active key first.  Like all that is stored it is the same each
// time, so that a seed makes the same envelopes.
const key = (name) => ({ kid: name, bytes: createHash('sha512').update(name).digest() });
export const active = key('2026-11-25-00000000active');
export const before = key('2026-11-24-00000000before');
export const keyring = (...keys) => JSON.stringify({ keys: keys.map(({ kid, bytes }) => ({ kty: 'oct', kid, k: encode(bytes) })) });
