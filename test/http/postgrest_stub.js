// Stands in for PostgREST, which is in no package here, to test what nginx sends
// it: the two functions that it is asked for, with PostgREST's checks, settings
// and call, and where it was seen to be unkind (14.17), as unkind.
// Arguments: connection string, secret, port, port of the admin server.
import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../proxy/node/', import.meta.url));
const pg = require('pg');
const { jwtVerify } = require('jose');

const [connectionString, secret, port, adminPort] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: 10 });
let backOff = 0; // until when it doesn't try to connect
pool.on('error', () => { backOff = Date.now() + 2000; });
pool.on('connect', (client) => client.on('error', () => {})); // one that is used: its query says so, too

const settings = `SELECT set_config('search_path', '"api", "public"', true), set_config('role', $1, true),
  set_config('request.jwt.claims', $2, true), set_config('request.method', $3, true), set_config('request.path', $4, true),
  set_config('request.headers', $5, true)`;
const call = (argument, limit) => `WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM (SELECT "api".${argument} pgrst_scalar) pgrst_call ${limit})
  SELECT coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')::text AS body, nullif(current_setting('response.headers', true), '') AS headers,
  nullif(current_setting('response.status', true), '') AS status FROM (SELECT pgrst_source.* FROM pgrst_source) _postgrest_t`;

class Failure extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}

// what it makes of a SQLSTATE (docs, "HTTP Status Codes"), of those that can come up
function statusOf(sqlstate) {
  return sqlstate === '42501' ? 403 : /^(08|53)/.test(sqlstate) ? 503 : /^(40|54|55|57|58|XX)/.test(sqlstate) ? 500 : 400;
}

async function claimsOf(authorization) {
  if (authorization === undefined) throw new Failure(401, 'PGRST302', 'Anonymous access is disabled', { 'WWW-Authenticate': 'Bearer' });
  const token = /^Bearer (\S+)$/i.exec(authorization)?.[1];
  const { payload } = await jwtVerify(token, Buffer.from(secret), { algorithms: ['HS256'], clockTolerance: 30 }).catch((error) => {
    throw new Failure(401, 'PGRST301', 'JWT invalid', { 'WWW-Authenticate': `Bearer error="invalid_token", error_description="${error.code}"` });
  });
  if (!payload.role) throw new Failure(401, 'PGRST302', 'Anonymous access is disabled', { 'WWW-Authenticate': 'Bearer' });
  return payload;
}

async function run({ method, headers }, path, claims, body, limit) {
  if (Date.now() < backOff) throw new Failure(503, 'PGRST001', 'Database connection error. Retrying the connection.');
  let client;
  try {
    client = await pool.connect();
    await client.query('BEGIN');
    await client.query(settings, [claims.role, JSON.stringify(claims), method, path, JSON.stringify(headers)]);
    const { rows } = path === '/rpc/ready' ? await client.query(call('"ready"()', limit)) : await client.query(call('"request"($1)', limit), [body]);
    await client.query('COMMIT');
    client.release();
    return rows[0];
  } catch (error) {
    if (error.severity === 'ERROR') {
      await client.query('ROLLBACK').then(() => client.release(), () => client.release(true));
      throw new Failure(statusOf(error.code), error.code, error.message);
    }
    client?.release(true);
    backOff = Date.now() + 2000;
    throw new Failure(503, 'PGRST001', 'Database client error. Retrying the connection.');
  }
}

async function serve(req, res) {
  const { pathname: path, searchParams } = new URL(req.url, 'http://x');
  if (![req.url, ...req.rawHeaders].every((text) => isUtf8(Buffer.from(text, 'latin1')))) throw new Error('Something went wrong');
  const claims = await claimsOf(req.headers.authorization);
  if (path !== '/rpc/ready' && (req.method !== 'POST' || req.headers['content-type'] !== 'application/octet-stream'))
    throw new Failure(404, 'PGRST202', 'Could not find the function in the schema cache');
  // a query string is a filter, a limit, an offset
  for (const name of searchParams.keys()) {
    if (!['limit', 'offset'].includes(name)) throw new Failure(400, 'PGRST100', '"failed to parse filter"');
  }
  const limit = `${searchParams.has('limit') ? `LIMIT ${Number(searchParams.get('limit'))}` : ''} ${searchParams.has('offset') ? `OFFSET ${Number(searchParams.get('offset'))}` : ''}`;
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const { status, headers, body } = await run(req, path, claims, Buffer.concat(chunks), limit);
  res.writeHead(Number(status ?? 200), { 'Content-Type': 'application/json; charset=utf-8', 'Content-Range': '0-0/*',
    ...Object.assign({}, ...JSON.parse(headers ?? '[]')) });
  res.end(body);
}

createServer((req, res) => serve(req, res).catch((error) => {
  if (error instanceof Failure) {
    res.writeHead(error.status, { 'Content-Type': 'application/json; charset=utf-8', 'Proxy-Status': `PostgREST; error=${error.code}`, ...error.headers });
    res.end(JSON.stringify({ code: error.code, details: null, hint: null, message: error.message }));
  } else {
    res.writeHead(500, { 'Content-Type': 'text/plain' });
    res.end(error.message);
  }
  // it doesn't wait for a body that it hasn't read
  once(res, 'close').then(() => { if (!req.complete) req.socket.destroy(); });
})).listen(port, '127.0.0.1');

createServer((req, res) => {
  pool.query('SELECT').then(() => 200, () => 503).then((status) => { res.writeHead(status); res.end(); });
}).listen(adminPort, '127.0.0.1');
