// The peer: what an application without the extension would do for the same PATCH,
// with Express and knex.  Arguments: port, "pbkdf2" (a key derived for each
// encryption and decryption, as the reference does) or "direct".
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import express from 'express';
import jwt from 'jsonwebtoken';
import knex from 'knex';

const [port, derivation] = process.argv.slice(2);
const secret = 'a secret of thirty-two bytes, and more';
const direct = randomBytes(32);
const keyOf = (salt) => (derivation === 'pbkdf2' ? pbkdf2Sync(secret, salt, 2000, 32, 'sha512') : direct);
const db = knex({ client: 'pg', connection: {}, pool: { min: 10, max: 10 } });
const app = express();

function encrypt(connection) {
  const [salt, iv] = [randomBytes(64), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', keyOf(salt), iv);
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(connection)), cipher.final()]);
  return Buffer.concat([salt, iv, cipher.getAuthTag(), ciphertext]);
}

function decrypt(stored) {
  const decipher = createDecipheriv('aes-256-gcm', keyOf(stored.subarray(0, 64)), stored.subarray(64, 76));
  decipher.setAuthTag(stored.subarray(76, 92));
  return JSON.parse(Buffer.concat([decipher.update(stored.subarray(92)), decipher.final()]));
}

const fail = (res, status, name, message) => res.status(status).json({ status: 'error', error: { name, statusCode: status, message } });

app.use(express.json({ limit: '100mb' }));
app.patch('/api/v1/projects/:project/dbt-sources/:source', async (req, res) => {
  const { project, source } = req.params;
  const { name, dbtConnection } = req.body;
  let claims;
  try {
    claims = jwt.verify((req.headers.authorization ?? '').replace(/^Bearer /, ''), secret, { algorithms: ['HS256'] });
  } catch {
    return fail(res, 401, 'AuthorizationError', 'a valid bearer token is required');
  }
  if (!claims.manages.includes(project)) return fail(res, 403, 'ForbiddenError', 'permission denied for project');
  await db.transaction(async (trx) => {
    const found = await trx('projects').where({ project_uuid: project }).forKeyShare().first();
    const row = found && await trx('peer_sources').where({ project_uuid: project, source_uuid: source }).forUpdate().first();
    if (!row) return fail(res, 404, 'NotFoundError', 'dbt source not found');
    const stored = decrypt(row.dbt_connection);
    const connection = { ...dbtConnection };
    if (!connection.personal_access_token && stored.type === connection.type && stored.host_domain === connection.host_domain)
      connection.personal_access_token = stored.personal_access_token;
    if (['authorization_method', 'repository', 'branch', 'project_sub_path'].some((field) => typeof connection[field] !== 'string'))
      return fail(res, 400, 'ParameterError', 'invalid dbt source');
    await trx('peer_sources').where({ project_uuid: project, source_uuid: source }).update({
      name, dbt_connection: encrypt(connection), updated_at: trx.fn.now(),
    });
    return res.json({ status: 'ok', results: { projectDbtSourceUuid: source, name, isPrimary: false, precedence: row.precedence, type: connection.type,
      repository: connection.repository, branch: connection.branch, projectSubPath: connection.project_sub_path, hasCredentialError: false } });
  });
});
// for the first row of the benchmark
app.post('/sources', async (req, res) => {
  await db('peer_sources').where({ source_uuid: req.body.source }).update({ dbt_connection: encrypt(req.body.dbtConnection) });
  res.json({});
});
app.listen(port, '127.0.0.1');
