import assert from 'node:assert/strict';
import createKnex from 'knex';
import { knex, updateDbtSource } from './knex.js';
import { body, failure, mode, project, run, scenario, secret, source } from './scenario.js';

const statement = 'SELECT dbt.update_project_dbt_source(:project, :source, :body)';
const bindings = { project, source, body: JSON.stringify(body) };

await run({
  ...scenario(updateDbtSource),
  ...(mode === 'direct' && {
    'trap: the message is not only PostgreSQL\'s': async () => {
      const { message } = await failure(() => knex.raw(statement, bindings));
      assert.match(message, /^SELECT .* - project not found$/);
    },
    'trap: values in the message': async () => {
      const compiling = createKnex({ client: 'pg', connection: {} });
      const asks = (knex) => failure(() => knex.raw(`SELECT ?::jsonb \\? 'dbtConnection', dbt.list_project_dbt_sources(?)`, [JSON.stringify(body), project]));
      assert.match((await asks(compiling)).message, secret);
      assert.doesNotMatch((await asks(knex)).message, secret);
      await compiling.destroy();
    },
    'trap: query-error has the bindings': async () => {
      let told;
      const listening = createKnex({ client: 'pg', connection: {}, compileSqlOnError: false });
      listening.on('query-error', (_, query) => { told = query.bindings });
      await failure(() => listening.raw(statement, bindings));
      assert.match(told.join(), secret);
      await listening.destroy();
    },
    'trap: knex.raw() is not in the transaction': async () => {
      await knex.transaction(async (trx) => {
        const backend = async (on) => (await on.raw('SELECT pg_backend_pid() AS pid')).rows[0].pid;
        assert.notEqual(await backend(knex), await backend(trx));
      });
    },
  }),
});
