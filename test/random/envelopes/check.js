// Whether an envelope did what it may do, and nothing else.
import { active, before, MARK } from './rows.js';
import { encode } from './jwe.js';

const secrets = [MARK, ...[active, before].map(({ bytes }) => encode(bytes))];
const tells = (text) => secrets.some((secret) => text.includes(secret));

const refusals = { same: [], refused: ['XX001'], either: ['XX001', '54001'] };

// What is wrong with what came of an attempt, in words.
export function check(one, { list, get, worker, did, after, kept }) {
  const wrong = [];
  const must = (holds, what) => holds || wrong.push(what);
  const succeeds = worker.sqlstate === '00000';
  const primary = one.row.source === one.row.project;

  must(!succeeds || worker.same, 'a wrong connection');
  must(!succeeds || one.expect !== 'refused', 'is accepted');
  must(succeeds || refusals[one.expect].includes(worker.sqlstate), `the worker gets ${worker.sqlstate}: ${worker.said}`);
  for (const [name, { said }] of Object.entries({ list, get, worker, did, after })) must(!tells(said), `${name}: a secret is told`);

  // the list is there whatever is stored
  must(list.sqlstate === '00000', `the list fails: ${list.said}`);
  if (list.sqlstate === '00000') {
    const summary = list.answer;
    const type = succeeds ? JSON.parse(one.plaintext).type : null;
    must(summary.type === type, `the list has the type ${summary.type}, and not ${type}`);
    must(summary.hasCredentialError === (!succeeds && !primary), `hasCredentialError is ${summary.hasCredentialError}`);
    must(succeeds || (summary.repository === null && summary.branch === null && summary.projectSubPath === null), 'the list has an identity');
    must(!tells(JSON.stringify(summary)), 'the list tells a secret');
  }
  must(get.sqlstate === worker.sqlstate, `the view gets ${get.sqlstate}: ${get.said}`);
  must(!tells(JSON.stringify(get.answer ?? '')), 'the view tells a secret');

  const undone = kept && after.sqlstate === worker.sqlstate && after.same === worker.same;
  must(!tells(JSON.stringify(did.answer ?? '')), `${one.did}: tells a secret`);
  switch (one.did) {
    case 'update':
      if (did.sqlstate === '00000') must(after.same, 'the update leaves a wrong connection');
      else must(!succeeds && ['XX001', '22023'].includes(did.sqlstate) && undone, `the update gets ${did.sqlstate}: ${did.said}`);
      break;
    case 'copy':
      must(did.sqlstate === worker.sqlstate, `the copy gets ${did.sqlstate}: ${did.said}`);
      must(!succeeds || after.same, 'the copy is a wrong connection');
      break;
    case 'reencrypt':
      must(did.sqlstate === '00000' && after.sqlstate === worker.sqlstate && after.same === worker.same, `re-encryption: ${did.sqlstate}, ${did.said}`);
      must(succeeds || kept, 're-encryption replaces what it cannot read');
      break;
    case 'http':
      must(did.sqlstate === '00000' && did.answer[0] === (succeeds ? 200 : 500), `HTTP: ${JSON.stringify(did)}`);
      must(undone, 'GET changes something');
      break;
    default:
      must(did.sqlstate === '00000' && undone, `${one.did}: ${did.sqlstate}, ${did.said}`);
  }
  return wrong;
}

// How an attempt could go wrong.  Each has to be seen in any that went well and is
// of that kind.
export const faults = [
  ['a wrong connection', 'same', (one, got) => ({ ...got, worker: { ...got.worker, same: false } })],
  ['one that is refused and should not be', 'same', (one, got) => ({ ...got, worker: { sqlstate: 'XX001', said: '' } })],
  ['one that should be refused', 'refused', (one, got) => ({ ...got, worker: { sqlstate: '00000', said: '', same: true } })],
  ['another error', 'refused', (one, got) => ({ ...got, worker: { ...got.worker, sqlstate: 'XX000' } })],
  ['a secret in an error', 'refused', (one, got) => ({ ...got, worker: { ...got.worker, said: `... ${MARK} ...` } })],
  ['a key in a hint', 'refused', (one, got) => ({ ...got, get: { ...got.get, said: encode(before.bytes) } })],
  ['a secret in a view', 'same', (one, got) => ({ ...got, get: { ...got.get, answer: { note: [MARK] } } })],
  ['no list', 'refused', (one, got) => ({ ...got, list: { sqlstate: 'XX001', said: '' } })],
  ['a list that has it still', 'refused', (one, got) => ({ ...got, list: { ...got.list, answer: { ...got.list.answer, type: 'gitlab' } } })],
  ['a list that has it no more', 'same', (one, got) => ({ ...got, list: { ...got.list, answer: { ...got.list.answer, hasCredentialError: true } } })],
  ['another connection afterwards', 'same', (one, got) => ({ ...got, after: { ...got.after, same: false } })],
];
