import assert from 'node:assert/strict';
import { pool, updateDbtSource } from './node-postgres.js';
import { claims, failure, mode, project, run, scenario, secret, source, unstorable } from './scenario.js';

const listed = 'SELECT jsonb_array_length(dbt.list_project_dbt_sources($1)) AS sources';

await run({
  ...scenario(updateDbtSource),
  'JSON as text, and a path that is quoted': async () => {
    const error = await failure(() => updateDbtSource(claims, project, source, '{"dbtConnection": {"type": "none", "a: \\"b\\n": 1e999}}'));
    assert.deepEqual(error.problems.map(({ path }) => path), ['dbtConnection."a: \\"b\\u000a"']);
  },
  'trap: an error quotes the body, unless the library is preloaded': async () => {
    const error = await failure(() => pool.query('SELECT dbt.update_project_dbt_source($1, $2, $3)', [project, source, unstorable]));
    assert.equal(error.code, '22P05');
    assert.equal(secret.test(error.where), mode === 'direct');
  },
  ...(mode === 'direct' && {
    'trap: pool.query() and transactions': async () => {
      await pool.query('BEGIN');
      await pool.query("SELECT set_config('request.jwt.claims', $1, true)", [JSON.stringify(claims)]);
      const another = await pool.connect();
      assert.equal((await another.query(listed, [project])).rows[0].sources, 3, 'another request has the claims');
      assert.equal((await failure(() => pool.query(listed, [project]))).code, 'P0002', 'and this one has not');
      await another.query('ROLLBACK');
      another.release();
    },
  }),
});
