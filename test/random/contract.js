// Random bodies, judged by a JSON Schema validator over the contract, and by us.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { alterations } from './contract/alterations.js';
import { checkAnswer, readAnswer } from './contract/answer.js';
import { Case } from './contract/case.js';
import { differences, ruled } from './contract/compare.js';
import { crowded, rules, taken } from './contract/rules.js';
import { Contract } from './contract/schema.js';
import { stored } from './contract/stored.js';
import { fail, finish, inBatches, readArguments, result, show } from './run.js';

const project = '11111111-1111-4111-8111-111111111111';

const { seed, count, complete, wrong } = readArguments(100_000, { wrong: { type: 'string' } });
console.log(`seed ${seed}`);

const truth = new Contract();
const contract = wrong === undefined ? truth : alteration(wrong).contract(truth);

function alteration(name) {
  const found = alterations.find((one) => one.name === name);
  if (!found) fail(`--wrong is one of:\n${alterations.map((one) => one.name).join('\n')}`);
  return found;
}

const database = new pg.Client({ options: '-c client_min_messages=error' });
database.on('error', ({ message }) => console.log(`# ${message}`));
await database.connect();
await database.query(readFileSync(new URL('contract/judge.sql', import.meta.url), 'utf8'));
await database.query(`INSERT INTO projects (project_uuid, name) VALUES ('${project}', 'one')`);
const uuids = { primary: project };
for (const [type, dbtConnection] of Object.entries(stored)) {
  const body = JSON.stringify({ name: `stored ${type}`, dbtConnection });
  const { rows } = await database.query('SELECT create_project_dbt_source($1, $2) AS summary', [project, body]);
  uuids[type] = rows[0].summary.projectDbtSourceUuid;
}

async function judge(cases) {
  const { rows } = await database.query({
    name: 'judge',
    text: 'SELECT judge(call, $1, source, body) AS answer FROM unnest($2::text[], $3::uuid[], $4::text[]) WITH ORDINALITY c (call, source, body, n) ORDER BY n',
    values: [project, cases.map(({ call }) => call), cases.map(({ source }) => uuids[source] ?? null), cases.map(({ text }) => text)],
  });
  return rows.map(({ answer }) => answer);
}

const agreed = { validate: 0, create: 0, update: 0, POST: 0, PATCH: 0 };
const valid = { ...agreed };
const used = new Map();
let disagreed = 0;
// the alterations that no body has shown yet, each made when a body comes that it concerns
let unseen = wrong === undefined ? alterations.map((one) => ({ ...one })) : [];

function check(one, raw, seedOfCase) {
  const found = ruled(truth, one);
  const answer = readAnswer(one, raw);
  const errors = contract.errors(one.call, one.value);
  const usedHere = new Set();
  const lines = [...differences(one, errors, found, answer, usedHere), ...checkAnswer(truth, one, raw, answer)];
  if (contract === truth && truth.allows(one.call, one.value) !== (errors.size === 0)) lines.push('the contract is not read as the validator has it');

  if (lines.length > 0) {
    disagreed++;
    const altered = wrong === undefined ? '' : ` --wrong '${wrong}'`;
    return show(`test/contract --seed ${seedOfCase} --count 1${altered}`, [`${one.call} ${one.source ?? ''} ${one.text}`, ...lines]);
  }
  agreed[one.call]++;
  if (answer.sqlstate === '00000') valid[one.call]++;
  for (const { name } of usedHere) used.set(name, (used.get(name) ?? 0) + 1);
  unseen = unseen.filter((alteration) => {
    if (!alteration.concerns(one)) return true;
    alteration.altered ??= alteration.contract(truth);
    return differences(one, alteration.altered.errors(one.call, one.value), found, answer).length === 0;
  });
}

const draw = (random) => new Case(random);
await inBatches({ seed, count, size: 200 }, draw, judge, check, (done) => `${done} of ${count} bodies, ${disagreed} disagreements`);
await database.end();

for (const [call, number] of Object.entries(agreed)) console.log(`# ${call}: agreed on ${number}, ${valid[call]} of them valid`);
result(disagreed === 0, `contract and extension agree on ${count} bodies`, [`${disagreed} disagreements`]);
if (complete && wrong === undefined) {
  for (const { name } of [...rules, taken, crowded]) result(used.has(name), `${name} (${used.get(name) ?? 0} bodies differ from the contract by it)`);
  result(unseen.length === 0, `${alterations.length} alterations of the contract are noticed`, unseen.map(({ name }) => name));
}
finish();
