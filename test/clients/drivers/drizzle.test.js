import assert from 'node:assert/strict';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { drizzle as drizzleOverPostgresJs } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { pool, updateDbtSource } from './drizzle.js';
import { body, claims, failure, mode, project, run, scenario, secret, source } from './scenario.js';

const update = (db, body) => db.execute(sql`SELECT dbt.update_project_dbt_source(${project}, ${source}, ${body}) AS summary`);

await run({
  ...scenario(updateDbtSource),
  ...(mode === 'direct' && {
    'trap: parameters of an error': async () => {
      const error = await failure(() => update(drizzle(pool), body));
      assert.match(JSON.stringify(error), secret);
      assert.doesNotMatch(JSON.stringify(error.cause), secret);
      const encoded = await failure(() => update(drizzle(pool), JSON.stringify(body)));
      assert.match(encoded.message, secret);
      assert.match(encoded.stack, secret);
    },
    'over postgres.js': async () => {
      const client = postgres();
      const db = drizzleOverPostgresJs(client);
      const in_transaction = (body) => db.transaction(async (tx) => {
        await tx.execute(sql`SELECT set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`);
        return (await update(tx, body))[0].summary.branch;
      });
      assert.equal(await in_transaction(JSON.stringify(body)), 'main');
      assert.equal((await failure(() => in_transaction(body))).cause.code, 'ERR_INVALID_ARG_TYPE');
      await client.end();
    },
  }),
});
