import assert from 'node:assert/strict';
import postgres from 'postgres';
import { sql, updateDbtSource } from './postgres.js';
import { body, claims, failure, mode, project, run, scenario, secret, source } from './scenario.js';

await run({
  ...scenario(updateDbtSource),
  ...(mode === 'direct' && {
    'trap: encoded twice': async () => {
      const error = await failure(() => sql`SELECT dbt.update_project_dbt_source(${project}, ${source}, ${JSON.stringify(body)})`);
      assert.equal(error.code, 'P0002', 'claims come first');
      const [{ problem }] = await sql`SELECT message AS problem FROM dbt.validate_dbt_connection(${JSON.stringify(body)})`;
      assert.match(problem, /encoded twice/);
      assert.equal((await sql`SELECT jsonb_typeof(${sql.json(body)}::jsonb) AS type`)[0].type, 'object');
    },
    'trap: parameters of an error': async () => {
      const error = await failure(() => sql`SELECT dbt.update_project_dbt_source(${project}, ${source}, ${sql.json(body)})`);
      assert.doesNotMatch(JSON.stringify(error), secret);
      assert.match(error.parameters.join(), secret);
      assert.match(JSON.stringify(error.args), secret);
      const debug = postgres({ debug: () => {} });
      assert.match(JSON.stringify(await failure(() => debug`SELECT dbt.update_project_dbt_source(${project}, ${source}, ${debug.json(body)})`)), secret);
      await debug.end();
    },
  }),
  // what was prepared is where another client's transaction is now
  ...(mode === 'pooled' && {
    'trap: a prepared statement behind a pooler': async () => {
      const [preparing, another] = [postgres({ max: 1 }), postgres({ max: 1, prepare: false })];
      const ask = () => preparing.begin((sql) => sql`SELECT ${1}::integer AS one`);
      await ask();
      const error = await another.begin(async (taken) => {
        await taken`SELECT 1`;
        return failure(ask);
      });
      assert.equal(error.code, '26000');
      await updateDbtSource(claims, project, source, body);
      await another.begin(async (taken) => {
        await taken`SELECT 1`;
        await updateDbtSource(claims, project, source, body);
      });
      await Promise.all([preparing.end(), another.end()]);
    },
  }),
});
