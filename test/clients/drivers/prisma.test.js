import assert from 'node:assert/strict';
import { prisma, updateDbtSource } from './prisma.js';
import { body, failure, mode, project, run, scenario, secret, shown, source } from './scenario.js';

await run({
  ...scenario(updateDbtSource),
  ...(mode === 'direct' && {
    'trap: a code of its own': async () => {
      const error = await failure(() => prisma.$queryRaw`SELECT dbt.update_project_dbt_source(${project}::uuid, ${source}::uuid, ${body}::jsonb)`);
      assert.equal(error.code, 'P2010');
      assert.doesNotMatch(shown(error), secret);
    },
  }),
});
