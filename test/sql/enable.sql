-- enable_dbt_sources(): which tables can have the projects, and who may say so
SET client_min_messages = warning;
CREATE SCHEMA dbt;
CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
CREATE SCHEMA app;
RESET client_min_messages;
SELECT dbt.rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''

-- until then
SELECT dbt.list_project_dbt_sources(:p);
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "x"}');
SELECT dbt.set_project_dbt_connection(:p, '{"type": "none"}');
SELECT dbt.copy_project_dbt_sources(:p, '22222222-2222-4222-8222-222222222222');
SELECT dbt.reencrypt_dbt_connections();
SELECT status, body #>> '{error,message}' AS message FROM dbt.http_request('GET', '/api/v1/projects/' || :p || '/dbt-sources');
SELECT count(*) FROM dbt.validate_dbt_connection('{"type": "none"}');

-- what can't be the table of projects
CREATE TABLE app.projects (id serial PRIMARY KEY, key uuid, code text UNIQUE, late uuid UNIQUE DEFERRABLE, part uuid, low uuid, twice uuid);
CREATE UNIQUE INDEX ON app.projects (part) WHERE id > 0;
CREATE UNIQUE INDEX ON app.projects (id, low);
CREATE UNIQUE INDEX ON app.projects (low, id);
CREATE INDEX ON app.projects (key);
-- an index that is not valid, as its column wasn't unique when it was made
INSERT INTO app.projects (twice) VALUES (:p), (:p);
\set VERBOSITY sqlstate
CREATE UNIQUE INDEX CONCURRENTLY twice ON app.projects (twice);
\set VERBOSITY default
DELETE FROM app.projects;
CREATE VIEW app.a_view AS SELECT key FROM app.projects;
CREATE MATERIALIZED VIEW app.a_matview AS SELECT key FROM app.projects;
CREATE FOREIGN DATA WRAPPER regress_dbt;
CREATE SERVER regress_dbt FOREIGN DATA WRAPPER regress_dbt;
CREATE FOREIGN TABLE app.a_foreign_table (key uuid) SERVER regress_dbt;
CREATE TEMP TABLE a_temp_table (key uuid PRIMARY KEY);
CREATE UNLOGGED TABLE app.an_unlogged_table (key uuid PRIMARY KEY);
SELECT dbt.enable_dbt_sources(NULL);
SELECT dbt.enable_dbt_sources(0);
SELECT dbt.enable_dbt_sources('app.nowhere');
SELECT dbt.enable_dbt_sources('app.a_view', 'key');
SELECT dbt.enable_dbt_sources('app.a_matview', 'key');
SELECT dbt.enable_dbt_sources('app.a_foreign_table', 'key');
SELECT dbt.enable_dbt_sources('app.projects_id_seq');
SELECT dbt.enable_dbt_sources('app.projects_pkey');
SELECT dbt.enable_dbt_sources('a_temp_table');
SELECT dbt.enable_dbt_sources('app.an_unlogged_table');
SELECT dbt.enable_dbt_sources('app.projects');
SELECT dbt.enable_dbt_sources('app.projects', 'nothing');
SELECT dbt.enable_dbt_sources('app.projects', 'ctid');
SELECT dbt.enable_dbt_sources('app.projects', 'code');
SELECT dbt.enable_dbt_sources('app.projects', 'key');
SELECT dbt.enable_dbt_sources('app.projects', 'late');
SELECT dbt.enable_dbt_sources('app.projects', 'part');
SELECT dbt.enable_dbt_sources('app.projects', 'low');
SELECT dbt.enable_dbt_sources('app.projects', 'twice');
BEGIN READ ONLY;
SELECT dbt.enable_dbt_sources('app.projects', 'key');
ROLLBACK;
SELECT count(*) AS tables FROM pg_class WHERE relnamespace = 'dbt'::regnamespace;

-- an ordinary role that owns the table, or may reference it; default privileges open nothing
CREATE ROLE regress_dbt_owner;
CREATE ROLE regress_dbt_other;
DROP INDEX app.twice;
ALTER TABLE app.projects ADD UNIQUE (key), ADD other uuid UNIQUE;
ALTER TABLE app.projects OWNER TO regress_dbt_owner;
GRANT USAGE ON SCHEMA app, dbt TO regress_dbt_owner, regress_dbt_other;
GRANT CREATE ON SCHEMA dbt TO regress_dbt_other;
\set VERBOSITY terse
SET ROLE regress_dbt_owner;
SELECT dbt.enable_dbt_sources('app.projects', 'key');
SET ROLE regress_dbt_other;
SELECT dbt.enable_dbt_sources('app.projects', 'key');
RESET ROLE;
\set VERBOSITY default
SELECT count(*) AS tables FROM pg_class WHERE relnamespace = 'dbt'::regnamespace;
GRANT CREATE ON SCHEMA dbt TO regress_dbt_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_dbt_owner GRANT SELECT ON TABLES TO PUBLIC, regress_dbt_other;
SET ROLE regress_dbt_owner;
SELECT dbt.enable_dbt_sources('app.projects', 'key');
RESET ROLE;
\d dbt.project_dbt_sources
SELECT pg_get_userbyid(relowner) AS owner, has_table_privilege('regress_dbt_other', oid, 'SELECT') AS open,
	(SELECT count(*) FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') AS member
FROM pg_class c WHERE oid = 'dbt.project_dbt_sources'::regclass;
SELECT attname FROM pg_attribute WHERE attrelid = 'dbt.project_dbt_sources'::regclass AND attnum > 0
	AND col_description(attrelid, attnum) IS NULL;
SELECT attname, attstorage FROM pg_attribute WHERE attrelid = 'dbt.project_dbt_sources'::regclass AND attname = 'dbt_connection';

-- again, for the same and for another
SET ROLE regress_dbt_owner;
SELECT dbt.enable_dbt_sources('app.projects', 'key');
CREATE TEMP TABLE projects (key uuid PRIMARY KEY);
RESET ROLE;
CREATE TABLE app.others (key uuid PRIMARY KEY);
SELECT dbt.enable_dbt_sources('app.others');
SELECT dbt.enable_dbt_sources('app.others', 'key');
CREATE TABLE app.twins (id integer, key uuid PRIMARY KEY);
SELECT dbt.enable_dbt_sources('app.twins');
SELECT dbt.enable_dbt_sources('app.projects', 'other');
SELECT dbt.enable_dbt_sources('app.projects', 'late');

-- it works
INSERT INTO app.projects (key) VALUES (:p);
SELECT dbt.create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'name' AS created;
-- a running session follows what is renamed
ALTER TABLE app.projects RENAME TO "Projects of ours";
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "table"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
ALTER TABLE app."Projects of ours" RENAME key TO "The key";
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "column"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
ALTER SCHEMA app RENAME TO "An app";
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "schema"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
CREATE SCHEMA app;
ALTER TABLE "An app"."Projects of ours" SET SCHEMA app;
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "moved"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
ALTER SCHEMA dbt RENAME TO "The dbt";
SELECT "The dbt".update_project_dbt_source(:p, :p, '{"name": "schema of the extension"}') ->> 'name' AS renamed;
ALTER SCHEMA "The dbt" RENAME TO dbt;
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
-- what it knew of them before is gone with the transaction, and looked up again only when they have changed
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "known"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
SELECT count(*) AS contexts FROM pg_backend_memory_contexts WHERE name IN ('dbt sources tables', 'SPI Plan') \gset
BEGIN;
ALTER TABLE dbt.project_dbt_sources SET (fillfactor = 90);
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "schema of the extension"}') ->> 'name' AS renamed, jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
CREATE TEMP TABLE unrelated ();
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
SELECT count(*) = 2 OR current_setting('debug_discard_caches') <> '0' AS once FROM pg_backend_memory_contexts WHERE name = 'dbt sources tables';
COMMIT;
SELECT count(*) AS tables FROM pg_backend_memory_contexts WHERE name = 'dbt sources tables';
SELECT count(*) - :contexts AS more FROM pg_backend_memory_contexts WHERE name IN ('dbt sources tables', 'SPI Plan');

-- and notices what is gone
ALTER TABLE dbt.project_dbt_sources DROP CONSTRAINT project_dbt_sources_project_uuid_fkey;
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "unreferenced"}');
SELECT dbt.list_project_dbt_sources(:p);
SELECT dbt.enable_dbt_sources('app."Projects of ours"', 'The key');
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
-- two tables
ALTER TABLE dbt.project_dbt_sources ADD FOREIGN KEY (project_uuid) REFERENCES "An app".others;
INSERT INTO "An app".others VALUES (:p);
ALTER TABLE dbt.project_dbt_sources ADD CONSTRAINT second FOREIGN KEY (project_uuid) REFERENCES "An app".others;
SELECT dbt.update_project_dbt_source(:p, :p, '{"name": "unclear"}');
ALTER TABLE dbt.project_dbt_sources DROP CONSTRAINT second;
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
-- or one in two ways, and by a column of the same number
INSERT INTO "An app".twins VALUES (1, :p);
UPDATE app."Projects of ours" SET other = :p;
BEGIN;
ALTER TABLE dbt.project_dbt_sources ADD CONSTRAINT second FOREIGN KEY (project_uuid) REFERENCES app."Projects of ours" (other);
SELECT dbt.list_project_dbt_sources(:p);
ROLLBACK;
BEGIN;
ALTER TABLE dbt.project_dbt_sources ADD CONSTRAINT second FOREIGN KEY (project_uuid) REFERENCES "An app".twins;
SELECT dbt.list_project_dbt_sources(:p);
ROLLBACK;
-- another key on the same column to the same table, or on other columns, is not a second table
ALTER TABLE dbt.project_dbt_sources ADD FOREIGN KEY (project_uuid) REFERENCES app."Projects of ours" ("The key"),
	ADD note uuid REFERENCES "An app".others;
CREATE TABLE "An app".pairs (project uuid, note uuid, UNIQUE (project, note));
ALTER TABLE dbt.project_dbt_sources ADD FOREIGN KEY (project_uuid, note) REFERENCES "An app".pairs (project, note);
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
-- one that is not enforced, where PostgreSQL has such, says nothing
SELECT current_setting('server_version_num')::integer >= 180000 AS has_not_enforced \gset
\if :has_not_enforced
ALTER TABLE dbt.project_dbt_sources ADD CONSTRAINT remark FOREIGN KEY (project_uuid) REFERENCES "An app".others NOT ENFORCED;
\endif
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
BEGIN;
ALTER TABLE dbt.project_dbt_sources DROP CONSTRAINT project_dbt_sources_project_uuid_fkey, DROP CONSTRAINT project_dbt_sources_project_uuid_fkey1;
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
ROLLBACK;

-- the table outlives the extension
DROP EXTENSION dbt_sources;
SELECT name, is_primary, version FROM dbt.project_dbt_sources ORDER BY precedence;
CREATE EXTENSION dbt_sources SCHEMA dbt;
SELECT e ->> 'name' AS name FROM jsonb_array_elements(dbt.list_project_dbt_sources(:p)) e;
SET ROLE regress_dbt_owner;
SELECT dbt.enable_dbt_sources('app."Projects of ours"', 'The key');
RESET ROLE;
-- moved to another table with the same projects, as the hint says
ALTER TABLE dbt.project_dbt_sources DROP CONSTRAINT project_dbt_sources_project_uuid_fkey, DROP CONSTRAINT project_dbt_sources_project_uuid_fkey1;
SELECT dbt.enable_dbt_sources('"An app".others');
SELECT dbt.list_project_dbt_sources(:p) -> 0 ->> 'name' AS listed;
DROP TABLE dbt.project_dbt_sources;

-- a name that is taken
CREATE VIEW dbt.project_dbt_sources AS SELECT 1;
SELECT dbt.enable_dbt_sources('"An app".others');
SELECT dbt.list_project_dbt_sources(:p);
DROP VIEW dbt.project_dbt_sources;
CREATE TABLE dbt.project_dbt_sources (project_uuid uuid, name text);
SELECT dbt.enable_dbt_sources('"An app".others');
DROP TABLE dbt.project_dbt_sources;

-- what is called while the table is made has a safe path, and what it sets stays
CREATE FUNCTION app.path() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('test.path', current_setting('search_path'), false); END $$;
CREATE EVENT TRIGGER regress_path ON ddl_command_end EXECUTE FUNCTION app.path();
SELECT dbt.enable_dbt_sources('"An app".others', 'key');
DROP EVENT TRIGGER regress_path;
SHOW test.path;
DROP TABLE dbt.project_dbt_sources;

-- a partitioned table; a uuid that is a domain
SET client_min_messages = warning;
CREATE DOMAIN "An app".project_key AS uuid;
CREATE TABLE "An app".parts (id "An app".project_key PRIMARY KEY, name text) PARTITION BY HASH (id);
CREATE TABLE "An app".part0 PARTITION OF "An app".parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "An app".part1 PARTITION OF "An app".parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
RESET client_min_messages;
SELECT dbt.enable_dbt_sources('"An app".parts');
INSERT INTO "An app".parts VALUES (:p), ('22222222-2222-4222-8222-222222222222');
SELECT dbt.create_project_dbt_source(id, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'name' AS created FROM "An app".parts;
CREATE TABLE "An app".part2 (LIKE "An app".part0 INCLUDING ALL);
\set VERBOSITY sqlstate
ALTER TABLE "An app".parts DETACH PARTITION "An app".part1;
\set VERBOSITY default
SELECT dbt.enable_dbt_sources('"An app".parts');
SELECT dbt.list_project_dbt_sources('33333333-3333-4333-8333-333333333333');

SET client_min_messages = warning;
DROP TABLE dbt.project_dbt_sources;
DROP EXTENSION dbt_sources;
DROP SCHEMA dbt, app, "An app" CASCADE;
DROP TABLE a_temp_table;
DROP FOREIGN DATA WRAPPER regress_dbt CASCADE;
DROP OWNED BY regress_dbt_owner;
DROP ROLE regress_dbt_owner, regress_dbt_other;
