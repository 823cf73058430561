// Calls the five operations with a client that was generated from
// proxy/openapi/dbt-sources.yaml.  Arguments: base URL, token, project.
import createClient from 'openapi-fetch';
import assert from 'node:assert/strict';
import type { components, paths } from './api.js';

const [baseUrl, token, projectUuid] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const sources = '/api/v1/projects/{projectUuid}/dbt-sources';
const source = '/api/v1/projects/{projectUuid}/dbt-sources/{projectDbtSourceUuid}';
const dbtConnection: components['schemas']['DbtGithubProjectConfig'] = {
  type: 'github', authorization_method: 'personal_access_token', personal_access_token: 'sesame',
  repository: 'acme/jaffle', branch: 'main', project_sub_path: '/',
};

const created = await client.POST(sources, { params: { path: { projectUuid } }, body: { name: 'jaffle', dbtConnection } });
assert.equal(created.response.status, 201);
assert.equal(created.data?.results.type, 'github');
const path = { projectUuid, projectDbtSourceUuid: created.data!.results.projectDbtSourceUuid };

const listed = await client.GET(sources, { params: { path: { projectUuid } } });
assert.deepEqual(listed.data?.results.map(({ name }) => name), ['Project dbt connection', 'jaffle']);

const got = await client.GET(source, { params: { path } });
assert.equal(got.data?.results.dbtConnection?.branch, 'main');
assert.equal(got.data?.results.dbtConnection?.personal_access_token, undefined);
const etag = got.response.headers.get('ETag')!;
assert.equal(etag, '"1"');

const { personal_access_token, ...rest } = dbtConnection;
const updated = await client.PATCH(source, {
  params: { path, header: { 'If-Match': etag } }, body: { dbtConnection: { ...rest, branch: 'release' } },
});
assert.equal(updated.data?.results.branch, 'release');
assert.equal(updated.response.headers.get('ETag'), '"2"');
const late = await client.PATCH(source, { params: { path, header: { 'If-Match': etag } }, body: { name: 'late' } });
assert.equal(late.error?.error.name, 'PreconditionFailedError');

// @ts-expect-error there is no such type of connection
const broken = await client.PATCH(source, { params: { path }, body: { dbtConnection: { type: 'svn' } } });
assert.equal(broken.error?.error.statusCode, 400);
assert.equal((broken.error?.error.data as { path: string }[])[0]?.path, 'dbtConnection.type');

assert.deepEqual((await client.DELETE(source, { params: { path, header: { 'If-Match': '"2"' } } })).data, { status: 'ok' });
assert.equal((await client.GET(source, { params: { path } })).error?.error.name, 'NotFoundError');
console.log('all five');
