-- PostgREST, as it behaves: its transaction, its settings, the shape of its
-- call (src/library/PostgREST/Query/), with the files in proxy/
SET client_min_messages = warning;
CREATE SCHEMA dbt;
CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT dbt.enable_dbt_sources('projects');
\set ECHO none
-- not with roles that the cluster may have
\set authenticator regress_authenticator
\set web_user regress_web_user
\i proxy/setup.sql
\i proxy/postgrest/api.sql
\set ECHO all
SELECT dbt.rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one'), ('22222222-2222-4222-8222-222222222222', 'two');
SELECT '/api/v1/projects/' || :p || '/dbt-sources' AS sources \gset
\set viewer '{"role": "regress_web_user", "projects": ["11111111-1111-4111-8111-111111111111"]}'
\set manager '{"role": "regress_web_user", "projects": ["11111111-1111-4111-8111-111111111111"], "manages": ["11111111-1111-4111-8111-111111111111"]}'

-- where nobody ever said what is asked for, there is nothing
SELECT dbt.postgrest_request('{}');

-- one request: a transaction with these settings, then the call, its body as bytea
CREATE PROCEDURE begin_request(claims text, headers text) LANGUAGE sql AS $$
	SELECT set_config('search_path', '"api", "public"', true), set_config('role', 'regress_web_user', true),
	set_config('request.jwt.claims', claims, true), set_config('request.method', 'POST', true), set_config('request.path', '/rpc/request', true),
	set_config('request.headers', headers, true), set_config('request.cookies', '{}', true) $$;
PREPARE call(bytea) AS WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM (SELECT "api"."request"($1) pgrst_scalar) pgrst_call)
	SELECT nullif(current_setting('response.status', true), '') AS status, coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')::jsonb
	#- '{results,projectDbtSourceUuid}' AS body, nullif(current_setting('response.headers', true), '') AS headers
	FROM (SELECT pgrst_source.* FROM pgrst_source) _postgrest_t;

BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'POST', 'x-original-uri', :'sources')::text);
EXECUTE call('{"name": "a", "dbtConnection": {"type": "gitlab", "personal_access_token": "sesame", "repository": "r", "branch": "b", "project_sub_path": "/"}}');
COMMIT;
SELECT project_dbt_source_uuid AS a FROM dbt.project_dbt_sources WHERE name = 'a' \gset
BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'PATCH', 'x-original-uri', :'sources' || '/' || :'a')::text);
EXECUTE call('{"name": "b"}');
COMMIT;
BEGIN;
CALL begin_request(:'viewer', json_build_object('x-original-method', 'GET', 'x-original-uri', :'sources' || '/' || :'a')::text);
EXECUTE call('');
COMMIT;
BEGIN;
CALL begin_request(:'viewer', json_build_object('x-original-method', 'PATCH', 'x-original-uri', :'sources' || '/' || :'a')::text);
EXECUTE call('{"name": "c"}');
COMMIT;
BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'PUT', 'x-original-uri', :'sources')::text);
EXECUTE call('{}');
COMMIT;
BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'PATCH', 'x-original-uri', :'sources' || '/' || :'a' || '/?limit=0', 'content-type', 'application/octet-stream',
	'x-original-content-type', 'text/html')::text);
EXECUTE call('{}');
COMMIT;
-- bodies that no text can be
BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'PATCH', 'x-original-uri', :'sources' || '/' || :'a')::text);
EXECUTE call('\x7b226e616d65223a2022ff227d');
EXECUTE call('\x7b7d00');
EXECUTE call('{');
EXECUTE call('');
EXECUTE call(NULL);
COMMIT;
-- without nginx, or with headers that make no sense
BEGIN;
CALL begin_request(:'manager', '{"x-original-method": "GET"}');
EXECUTE call('');
CALL begin_request(:'manager', '{"x-original-method": 1, "x-original-uri": []}');
EXECUTE call('');
CALL begin_request(:'manager', '[]');
EXECUTE call('');
COMMIT;
-- what isn't of the API is a 500 or a 503 that tells nothing, and writes nothing
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE EXCEPTION 'inside' USING ERRCODE = NEW.name; END $$;
CREATE TRIGGER fail AFTER UPDATE OF name ON dbt.project_dbt_sources FOR EACH ROW EXECUTE FUNCTION fail();
BEGIN;
CALL begin_request(:'manager', json_build_object('x-original-method', 'PATCH', 'x-original-uri', :'sources' || '/' || :'a')::text);
EXECUTE call('{"name": "P0001"}');
EXECUTE call('{"name": "22023"}');
EXECUTE call('{"name": "XX001"}');
EXECUTE call('{"name": "55P03"}');
EXECUTE call('{"name": "57014"}');
EXECUTE call('{"name": "40001"}');
EXECUTE call('{"name": "53100"}');
COMMIT;
SELECT name FROM dbt.project_dbt_sources WHERE project_dbt_source_uuid = :'a';
DROP TRIGGER fail ON dbt.project_dbt_sources;

-- plain use: POST /rpc/update_project_dbt_source, and what SQLSTATE PostgREST gets for each error of ours
PREPARE plain(json) AS WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM
	(SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "project", "source", "body" FROM json_to_record(pgrst_payload.json_data) AS _("project" uuid, "source" uuid, "body" jsonb)) pgrst_body,
	LATERAL (SELECT "api"."update_project_dbt_source"("project" := pgrst_body."project", "source" := pgrst_body."source", "body" := pgrst_body."body") pgrst_scalar) pgrst_call)
	SELECT coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')::jsonb - 'projectDbtSourceUuid' AS body FROM (SELECT pgrst_source.* FROM pgrst_source) _postgrest_t;
\set VERBOSITY sqlstate
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', :'a', 'body', '{"name": "d"}'::json));
COMMIT;
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', :'a', 'body', '{"name": ""}'::json));
ROLLBACK;
BEGIN;
CALL begin_request(:'viewer', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', :'a', 'body', '{"name": "d"}'::json));
ROLLBACK;
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', '22222222-2222-4222-8222-222222222222', 'source', :'a', 'body', '{"name": "d"}'::json));
ROLLBACK;
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', '22222222-2222-4222-8222-222222222222', 'body', '{"name": "d"}'::json));
ROLLBACK;
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', :'a', 'body', '{"name": "Project dbt connection"}'::json));
ROLLBACK;
UPDATE dbt.project_dbt_sources SET dbt_connection = 'broken' WHERE project_dbt_source_uuid = :'a';
BEGIN;
CALL begin_request(:'manager', '{}');
SELECT api.get_project_dbt_source(:p, :'a');
ROLLBACK;
SET dbt_sources.keyring_file = 'elsewhere.jwks';
BEGIN;
CALL begin_request(:'manager', '{}');
EXECUTE plain(json_build_object('project', :p, 'source', :'a', 'body', '{"dbtConnection": {"type": "none"}}'::json));
ROLLBACK;
RESET dbt_sources.keyring_file;
\set VERBOSITY default
BEGIN;
CALL begin_request(:'manager', '{}');
SELECT jsonb_array_length(api.list_project_dbt_sources(:p)) AS sources, api.create_project_dbt_source(:p, '{"name": "e", "dbtConnection": {"type": "none"}}') ->> 'name' AS created,
	api.delete_project_dbt_source(:p, :'a') AS deleted;
ROLLBACK;

-- nothing else can be reached
BEGIN;
CALL begin_request(:'manager', '{}');
SELECT dbt.project_dbt_connection(:p, :'a');
ROLLBACK;
BEGIN;
CALL begin_request(:'manager', '{}');
SELECT * FROM dbt.project_dbt_sources;
ROLLBACK;

DROP PROCEDURE begin_request;
DROP FUNCTION fail;
DROP SCHEMA api CASCADE;
DROP EXTENSION dbt_sources;
DROP SCHEMA dbt CASCADE;
DROP TABLE projects;
REVOKE USAGE ON SCHEMA public FROM regress_web_user;
DROP ROLE regress_web_user;
DROP ROLE regress_authenticator;
