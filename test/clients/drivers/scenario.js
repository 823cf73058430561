// What docs/clients.md promises of each driver, and how a file says what it found.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';

export const [mode, project, source] = process.argv.slice(2);
export const secret = /sesame/;
const other = '22222222-2222-4222-8222-222222222222';
export const claims = { projects: [project], manages: [project] };
const views = { projects: [project], manages: [] };

export const connection = (fields) => ({
  dbtConnection: { type: 'gitlab', personal_access_token: 'sesame', repository: 'acme/shop', project_sub_path: '/', ...fields },
});
export const body = connection({ branch: 'main' });
export const invalid = connection({ environment: [{ key: 'PATH', value: 'sesame' }] });
export const unstorable = { dbtConnection: { type: 'gitlab', personal_access_token: 'sesame', branch: '\0' } };

/** Whatever a logger could make of an error. */
export const shown = (error) => [error.message, error.stack, JSON.stringify(error), inspect(error, { depth: Infinity, showHidden: true })].join('\n');

export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'there was no error' });
}

async function fails(call, expected) {
  const error = await failure(call);
  const { message, problems = [], ...rest } = expected;
  assert.deepEqual({ status: error.status, code: error.code, problems: error.problems }, { ...rest, problems });
  assert.match(error.message, message);
  assert.doesNotMatch(shown(error), secret);
}

export const scenario = (update) => ({
  'a body with a secret': async () => {
    const summary = await update(claims, project, source, body);
    assert.equal(summary.branch, 'main');
    assert.equal(summary.hasCredentialError, false);
    assert.doesNotMatch(JSON.stringify(summary), secret);
  },
  'problems': () => fails(() => update(claims, project, source, invalid), {
    status: 400, code: '22023', message: /^invalid dbt source$/,
    problems: [
      { path: 'dbtConnection.environment[0].key', message: 'must not name a variable that changes how dbt runs' },
      { path: 'dbtConnection.branch', message: 'is required' },
    ],
  }),
  'what jsonb cannot hold': () => fails(() => update(claims, project, source, unstorable), {
    status: 400, code: '22P05', message: /^unsupported Unicode escape sequence$/,
  }),
  'a uuid that is none': () => fails(() => update(claims, project, 'none', body), {
    status: 400, code: '22P02', message: /^invalid input syntax for type uuid: /,
  }),
  'no such source': () => fails(() => update(claims, project, other, body), { status: 404, code: 'P0002', message: /^dbt source not found$/ }),
  'no such project': () => fails(() => update(claims, other, source, body), { status: 404, code: 'P0002', message: /^project not found$/ }),
  'who only views': () => fails(() => update(views, project, source, body), { status: 403, code: '42501', message: /^permission denied for project$/ }),
  'a name that is taken': () => fails(() => update(claims, project, source, { name: 'taken' }), {
    status: 409, code: '23505', message: /^project already has a dbt source of that name$/,
  }),
  'nothing is left of a request': async () => {
    for (let i = 0; i < 7; i++) {
      await update(claims, project, source, body);
      await fails(() => update({}, project, source, body), { status: 404, code: 'P0002', message: /^project not found$/ });
    }
  },
});

/** Each test is a line; the last one tells that there are no more. */
export async function run(tests) {
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok - ${name}`);
    } catch (error) {
      console.log(`not ok - ${name}\n${inspect(error)}`);
    }
  }
  console.log('done');
  // whatever connection is still open
  process.exit();
}
