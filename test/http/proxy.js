// What the thin proxy does by itself: tokens, CORS, health, limits.  Argument: a
// connection string.
// Prints a line of TAP for each test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const require = createRequire(new URL('../../proxy/node/', import.meta.url));
const { SignJWT, exportJWK } = require('jose');
const pg = require('pg');
const [database] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'proxy.'));
const project = '11111111-1111-4111-8111-111111111111';
const sources = `/api/v1/projects/${project}/dbt-sources`;
const primary = `${sources}/${project}`;
const admin = new pg.Client();
await admin.connect();

// keys: a secret, and three pairs
const secret = Buffer.from('a secret of thirty-two bytes, and more');
const pairs = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519', {}] };
const keys = { HS256: { sign: secret, jwk: { kty: 'oct', k: secret.toString('base64url'), kid: 'HS256' } } };
for (const [alg, [type, options]] of Object.entries(pairs)) {
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  keys[alg] = { sign: privateKey, jwk: { ...await exportJWK(publicKey), kid: alg, alg, use: 'sig' } };
}
const set = JSON.stringify({ keys: Object.values(keys).map(({ jwk }) => jwk) });
const publicSet = JSON.stringify({ keys: Object.values(keys).map(({ jwk }) => jwk).filter(({ kty }) => kty !== 'oct') });
writeFileSync(join(folder, 'set'), set);
writeFileSync(join(folder, 'secret'), JSON.stringify(keys.HS256.jwk));

const now = () => Math.floor(Date.now() / 1000);
const claims = { role: 'web_user', projects: [project], manages: [project] };
function sign(more = {}, { alg = 'HS256', key = keys[alg].sign, header = {} } = {}) {
  return new SignJWT({ ...claims, exp: now() + 600, ...more }).setProtectedHeader({ alg, kid: alg, ...header })
    .sign(key, { crit: Object.fromEntries((header.crit ?? []).map((name) => [name, true])) });
}

let nextPort = Number(process.env.FIRST_PORT);
async function start(settings = {}) {
  const port = nextPort++;
  const env = { ...process.env, DBT_PROXY_LISTEN: `127.0.0.1:${port}`, DBT_PROXY_DATABASE: database, DBT_PROXY_JWT_KEY_FILE: join(folder, 'secret') };
  for (const [name, value] of Object.entries(settings)) env[`DBT_PROXY_${name.toUpperCase()}`] = value;
  const proxy = { port, log: '', process: spawn('node', [new URL('../../proxy/node/dbt-sources-proxy.js', import.meta.url).pathname], { env }) };
  proxy.process.stderr.on('data', (data) => { proxy.log += data; });
  proxy.ended = once(proxy.process, 'exit');
  for (let i = 0; i < 300 && proxy.process.exitCode === null; i++) {
    if (await ask(proxy, 'GET', '/healthz', { token: null }).catch(() => undefined)) return proxy;
    await delay(50);
  }
  return proxy;
}
const started = [];
const running = async (settings) => { const proxy = await start(settings); started.push(proxy.process); return proxy; };

function ask({ port }, method, path, { token, body, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, method, path, agent: false, headers: { ...(token && { Authorization: `Bearer ${token}` }),
      ...(body && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }), ...headers } }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk) => { text += chunk; })
        .on('end', () => resolve({ status: res.statusCode, headers: res.headers, text, name: text && JSON.parse(text).error?.name, results: text && JSON.parse(text).results }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

let failed = 0;
async function test(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${name}\n# ${String(error.stack).replace(/\n/g, '\n# ')}`);
  }
}

const proxy = await running({ cors_origins: 'http://a.example, http://b.example', header_seconds: '1', request_seconds: '2', max_body: '1000000' });

await test('nothing of a request is left for the next', async () => {
  await ask(proxy, 'GET', sources, { token: await sign() });
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ projects: [] }) })).name, 'NotFoundError');
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ role: 'none' }) })).name, 'ForbiddenError');
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ role: 'authenticator' }) })).name, 'ForbiddenError');
  const { rows } = await admin.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'authenticator' AND state LIKE 'idle in%'`);
  assert.equal(rows[0].n, 0);
});

for (const [name, token, status] of [
  ['expired', sign({ exp: now() - 1 }), 401], ['not valid yet', sign({ nbf: now() + 60 }), 401], ['valid already', sign({ nbf: now() - 1 }), 200],
  ['with a critical extension', sign({}, { header: { crit: ['x'], x: 1 } }), 401], ['of another key', sign({}, { key: Buffer.alloc(40) }), 401],
  ['with another role claim', sign({ role: undefined, x: 'web_user' }), 401], ['with a list of roles', sign({ role: ['web_user'] }), 401],
  ['with a NUL', sign({ role: 'web_user\0' }), 401], ['for anybody', sign({ aud: 'else', iss: 'else' }), 200],
]) await test(`a token ${name}: ${status}`, async () => assert.equal((await ask(proxy, 'GET', sources, { token: await token })).status, status));

await test('a token of a kid that there is not: 401', async () =>
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({}, { header: { kid: 'else' } }) })).status, 401));

const many = await running({ jwt_key_file: join(folder, 'set'), jwt_algorithms: 'HS256 RS256 ES256 EdDSA', jwt_audience: 'us them', jwt_issuer: 'issuer', jwt_role_claim: 'https://x/role' });
const theirs = { role: undefined, 'https://x/role': 'web_user', aud: 'them', iss: 'issuer' };
for (const alg of Object.keys(keys)) await test(`${alg}: 200`, async () => assert.equal((await ask(many, 'GET', sources, { token: await sign(theirs, { alg }) })).status, 200));
for (const [name, more] of [['audience', { aud: 'else' }], ['issuer', { iss: 'else' }], ['role claim', { role: 'web_user', 'https://x/role': undefined }]])
  await test(`another ${name}: 401`, async () => assert.equal((await ask(many, 'GET', sources, { token: await sign({ ...theirs, ...more }) })).status, 401));
await test('a public key is no secret: 401', async () => {
  for (const kid of ['RS256', 'ES256', undefined]) {
    const key = Buffer.from(JSON.stringify(keys.RS256.jwk));
    assert.equal((await ask(many, 'GET', sources, { token: await sign(theirs, { key, header: { kid } }) })).status, 401);
  }
});
await test('an algorithm that is not listed: 401', async () =>
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({}, { alg: 'RS256' }) })).status, 401));

await test('keys from an address: 200, 401, and 503 without them', async () => {
  let there = true;
  const issuer = createServer((req, res) => (there ? res.end(publicSet) : res.writeHead(500).end())).listen(nextPort++, '127.0.0.1');
  const settings = { jwt_key_file: '', jwks_uri: `http://127.0.0.1:${nextPort - 1}/`, jwt_algorithms: 'ES256' };
  const remote = await running(settings);
  assert.equal((await ask(remote, 'GET', sources, { token: await sign({}, { alg: 'ES256' }) })).status, 200);
  assert.equal((await ask(remote, 'GET', sources, { token: await sign({}, { alg: 'ES256', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }) })).status, 401);
  there = false;
  const { status, headers } = await ask(await running(settings), 'GET', sources, { token: await sign({}, { alg: 'ES256' }) });
  assert.deepEqual([status, headers['retry-after']], [503, '1']);
  issuer.close();
});

for (const [name, settings, message] of [
  ['no key', { jwt_key_file: '' }, /either jwt_key_file or jwks_uri/], ['an unknown algorithm', { jwt_algorithms: 'none' }, /jwt_algorithms are some of/],
  ['a secret from an address', { jwt_key_file: '', jwks_uri: 'http://x/' }, /HS256 needs a secret/], ['no number', { max_body: 'much' }, /can't set max_body/],
  ['an unknown setting', { max_bodie: '1' }, /can't set max_bodie/],
]) await test(`it does not start with ${name}`, async () => {
  const { ended, log } = await start(settings).then(async (started) => { await started.ended; return started; });
  assert.notEqual((await ended)[0], 0);
  assert.match(log, message);
});

await test('CORS for an origin that is listed', async () => {
  const headers = { Origin: 'http://b.example', 'Access-Control-Request-Method': 'PATCH', 'Access-Control-Request-Headers': 'authorization,if-match' };
  const preflight = await ask(proxy, 'OPTIONS', primary, { headers });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], 'http://b.example');
  assert.match(preflight.headers['access-control-allow-methods'], /PATCH/);
  const refused = await ask(proxy, 'GET', primary, { headers: { Origin: 'http://b.example' } });
  assert.deepEqual([refused.status, refused.headers['access-control-allow-origin'], refused.headers.vary], [401, 'http://b.example', 'Origin']);
});
await test('and for no other', async () => {
  for (const origin of ['http://c.example', 'http://a.example.org', 'null', '*']) {
    const { status, headers } = await ask(proxy, 'OPTIONS', primary, { headers: { Origin: origin, 'Access-Control-Request-Method': 'PATCH' } });
    assert.deepEqual([status, headers['access-control-allow-origin']], [401, undefined]);
  }
});

await test('health: of the process, and of the database', async () => {
  const elsewhere = await running({ database: 'postgresql://authenticator@127.0.0.1:1/nowhere' });
  for (const [server, path, status] of [[proxy, '/healthz', 200], [proxy, '/readyz', 200], [elsewhere, '/healthz', 200], [elsewhere, '/readyz', 503]])
    assert.equal((await ask(server, 'GET', path)).status, status, path);
  const { status, headers, name } = await ask(elsewhere, 'GET', sources, { token: await sign() });
  assert.deepEqual([status, headers['retry-after'], name], [503, '1', 'ServiceUnavailableError']);
});

// bytes, slowly
async function drip(bytes, more) {
  const socket = connect(proxy.port, '127.0.0.1');
  let reply = '';
  socket.on('data', (data) => { reply += data; }).on('error', () => {});
  const closed = once(socket, 'close');
  const timer = more && setInterval(() => socket.write(more), 300);
  socket.write(bytes);
  await Promise.race([closed, delay(15000)]);
  clearInterval(timer);
  socket.destroy();
  return reply;
}
const head = `PATCH ${primary} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
await test('a slow header: 408', async () => assert.match(await drip('GET / HTTP/1.1\r\nHost: x\r\n', 'X: y\r\n'), /^HTTP\/1.1 408 .*RequestTimeoutError/s));
await test('a slow body: 408', async () =>
  assert.match(await drip(`${head}Authorization: Bearer ${await sign()}\r\nContent-Length: 1000\r\n\r\n`, 'x'), /^HTTP\/1.1 408 .*RequestTimeoutError/s));
await test('a body without an end: 413', async () =>
  assert.match(await drip(`${head}Authorization: Bearer ${await sign()}\r\nTransfer-Encoding: chunked\r\n\r\n${`10000\r\n${'x'.repeat(65536)}\r\n`.repeat(20)}`), /^HTTP\/1.1 413 /));
await test('who has no token fills no memory', async () => {
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.process.pid}/status`, 'latin1'))[1]) / 1024;
  const before = rss();
  const sockets = Array.from({ length: 20 }, () => connect(proxy.port, '127.0.0.1').on('error', () => {}));
  await Promise.all(sockets.map(async (socket) => {
    socket.write(`${head}Content-Length: 100000000\r\n\r\n`);
    const ended = once(socket, 'close');
    for (let i = 0; i < 50 && !socket.destroyed; i++) {
      if (!socket.write(Buffer.alloc(262144, 'x'))) await Promise.race([once(socket, 'drain').catch(() => {}), ended]);
    }
    socket.destroy();
  }));
  assert.ok(rss() - before < 100, `${rss() - before} MB more after 250 MB`);
});

for (const child of started) child.kill();
await admin.end();
process.exitCode = failed > 0 ? 1 : 0;
