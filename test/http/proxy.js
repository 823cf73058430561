// What the thin proxy does by itself: tokens, CORS, health, limits, its end.
// Arguments: connection string, the server's log, in which statements are, and the
// connection string of a pgbouncer in transaction mode.
// Prints a line of TAP for each test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const require = createRequire(new URL('../../proxy/node/', import.meta.url));
const { SignJWT, exportJWK } = require('jose');
const pg = require('pg');
const [database, serverLog, bouncer] = process.argv.slice(2);
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

await test('claims arrive as they were signed', async () => {
  await admin.query(`CREATE TABLE heard (claims text); GRANT INSERT ON heard TO PUBLIC;
    CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$ BEGIN INSERT INTO heard VALUES (current_setting('request.jwt.claims')); RETURN NEW; END $$;
    CREATE TRIGGER hear AFTER UPDATE ON dbt.project_dbt_sources FOR EACH ROW EXECUTE FUNCTION hear()`);
  const token = await sign({ sub: 'müller 🦊', tenant: 1 });
  assert.equal((await ask(proxy, 'PATCH', primary, { token, body: '{"name": "a"}' })).status, 200);
  const { rows } = await admin.query(`SELECT claims, claims::jsonb ->> 'sub' AS sub FROM heard`);
  assert.equal(rows[0].sub, 'müller 🦊');
  assert.equal(rows[0].claims, Buffer.from(token.split('.')[1], 'base64url').toString());
  await admin.query('DROP TRIGGER hear ON dbt.project_dbt_sources; DROP FUNCTION hear; DROP TABLE heard');
});

await test('nothing of a request is left for the next', async () => {
  await ask(proxy, 'GET', sources, { token: await sign() });
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ projects: [] }) })).name, 'NotFoundError');
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ role: 'none' }) })).name, 'ForbiddenError');
  assert.equal((await ask(proxy, 'GET', sources, { token: await sign({ role: 'authenticator' }) })).name, 'ForbiddenError');
  const { rows } = await admin.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'authenticator' AND state LIKE 'idle in%'`);
  assert.equal(rows[0].n, 0);
});

await test('functions of the same names in another schema are not called', async () => {
  // for these types they fit better
  await admin.query(`CREATE FUNCTION public.set_config(text, name, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
    CREATE FUNCTION public.has_function_privilege(oid, regproc, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$`);
  const { status } = await ask(await running(), 'GET', sources, { token: await sign() });
  await admin.query('DROP FUNCTION public.set_config, public.has_function_privilege');
  assert.equal(status, 200);
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

await test('what goes wrong has a line in the log, without a value', async () => {
  await admin.query(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$ BEGIN RAISE EXCEPTION 'sesame' USING ERRCODE = 'ZZ123'; END $$;
    CREATE TRIGGER fail BEFORE UPDATE ON dbt.project_dbt_sources FOR EACH ROW EXECUTE FUNCTION fail()`);
  const { status, name, text } = await ask(proxy, 'PATCH', `${primary}?q=sesame`, { token: await sign(), body: '{"name": "sesame"}', headers: { 'X-Request-Id': 'here-1' } });
  await admin.query('DROP TRIGGER fail ON dbt.project_dbt_sources; DROP FUNCTION fail');
  assert.deepEqual([status, name], [500, 'UnexpectedServerError']);
  assert.match(proxy.log, /^\{"request":"here-1","method":"PATCH","route":"\/api\/v1\/projects\/\{\}\/dbt-sources\/\{\}","status":500,"sqlstate":"ZZ123"\}$/m);
  assert.doesNotMatch(proxy.log + text, /sesame/);
});

await test('and so has what the database itself answers with 500', async () => {
  const { rows: [{ dbt_connection: stored }] } = await admin.query('SELECT dbt_connection FROM dbt.project_dbt_sources WHERE is_primary');
  await admin.query(`UPDATE dbt.project_dbt_sources SET dbt_connection = 'broken' WHERE is_primary`);
  const { status, name } = await ask(proxy, 'GET', `${primary}/`, { token: await sign(), headers: { 'X-Request-Id': 'here-2' } });
  await admin.query('UPDATE dbt.project_dbt_sources SET dbt_connection = $1 WHERE is_primary', [stored]);
  assert.deepEqual([status, name], [500, 'UnexpectedServerError']);
  assert.match(proxy.log, /^\{"request":"here-2","method":"GET","route":"\/api\/v1\/projects\/\{\}\/dbt-sources\/\{\}","status":500\}$/m);
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
    const ended = once(socket, 'close').catch(() => {}); // a reset is an end
    for (let i = 0; i < 50 && !socket.destroyed; i++) {
      if (!socket.write(Buffer.alloc(262144, 'x'))) await Promise.race([once(socket, 'drain').catch(() => {}), ended]);
    }
    socket.destroy();
  }));
  assert.ok(rss() - before < 100, `${rss() - before} MB more after 250 MB`);
});

await test('SIGTERM finishes what runs, and takes nothing new', async () => {
  const server = await running();
  const holder = new pg.Client();
  await holder.connect();
  await holder.query('BEGIN; SELECT FROM dbt.project_dbt_sources WHERE is_primary FOR UPDATE');
  const pending = ask(server, 'PATCH', primary, { token: await sign(), body: '{"name": "before the end"}' });
  const waits = `SELECT FROM pg_stat_activity WHERE usename = 'authenticator' AND wait_event_type = 'Lock'`;
  for (let i = 0; i < 100 && (await admin.query(waits)).rowCount === 0; i++) await delay(50);
  server.process.kill('SIGTERM');
  while (await ask(server, 'GET', '/healthz').catch(() => undefined)) await delay(20);
  assert.equal(server.process.exitCode, null);
  await holder.query('COMMIT');
  await holder.end();
  const { status, results, headers } = await pending;
  assert.deepEqual([status, results.name, headers.connection], [200, 'before the end', 'close']);
  assert.deepEqual(await server.ended, [0, null]);
});

// of the proxy's statement as the server's log has it
await test('role and claims are set before the call, whatever the planner prefers', async () => {
  const [, statement] = /LOG: +execute request: ((?:.*\n)(?:\t.*\n)+)/.exec(readFileSync(serverLog, 'utf8'));
  await admin.query(`PREPARE request AS ${statement}`);
  for (const setting of ['enable_nestloop = off', 'enable_hashjoin = off', 'enable_mergejoin = off', 'enable_material = off', 'join_collapse_limit = 1', 'from_collapse_limit = 1',
    'plan_cache_mode = force_generic_plan', 'plan_cache_mode = force_custom_plan', 'geqo_threshold = 2']) {
    await admin.query(`BEGIN; SET LOCAL ${setting}`);
    const { rows } = await admin.query(`EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE request('web_user', '{}', 'GET', '/', NULL, '{}')`);
    await admin.query('ROLLBACK');
    const { Plan: plan } = rows[0]['QUERY PLAN'][0];
    const [first, second] = plan.Plans;
    assert.equal(plan['Node Type'], 'Nested Loop', setting);
    assert.equal(first['Parent Relationship'], 'Outer', setting);
    assert.match(JSON.stringify(first), /set_config\('role'.*set_config\('request\.jwt\.claims'/, setting);
    assert.doesNotMatch(JSON.stringify(first), /http_request\(/, setting);
    assert.deepEqual([second['Parent Relationship'], second['Node Type'], second['Function Name']], ['Inner', 'Function Scan', 'http_request'], setting);
    assert.match(second['Function Call'], /http_request\((?:\('GET'|\(\$|caller\.)/, setting); // a value of the first, and no constant
  }
});
await test('already in the first statement of a connection', async () => {
  await admin.query(`CREATE ROLE web_other; GRANT web_other TO authenticator; GRANT USAGE ON SCHEMA dbt TO web_other;
    GRANT SELECT ON projects TO web_other; CREATE POLICY web_other ON projects TO web_other USING (true)`);
  const expected = async (claims, status, name) => {
    const reply = await ask(await running(), 'GET', sources, { token: await sign(claims) });
    assert.deepEqual([reply.status, reply.name], [status, name]);
  };
  await expected({ role: 'web_other' }, 200, undefined);
  await expected({ projects: [] }, 404, 'NotFoundError');
  await expected({ role: 'none' }, 403, 'ForbiddenError');
  // may not execute what the role that connects may
  await admin.query(`REVOKE EXECUTE ON FUNCTION dbt.http_request FROM PUBLIC; GRANT EXECUTE ON FUNCTION dbt.http_request TO authenticator, web_user`);
  await expected({ role: 'web_other' }, 403, 'ForbiddenError');
  await expected({}, 200, undefined);
});

await test('a connection to PostgreSQL that breaks while it is used', async () => {
  let breaks = false;
  const relay = createTcpServer((client) => {
    const server = connect(`${admin.host}/.s.PGSQL.${admin.port}`);
    for (const socket of [client, server]) socket.on('error', () => {});
    client.pipe(server).pipe(client);
    client.on('data', () => { if (breaks) { client.resetAndDestroy(); server.destroy(); } });
  });
  const port = nextPort++;
  relay.listen(port, '127.0.0.1').unref();
  const server = await running({ database: `postgresql://authenticator@127.0.0.1:${port}/postgres` });
  const status = async () => (await ask(server, 'GET', sources, { token: await sign() })).status;
  for (const expected of [200, 503, 200]) {
    breaks = expected === 503;
    assert.equal(await status(), expected);
  }
  assert.equal(server.process.exitCode, null);
  server.process.kill();
  relay.close();
});

if (bouncer) {
  await test('behind pgbouncer in transaction mode', async () => {
    const server = await running({ database: bouncer, prepare: 'false', pool_size: '20' });
    const answers = await Promise.all(Array.from({ length: 100 }, async (_, i) =>
      ask(server, 'GET', sources, { token: await sign({ projects: i % 2 ? [project] : [] }) })));
    assert.deepEqual(answers.map(({ status }) => status), answers.map((_, i) => (i % 2 ? 200 : 404)));
  });
}

for (const child of started) child.kill();
await admin.end();
process.exitCode = failed > 0 ? 1 : 0;
