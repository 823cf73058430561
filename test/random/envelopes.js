// Envelopes that were tampered with, or forged, and what comes of each.
import { readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { check, faults } from './envelopes/check.js';
import { forge, forgeries } from './envelopes/forgeries.js';
import { open, seal, split } from './envelopes/jwe.js';
import { mutations, ofTexts } from './envelopes/mutations.js';
import { active, before, connections, elsewhere, keyring, MARK, project } from './envelopes/rows.js';
import { Random } from './random.js';
import { finish, inBatches, readArguments, result, show } from './run.js';

const { seed, count, complete } = readArguments(20_000);
console.log(`seed ${seed}`);

const database = new pg.Client({ options: '-c client_min_messages=error' });
database.on('error', ({ message }) => console.log(`# ${message}`));
await database.connect();
const query = async (text, values) => (await database.query(text, values)).rows;
await query(readFileSync(new URL('envelopes/attempt.sql', import.meta.url), 'utf8'));
await query('INSERT INTO projects (project_uuid, name) SELECT unnest($1::uuid[]), $2', [[project, elsewhere, '33333333-3333-4333-8333-333333333333'], 'one']);
await query('SELECT rotate_encryption_key()');
const [{ file }] = await query("SELECT current_setting('data_directory') || '/' || current_setting('dbt_sources.keyring_file') AS file");
const started = 'SELECT pg_backend_pid() AS backend, pg_postmaster_start_time()::text AS server';
const [server] = await query(started);

// over the file that is there, which keeps its owner and mode
const setKeyring = (...keys) => writeFileSync(file, keyring(...keys));

// What the server makes of the connections, but for the IV, which it draws.
async function store({ oldKey, connection, ...place }, i) {
  const [key, other] = oldKey ? [before, active] : [active, before];
  if (oldKey) setKeyring(before);
  else setKeyring(active, before);
  const where = [place.project, place.source];
  await query('INSERT INTO project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence) VALUES ($1, $2, $3, $4)', [...where, place.name, i]);
  const [{ update }] = await query("SELECT answer('update', $1, $2, $3) AS update", [...where, connection]);
  if (update.sqlstate !== '00000') throw new Error(update.said);
  const stored = 'project_dbt_sources WHERE (project_uuid, project_dbt_source_uuid) = ($1, $2)';
  const [{ envelope }] = await query(`SELECT dbt_connection AS envelope FROM ${stored}`, where);
  const { header, iv, plaintext } = open(split(key.bytes), envelope);
  result(seal(split(key.bytes), header, plaintext, { iv }) === envelope, `what the server seals for "${place.name}" is what we would`);

  const ours = seal(split(key.bytes), header, plaintext, { iv: new Random(i).bytes(16) });
  await query('UPDATE project_dbt_sources SET dbt_connection = $3 WHERE (project_uuid, project_dbt_source_uuid) = ($1, $2)', [...where, ours]);
  const [{ get }] = await query("SELECT answer('get', $1, $2, NULL) AS get", where);
  return {
    ...place,
    subject: where.join('/'),
    envelope: ours,
    plaintext,
    connection,
    form: get.answer.dbtConnection,
    members: Object.entries(JSON.parse(header)).map(([name, value]) => [name, JSON.stringify(value)]),
    kid: key.kid, key: split(key.bytes), otherKid: other.kid, otherKey: split(other.bytes),
  };
}

const rows = [];
for (const [i, one] of connections.entries()) rows.push(await store(one, i));
setKeyring(active, before);

// An envelope in a row; what has to come of it; and what is done with it then.
function draw(random) {
  const row = random.pick(rows);
  const others = rows.filter((other) => other !== row);
  const one = random.chance(0.5) ? mutated(row, others, random) : forged(row, others, random);
  const updates = !one.lies && !one.other && one.expect !== 'either';
  one.did = random.pick(['rename', 'reencrypt', 'http', 'keys', row.source === row.project ? 'http' : 'copy', ...(updates ? ['update', 'update'] : ['http'])]);
  // the form that the view fills, sent back; or everything
  one.body = one.did !== 'update' ? null : random.chance(0.5) ? row.form : row.connection;
  // which loses nothing, but has nothing to keep where nothing can be read
  one.after = one.did !== 'update' ? one.plaintext : JSON.stringify(one.expect === 'refused' ? one.body : row.connection);
  return one;
}

function mutated(row, others, random) {
  const [name, mutate] = random.pick(mutations);
  let envelope = mutate(random, row.envelope, others.map((other) => other.envelope));
  for (let more = random.pick([0, 0, 0, 1, 2]); more > 0; more--) envelope = random.pick(ofTexts)[1](random, envelope || '.');
  return { name, row, envelope, plaintext: row.plaintext, expect: envelope === row.envelope ? 'same' : 'refused' };
}

function forged(row, others, random) {
  const forgery = random.weighted(forgeries.map((one) => [one.weight, one]));
  const made = forge(forgery, { ...row, other: random.pick(others) }, random);
  const { name, expect } = forgery;
  // what is refused is no text that it could be compared with
  return { name, row, expect, ...made, plaintext: expect === 'refused' ? row.plaintext : made.plaintext };
}

async function attempt(cases) {
  const column = (of) => cases.map(of);
  const answers = await database.query({
    name: 'attempt',
    text: `SELECT attempt(envelope, project, source, expected, did, body, after) AS got
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[])
      WITH ORDINALITY c (envelope, project, source, expected, did, body, after, n) ORDER BY n`,
    values: [
      column((one) => one.envelope), column((one) => one.row.project), column((one) => one.row.source), column((one) => one.plaintext), column((one) => one.did),
      column((one) => one.body && JSON.stringify(one.body)), column((one) => one.after),
    ],
  });
  return answers.rows.map(({ got }) => got);
}

const seen = new Map([...mutations.map(([name]) => name), ...forgeries.map(({ name }) => name)].map((name) => [name, 0]));
const came = { same: 0, refused: 0 };
let failed = 0;
let unseen = faults;

function judge(one, got, seedOfCase) {
  const lines = check(one, got);
  seen.set(one.name, seen.get(one.name) + 1);
  if (lines.length > 0) {
    failed++;
    return show(`test/envelopes --seed ${seedOfCase} --count 1`, [`${one.name}, in "${one.row.name}": ${JSON.stringify(one.envelope)}`, ...lines]);
  }
  came[got.worker.sqlstate === '00000' ? 'same' : 'refused']++;
  unseen = unseen.filter(([, kind, fault]) => kind !== one.expect || check(one, fault(one, got)).length === 0);
}

await inBatches({ seed, count, size: 100 }, draw, attempt, judge, (done) => `${done} of ${count} envelopes, ${failed} wrong`);

console.log(`# ${came.same} were as good as what was there, ${came.refused} were refused`);
result(failed === 0, `no envelope of ${count} gives a wrong connection, or another error`, [`${failed} do`]);
const [now] = await query(started);
result(now.backend === server.backend && now.server === server.server, 'neither the server nor the session has ended');
result(!readFileSync(`${process.env.PGHOST}/log`, 'utf8').includes(MARK), 'no secret is in the log');
if (complete) {
  const absent = [...seen].filter(([, n]) => n === 0).map(([name]) => name);
  result(absent.length === 0, `each of ${seen.size} kinds of envelopes was there`, absent);
  result(unseen.length === 0, `${faults.length} faults would be seen`, unseen.map(([name]) => name));
}
await database.end();
finish();
