// PATCH requests a second and CPU per request of our proxy and of its peers, with
// their database; see bench/README.md.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import jwt from 'jsonwebtoken';
import pg from 'pg';

const secret = 'a secret of thirty-two bytes, and more';
const tick = 10; // milliseconds, of /proc
const projects = Array.from({ length: 64 }, (_, i) => `${String(i + 1).padStart(8, '0')}-0000-4000-8000-000000000000`);
const tokens = Object.fromEntries(projects.map((project) =>
  [project, jwt.sign({ role: 'web_user', projects: [project], manages: [project] }, secret, { expiresIn: '1d' })]));
const connection = { type: 'github', authorization_method: 'personal_access_token', personal_access_token: 'x'.repeat(40), repository: 'acme/jaffle',
  branch: 'main', project_sub_path: '/dbt', host_domain: 'github.com', target: 'prod', environment: [{ key: 'DBT_SCHEMA', value: 'prod' }, { key: 'DBT_ENV', value: 'x'.repeat(200) }] };
const { personal_access_token, ...kept } = connection;

const db = new pg.Client();
await db.connect();
const sources = {};
for (const project of projects) {
  const { rows } = await db.query('SELECT dbt.create_project_dbt_source($1, $2) AS s', [project, { name: 'source', dbtConnection: connection }]);
  sources[project] = rows[0].s.projectDbtSourceUuid;
}

// CPU in milliseconds of a process and its children, dead ones included
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/.*\) /s, '').split(' ').map(Number);
  return (fields[11] + fields[12]) * tick;
}
const { rows: [{ postmaster }] } = await db.query("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS postmaster");
function cpuOfDatabase() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).reduce((sum, pid) => {
    try {
      const parent = Number(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/.*\) /s, '').split(' ')[1]);
      return parent === postmaster ? sum + cpuOf(pid) : sum;
    } catch {
      return sum; // it has just ended
    }
  }, 0);
}
const memoryOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;

function send(port, agent, path, body, token, method = 'PATCH') {
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', agent, path, method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk) => { text += chunk; }).on('end', () => resolve({ status: res.statusCode, text }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

// so many requests over so many connections, each edits a source of its own
async function load(contender, connections, count) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let left = count;
  const statuses = {};
  await Promise.all(Array.from({ length: connections }, async (_, i) => {
    const project = projects[i % projects.length];
    const path = `/api/v1/projects/${project}/dbt-sources/${contender.sourceOf(project)}`;
    const body = JSON.stringify({ name: 'source', dbtConnection: { ...kept, branch: `branch-${i}` } });
    while (left-- > 0) {
      const { status } = await send(contender.port, agent, path, body, tokens[project]).catch((error) => ({ status: error.code }));
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  }));
  agent.destroy();
  return statuses;
}

let port = Number(process.env.FIRST_PORT ?? 18080);
async function start(name, sourceOf, args, env) {
  const contender = { name, sourceOf, port: port++ };
  contender.process = spawn('node', args(contender.port), { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env(contender.port) } });
  for (;;) {
    const up = await send(contender.port, undefined, '/healthz', '', '', 'GET').catch(() => undefined);
    if (up) return contender;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const here = (path) => new URL(path, import.meta.url).pathname;
const contenders = [
  await start('proxy/node', (project) => sources[project], () => [here('../../proxy/node/dbt-sources-proxy.js')], (p) => ({ PGUSER: 'authenticator',
    DBT_PROXY_LISTEN: `127.0.0.1:${p}`, DBT_PROXY_JWT_KEY_FILE: process.env.JWT_KEY_FILE, DBT_PROXY_POOL_SECONDS: '60' })),
  await start('Express + knex', (project) => project, (p) => [here('peer.js'), p, 'direct'], () => ({})),
];
const slow = await start('Express + knex, PBKDF2', (project) => project, (p) => [here('peer.js'), p, 'pbkdf2'], () => ({}));

async function measure(contender, connections, count) {
  await load(contender, connections, Math.ceil(count / 10));
  const [cpu, database, time] = [cpuOf(contender.process.pid), cpuOfDatabase(), performance.now()];
  const statuses = await load(contender, connections, count);
  const seconds = (performance.now() - time) / 1000;
  const result = { rate: count / seconds, server: (cpuOf(contender.process.pid) - cpu) * 1000 / count, database: (cpuOfDatabase() - database) * 1000 / count };
  console.log(`${contender.name.padEnd(24)} ${String(connections).padStart(5)} ${result.rate.toFixed(0).padStart(9)} ${result.server.toFixed(0).padStart(10)} ${
    result.database.toFixed(0).padStart(10)} ${(result.server + result.database).toFixed(0).padStart(10)}   ${JSON.stringify(statuses)}`);
  return result.server + result.database;
}
// the peers' rows are encrypted by who will decrypt them
async function encryptFor(contender) {
  for (const project of projects) await send(contender.port, undefined, '/sources', JSON.stringify({ source: project, dbtConnection: connection }), '', 'POST');
}

console.log('contender            connections  PATCH/s   server µs database µs     sum µs   answers');
const sums = {};
for (const connections of [1, 8, 64]) {
  for (const contender of [...contenders, slow]) {
    if (contender !== contenders[0]) await encryptFor(contender);
    (sums[contender.name] ??= {})[connections] = await measure(contender, connections, contender === slow ? 600 : connections === 1 ? 1000 : 3000);
  }
}
for (const { name } of [contenders[1], slow]) console.log(`${name} / proxy/node, CPU at 8 connections: ${(sums[name][8] / sums['proxy/node'][8]).toFixed(1)}`);

const ours = contenders[0];
console.log(`10,000 requests at 1,000 connections: ${JSON.stringify(await load(ours, 1000, 10000))}`);
const memory = [];
for (let i = 0; i < 10; i++) {
  memory.push(memoryOf(ours.process.pid).toFixed(0));
  await load(ours, 64, 10000);
}
memory.push(memoryOf(ours.process.pid).toFixed(0));
console.log(`memory of the proxy over 100,000 requests, MB: ${memory.join(' ')}`);

for (const contender of [...contenders, slow]) contender.process.kill();
await db.end();
