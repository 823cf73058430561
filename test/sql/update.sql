-- the main path: create, rename, change, list, get, delete
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
\set q '''22222222-2222-4222-8222-222222222222'''
\set nowhere '''33333333-3333-4333-8333-333333333333'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one'), (:q, 'two');

SELECT create_project_dbt_source(:p, '{"name": "jaffle", "dbtConnection": {"type": "github",
	"authorization_method": "personal_access_token", "personal_access_token": "token-1",
	"repository": "acme/jaffle", "branch": "main", "project_sub_path": "/"}}') AS created \gset
SELECT :'created'::jsonb ->> 'projectDbtSourceUuid' AS s,
	:'created'::jsonb - 'projectDbtSourceUuid' AS summary \gset
SELECT :'summary' AS created;
-- a UUIDv4, as the contract wants it
SELECT :'s' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS uuid_v4;
\set s '''':s''''

-- exactly the nine members of ProjectDbtSourceSummary
SELECT array_agg(key ORDER BY key COLLATE "C") FROM jsonb_object_keys(:'created'::jsonb) key;

SELECT update_project_dbt_source(:p, :s, '{"name": "orders"}') - 'projectDbtSourceUuid' AS renamed;
SELECT update_project_dbt_source(:p, :s, '{"dbtConnection": {"type": "github",
	"authorization_method": "personal_access_token", "repository": "acme/jaffle",
	"branch": "develop", "project_sub_path": "/"}}') - 'projectDbtSourceUuid' AS branch_changed;
SELECT project_dbt_connection(:p, :s) ->> 'personal_access_token' AS kept;
SELECT update_project_dbt_source(:p, :s, '{"name": "gitlab", "dbtConnection": {"type": "gitlab",
	"personal_access_token": "token-2", "repository": "acme/jaffle", "branch": "main",
	"project_sub_path": "/dbt"}}') - 'projectDbtSourceUuid' AS switched;
SELECT get_project_dbt_source(:p, :s) - 'projectDbtSourceUuid' AS got;

-- an empty body changes nothing, not even the time of the last change
UPDATE project_dbt_sources SET updated_at = '2000-01-01' WHERE project_dbt_source_uuid = :s;
SELECT update_project_dbt_source(:p, :s, '{}') ->> 'name' AS unchanged;
SELECT updated_at = '2000-01-01' AS untouched FROM project_dbt_sources WHERE project_dbt_source_uuid = :s;

-- a rename does not rewrite the ciphertext
SELECT md5(dbt_connection) AS before FROM project_dbt_sources WHERE project_dbt_source_uuid = :s \gset
SELECT update_project_dbt_source(:p, :s, '{"name": "renamed"}') ->> 'name' AS name;
SELECT md5(dbt_connection) = :'before' AS same FROM project_dbt_sources WHERE project_dbt_source_uuid = :s;

-- the primary source
SELECT jsonb_pretty(list_project_dbt_sources(:q)) AS made_up;
SELECT get_project_dbt_source(:q, :q);
SELECT project_dbt_connection(:q, :q) IS NULL AS none_yet;
SELECT update_project_dbt_source(:q, :q, '{"name": "main"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:q, :q, '{"dbtConnection": {"type": "none"}}');
SELECT set_project_dbt_connection(:q, '{"type": "none"}');
SELECT set_project_dbt_connection(:q, '{"type": "nothing"}');
SELECT delete_project_dbt_source(:q, :q);
SELECT project_dbt_connection(:q, :q);

-- order and precedence
SELECT create_project_dbt_source(:p, '{"name": "b", "dbtConnection": {"type": "none"}}') -> 'precedence' AS precedence;
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}') -> 'precedence' AS precedence;
SELECT e ->> 'name' AS name, e -> 'precedence' AS precedence, e -> 'isPrimary' AS primary
FROM jsonb_array_elements(list_project_dbt_sources(:p)) e;

-- names are unique in a project, the primary source's included
SELECT update_project_dbt_source(:p, :s, '{"name": "a"}');
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}');
SELECT create_project_dbt_source(:p, '{"name": "Project dbt connection", "dbtConnection": {"type": "none"}}');
SELECT update_project_dbt_source(:p, :p, '{"name": "a"}');
SELECT create_project_dbt_source(:q, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'name' AS other_project;

-- what isn't there
\set VERBOSITY sqlstate
SELECT list_project_dbt_sources(:nowhere);
SELECT update_project_dbt_source(:nowhere, :s, '{}');
SELECT update_project_dbt_source(:q, :s, '{}');
SELECT get_project_dbt_source(:q, :s);
SELECT project_dbt_connection(:q, :s);
SELECT delete_project_dbt_source(:q, :s);
SELECT delete_project_dbt_source(:p, :s);
SELECT delete_project_dbt_source(:p, :s);
\set VERBOSITY default

-- NULL arguments
SELECT update_project_dbt_source(NULL, :s, '{}');
SELECT update_project_dbt_source(:p, NULL, '{}');
SELECT update_project_dbt_source(:p, :s, NULL);
SELECT create_project_dbt_source(:p, NULL);
SELECT set_project_dbt_connection(:p, NULL);
SELECT list_project_dbt_sources(NULL);
SELECT validate_dbt_connection(NULL);

-- a read-only transaction views, but does not change
BEGIN READ ONLY;
SELECT jsonb_array_length(list_project_dbt_sources(:p)) AS listed;
SELECT update_project_dbt_source(:p, :p, '{"name": "x"}');
ROLLBACK;

-- two changes in one statement; the second sees the first
SELECT create_project_dbt_source(:p, '{"name": "twice", "dbtConnection": {"type": "gitlab", "personal_access_token": "t", "repository": "r",
	"branch": "b", "project_sub_path": "/"}}') ->> 'projectDbtSourceUuid' AS twice \gset
SELECT update_project_dbt_source(:p, :'twice', '{"name": "once"}') ->> 'name' AS first,
	update_project_dbt_source(:p, :'twice', '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "c", "project_sub_path": "/"}}') ->> 'name' AS second,
	project_dbt_connection(:p, :'twice') - 'repository' - 'project_sub_path' AS connection;
WITH project AS (INSERT INTO projects VALUES ('99999999-9999-4999-8999-999999999999', 'new') RETURNING project_uuid)
SELECT set_project_dbt_connection(project_uuid, '{"type": "none"}') -> 'type' AS type FROM project;
-- a primary key of other columns
BEGIN;
ALTER TABLE project_dbt_sources DROP CONSTRAINT project_dbt_sources_pkey, ADD PRIMARY KEY (project_dbt_source_uuid, project_uuid);
SELECT update_project_dbt_source(:p, :'twice', '{"dbtConnection": {"type": "none"}}') -> 'type' AS type;
ROLLBACK;

-- what an administrator adds to the table works: generated columns, constraints, indexes, triggers, rules
BEGIN;
ALTER TABLE project_dbt_sources ADD shouted text GENERATED ALWAYS AS (upper(name)) STORED, ADD CHECK (name <> 'forbidden');
CREATE UNIQUE INDEX ON project_dbt_sources (project_uuid, lower(name));
CREATE TABLE notes (project uuid, source uuid, FOREIGN KEY (project, source) REFERENCES project_dbt_sources);
INSERT INTO notes VALUES (:p, :'twice');
SELECT update_project_dbt_source(:p, :'twice', '{"name": "louder"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:p, :'twice', '{"name": "loudest", "dbtConnection": {"type": "none"}}') ->> 'name' AS replaced;
SELECT shouted, dbt_connection_type, updated_at = now() AS updated FROM project_dbt_sources WHERE project_dbt_source_uuid = :'twice';
SELECT project_dbt_connection(:p, :'twice');
SAVEPOINT s;
SELECT update_project_dbt_source(:p, :'twice', '{"name": "B"}');
ROLLBACK TO s;
SELECT update_project_dbt_source(:p, :'twice', '{"name": "forbidden", "dbtConnection": {"type": "none"}}');
ROLLBACK TO s;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE NOTICE '%', NEW.name; RETURN NEW; END $$;
CREATE TRIGGER before BEFORE UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION note();
SELECT update_project_dbt_source(:p, :'twice', '{"name": "noted"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:p, :'twice', '{"name": "noted again", "dbtConnection": {"type": "none", "target": "prod"}}') ->> 'name' AS replaced;
SELECT project_dbt_connection(:p, :'twice');
DROP TRIGGER before ON project_dbt_sources;
CREATE RULE frozen AS ON UPDATE TO project_dbt_sources WHERE NEW.name = 'thawed' DO INSTEAD NOTHING;
SELECT update_project_dbt_source(:p, :'twice', '{"name": "thawed", "dbtConnection": {"type": "dbt"}}') ->> 'name' AS replaced;
ROLLBACK;

-- sources go with their project
DELETE FROM projects;
SELECT count(*) FROM project_dbt_sources;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
