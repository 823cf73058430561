import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { DataSource } from 'typeorm';
import { db, updateDbtSource } from './typeorm.js';
import { body, failure, mode, project, run, scenario, secret, source } from './scenario.js';

const update = (db) => failure(() => db.query('SELECT dbt.update_project_dbt_source($1, $2, $3)', [project, source, body]));

await run({
  ...scenario(updateDbtSource),
  ...(mode === 'direct' && {
    'trap: parameters of an error': async () => {
      const error = await update(db);
      assert.equal(error.message, 'project not found');
      assert.match(JSON.stringify(error), secret);
    },
    'trap: logging': async () => {
      const printed = [];
      const { log, error, warn, info } = console;
      const logging = await new DataSource({ type: 'postgres', logging: ['error'] }).initialize();
      for (const way of ['log', 'error', 'warn', 'info']) console[way] = (...what) => printed.push(inspect(what));
      try {
        await update(logging);
      } finally {
        Object.assign(console, { log, error, warn, info });
      }
      await logging.destroy();
      assert.match(printed.join(), secret);
    },
  }),
});
