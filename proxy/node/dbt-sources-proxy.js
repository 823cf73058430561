#!/usr/bin/env node
// Carries HTTP requests to http_request() and its answers back; see README.md.
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, STATUS_CODES } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { InvalidToken, KeysUnavailable, tokenReader } from './tokens.js';

// What can be set, each by a variable DBT_PROXY_<NAME> or in a JSON file, and
// what it is otherwise.  README.md says what they mean.
const settings = {
  listen: '127.0.0.1:8080',
  database: '',
  schema: 'dbt',
  pool_size: 10,
  prepare: true,
  jwt_key_file: '',
  jwks_uri: '',
  jwt_algorithms: ['HS256'],
  jwt_audience: [],
  jwt_issuer: '',
  jwt_role_claim: 'role',
  cors_origins: [],
  max_body: 100 * 1024 * 1024,
  max_bodies: 400 * 1024 * 1024,
  max_connections: 5000,
  header_seconds: 10,
  request_seconds: 60,
  pool_seconds: 5,
  stop_seconds: 30,
};

function readSetting(name, value) {
  const wanted = settings[name];
  const list = typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : value;
  const read =
    wanted === undefined ? undefined :
    Array.isArray(wanted) ? (Array.isArray(list) ? list : undefined) :
    typeof wanted === 'number' ? (/^\d+$/.test(value) ? Number(value) : undefined) :
    typeof wanted === 'boolean' ? { true: true, false: false }[value] :
    typeof value === 'string' ? value : undefined;
  if (read === undefined) throw new Error(`can't set ${name} to ${JSON.stringify(value)}`);
  settings[name] = read;
}

const file = process.argv[2] ?? process.env.DBT_PROXY_CONFIG;
for (const [name, value] of Object.entries(file ? JSON.parse(readFileSync(file, 'utf8')) : {})) readSetting(name, value);
for (const [name, value] of Object.entries(process.env)) {
  if (name.startsWith('DBT_PROXY_') && name !== 'DBT_PROXY_CONFIG') readSetting(name.slice(10).toLowerCase(), value);
}

const readToken = tokenReader(settings);
const pool = new pg.Pool({
  ...(settings.database && { connectionString: settings.database }),
  max: settings.pool_size,
  connectionTimeoutMillis: settings.pool_seconds * 1000,
  keepAlive: true,
  application_name: 'dbt-sources-proxy',
});
pool.on('error', () => {}); // an idle connection ended: the next request gets another one
pool.on('connect', (client) => client.on('error', () => {})); // one that is used: its query says so, too

// One statement for a request.  The role is taken, and the claims set, in the
// subquery, for this statement's transaction only; OFFSET 0 keeps it a query of
// its own, and as http_request() takes an argument from its row, the row comes
// first.  PostgreSQL checks who may execute a function when the statement
// starts, and so as who has connected; whether the role may, we ask.  No row:
// there is no such role, or it may not.
const http_request = `${pg.escapeIdentifier(settings.schema)}.http_request`;
const statement = `
  SELECT answer.status, answer.body::text AS body, answer.headers
  FROM (SELECT pg_catalog.set_config('role', rolname, true), pg_catalog.set_config('request.jwt.claims', $2, true), $3::text AS method
        FROM pg_catalog.pg_roles
        WHERE rolname = $1::text AND pg_catalog.has_function_privilege(oid, ${pg.escapeLiteral(http_request)}::regproc, 'EXECUTE') OFFSET 0) AS caller,
       LATERAL ${http_request}(caller.method, $4, $5, $6) AS answer`;

// the headers that the database has rules for; it logs the request's id
const carried = ['content-type', 'content-encoding', 'if-match'];

// SQLSTATEs that are worth another try: connection, rollback, resources, lock
// timeout, operator
const transient = /^(?:08|40|53|55P03|57)/;
const notText = ['22021', '22P05'];

const names = {
  400: 'ParameterError', 401: 'AuthorizationError', 403: 'ForbiddenError', 404: 'NotFoundError', 408: 'RequestTimeoutError',
  413: 'PayloadTooLargeError', 414: 'UriTooLongError', 417: 'ExpectationFailedError', 431: 'HeadersTooLargeError',
  500: 'UnexpectedServerError', 503: 'ServiceUnavailableError',
};

// An answer that doesn't come from the database.
class Refusal {
  constructor(status, message, headers = {}, sqlstate = undefined) {
    Object.assign(this, { status, headers, sqlstate });
    this.body = JSON.stringify({ status: 'error', error: { name: names[status], statusCode: status, message } });
  }
}
const unavailable = (sqlstate) => new Refusal(503, 'the service is temporarily unavailable', { 'Retry-After': '1' }, sqlstate);
const tooLarge = () => new Refusal(413, 'the body is too large');

function refusalOf(error) {
  const sqlstate = error instanceof pg.DatabaseError ? error.code : undefined;
  return error instanceof Refusal ? error :
    error instanceof InvalidToken ? new Refusal(401, 'a valid bearer token is required', { 'WWW-Authenticate': 'Bearer error="invalid_token"' }) :
    error instanceof KeysUnavailable ? unavailable('keys') :
    transient.test(sqlstate) ? unavailable(sqlstate) :
    sqlstate === '42501' ? new Refusal(403, 'permission denied', {}, sqlstate) :
    notText.includes(sqlstate) ? new Refusal(400, 'the request is not valid UTF-8') :
    new Refusal(500, 'the request could not be completed', {}, sqlstate ?? error.name);
}

const routeOf = (path) => /^\/api\/v1\/projects\/[^/]*\/dbt-sources(?:\/[^/]*)?\/?$/.test(path)
  ? path.replace(/[^/]+(?=\/dbt-sources)|(?<=dbt-sources\/).+/g, '{}') : 'other';

function log(req, refusal) {
  if (refusal.status < 500 && refusal.sqlstate === undefined) return;
  const { status, sqlstate } = refusal;
  console.error(JSON.stringify({ request: req.id, method: req.method, route: routeOf(req.target.split('?')[0]), status, sqlstate }));
}

// Ask the database.
async function ask(text, values, name) {
  const client = await pool.connect().catch((error) => { throw error instanceof pg.DatabaseError ? error : unavailable('connection'); });
  let broken = false;
  try {
    return (await client.query({ name: settings.prepare ? name : undefined, text, values })).rows;
  } catch (error) {
    broken = error.severity !== 'ERROR'; // or else the connection is as good as before
    throw error instanceof pg.DatabaseError ? error : unavailable('connection');
  } finally {
    client.release(broken);
  }
}

let probe; // many may ask at once whether the database is there
async function isReady() {
  probe ??= ask(`SELECT status FROM ${http_request}('GET', '/')`, [], 'ready').finally(() => setTimeout(() => { probe = undefined; }, 1000).unref());
  await probe;
}

let held = 0; // bytes of bodies in memory

// The body of a request, or null.  What a parser error or a timeout makes of it
// comes through socket.broken and socket.reading.
async function readBody(req, res) {
  const { socket } = req;
  const length = Number(req.headers['content-length'] ?? 0);
  const chunks = [];
  if (length > settings.max_body) throw tooLarge();
  if (held + length > settings.max_bodies) throw unavailable('memory');
  if (length === 0 && !req.headers['transfer-encoding']) return null;
  if (req.expectsContinue) res.writeContinue();
  req.held = 0;
  await new Promise((resolve, reject) => {
    socket.reading = reject;
    if (socket.broken && !req.complete) reject(socket.broken);
    req.on('data', (chunk) => {
      req.held += chunk.length;
      held += chunk.length;
      if (req.held > settings.max_body) reject(tooLarge());
      else if (held > settings.max_bodies) reject(unavailable('memory'));
      else chunks.push(chunk);
    });
    req.on('end', resolve);
    req.on('close', () => { if (!req.complete) reject(new Refusal(400, 'the connection was closed')); });
  }).finally(() => { socket.reading = undefined; req.removeAllListeners('data'); });
  return chunks.length === 0 ? null : Buffer.concat(chunks);
}

// CORS for the origins that are listed; true if that was all that was asked for.
function answersOrigin(req, res) {
  const { origin } = req.headers;
  if (settings.cors_origins.length > 0) res.setHeader('Vary', 'Origin');
  if (!settings.cors_origins.includes(origin)) return false;
  res.setHeader('Access-Control-Allow-Origin', origin);
  res.setHeader('Access-Control-Expose-Headers', 'ETag, Retry-After, X-Request-Id');
  if (req.method !== 'OPTIONS' || !req.headers['access-control-request-method']) return false;
  res.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, POST, PATCH, DELETE');
  res.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, If-Match, X-Request-Id');
  res.setHeader('Access-Control-Max-Age', '600');
  return true;
}

// The answer to a request: status, headers, body.
async function answer(req, res) {
  const { headers, method, target } = req;
  if (headers.host === undefined && req.httpVersion !== '1.0') throw new Refusal(400, 'no host');
  for (const name of ['host', 'authorization', 'content-type', 'content-encoding']) {
    if (req.headersDistinct[name]?.length > 1) throw new Refusal(400, `more than one ${name} header`);
  }
  if (target.length > 8000) throw new Refusal(414, 'the request target is too long');
  if (!/^[\w.:[\]%-]*$/.test(headers.host ?? '')) throw new Refusal(400, 'not a host');
  if (!/^[!-~]*$/.test(target)) throw new Refusal(400, 'not a request target');
  if (req.expectsElse) throw new Refusal(417, 'only 100-continue can be expected');
  if (answersOrigin(req, res)) return { status: 204, headers: {} };
  if (target === '/healthz' || target === '/readyz') {
    if (target === '/readyz') await isReady();
    return { status: 200, headers: {}, body: '{"status":"ok"}' };
  }

  if (headers.authorization === undefined)
    throw new Refusal(401, 'a valid bearer token is required', { 'WWW-Authenticate': 'Bearer' });
  const { role, claims } = await readToken(headers.authorization);
  const body = await readBody(req, res);
  if (body !== null && (!isUtf8(body) || body.includes(0))) throw new Refusal(400, 'the body is not valid UTF-8');
  const rules = { 'x-request-id': req.id };
  for (const name of carried) if (name in headers) rules[name] = headers[name];
  const [row] = await ask(statement, [role, claims, method, target, body, JSON.stringify(rules)], 'request');
  if (row === undefined) throw new Refusal(403, 'the role of the token is not allowed');
  if (row.status >= 500) log(req, { status: row.status });
  return row;
}

let stopping = false;
const linger = 2000; // milliseconds to read on, so that a client that is still sending sees the answer

// Send an answer.  Where the request isn't read to its end, the connection is
// closed.
async function send(req, res, { status, headers, body }) {
  if (req.socket.destroyed) return;
  const sent = once(res, 'close');
  res.writeHead(status, {
    'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'X-Request-Id': req.id, ...headers,
    ...(body !== undefined && { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body) }),
    ...((stopping || !req.complete) && { Connection: 'close' }),
  });
  if (!req.complete) {
    req.socket.refused = true;
    res.write(body ?? '');
    req.resume();
    await Promise.race([once(req, 'close'), sent, req.socket.broken ? undefined : delay(linger, undefined, { ref: false })]);
  }
  res.end(req.complete ? body : undefined);
  await sent;
}

async function serve(req, res) {
  if (req.socket.refused) return; // what follows a refusal is no request
  const id = req.headers['x-request-id'] ?? '';
  req.id = /^[\w-]{1,64}$/.test(id) ? id : randomUUID();
  req.target = req.url.replace(/^https?:\/\/[^/?]*/i, '') || '/'; // RFC 9112, 3.2.2
  req.on('error', () => {}); // the client is gone
  const reply = await answer(req, res).catch((error) => {
    const refusal = refusalOf(error);
    log(req, refusal);
    return refusal;
  });
  held -= req.held ?? 0;
  await send(req, res, reply);
}

// Requests of one connection are answered one after the other: a pipelined one
// may need what the one before it wrote.  RFC 9112, 9.3.2.
function take(req, res, more) {
  Object.assign(req, more);
  req.socket.turn = (req.socket.turn ?? Promise.resolve()).then(() => serve(req, res)).catch((error) => {
    console.error(JSON.stringify({ request: req.id, error: error.stack }));
    req.socket.destroy();
  });
}

const server = createServer({
  maxHeaderSize: 32 * 1024,
  headersTimeout: settings.header_seconds * 1000,
  requestTimeout: settings.request_seconds * 1000,
  connectionsCheckingInterval: 1000,
  requireHostHeader: false, // we say so ourselves
  keepAliveTimeout: 65 * 1000,
});
server.maxHeadersCount = 0; // their size is limited
server.maxConnections = settings.max_connections;
server.on('request', (req, res) => take(req, res));
server.on('checkContinue', (req, res) => take(req, res, { expectsContinue: true }));
server.on('checkExpectation', (req, res) => take(req, res, { expectsElse: true }));
server.on('connect', (req, socket) => refuse(socket, new Refusal(400, 'not an HTTP request')));
server.on('clientError', (error, socket) => {
  refuse(socket, {
    HPE_HEADER_OVERFLOW: new Refusal(431, 'the header is too large'),
    ERR_HTTP_REQUEST_TIMEOUT: new Refusal(408, 'the request took too long'),
  }[error.code] ?? new Refusal(400, 'not an HTTP request'));
});

// What can't be parsed is refused after the requests before it were answered,
// and, if it is in a body, by the answer to that request.
function refuse(socket, refusal) {
  if (socket.broken) return;
  socket.broken = refusal;
  socket.reading?.(refusal);
  (socket.turn ?? Promise.resolve()).then(() => {
    if (socket.refused || !socket.writable) return socket.destroy();
    const { status, body } = refusal;
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
      `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    socket.removeAllListeners('data').resume();
    socket.on('end', () => socket.destroy());
    setTimeout(() => socket.destroy(), linger).unref();
  });
}

function stop() {
  if (stopping) process.exit(1);
  stopping = true;
  server.close(() => pool.end().then(() => process.exit(0)));
  server.closeIdleConnections();
  setTimeout(() => process.exit(1), settings.stop_seconds * 1000).unref();
}
process.on('SIGTERM', stop).on('SIGINT', stop);

if (settings.listen.startsWith('/')) server.listen(settings.listen);
else {
  const { hostname, port } = new URL(`http://${settings.listen}`);
  server.listen({ host: hostname.replace(/[[\]]/g, ''), port: Number(port || 80), backlog: 1024 });
}
