-- copying the additional sources of a project into another
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
\set q '''22222222-2222-4222-8222-222222222222'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'production'), (:q, 'preview');
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
SELECT copy_project_dbt_sources(:p, :q) AS nothing_to_copy;
SELECT create_project_dbt_source(:p, '{"name": "b", "dbtConnection": {"type": "gitlab", "personal_access_token": "sesame",
	"repository": "r", "branch": "b", "project_sub_path": "/", "own": "kept"}}') ->> 'name' AS name;
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'name' AS name;
SELECT create_project_dbt_source(:q, '{"name": "own", "dbtConnection": {"type": "dbt"}}') ->> 'name' AS name;

SELECT copy_project_dbt_sources(:p, :q);
SELECT s ->> 'name' AS name, s ->> 'type' AS type, s -> 'precedence' AS precedence
FROM jsonb_array_elements(list_project_dbt_sources(:q)) s;
SELECT project_dbt_connection(:q, project_dbt_source_uuid) FROM project_dbt_sources
WHERE project_uuid = :q AND name = 'b';
SELECT count(DISTINCT project_dbt_source_uuid) AS uuids, count(DISTINCT dbt_connection) AS ciphertexts
FROM project_dbt_sources WHERE name IN ('a', 'b');
SELECT s ->> 'name' AS name FROM jsonb_array_elements(list_project_dbt_sources(:p)) s;

-- all or nothing
SELECT copy_project_dbt_sources(:p, :q);
DELETE FROM project_dbt_sources WHERE project_uuid = :q;
UPDATE project_dbt_sources SET dbt_connection = 'broken', project_dbt_source_uuid = '33333333-3333-4333-8333-333333333333' WHERE name = 'a';
SELECT copy_project_dbt_sources(:p, :q);
SELECT count(*) FROM project_dbt_sources WHERE project_uuid = :q;
DELETE FROM project_dbt_sources WHERE name = 'a';

-- what a trigger closes meanwhile isn't ours
CREATE FUNCTION close_all() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN EXECUTE 'CLOSE ALL'; RETURN NULL; END $$;
CREATE TRIGGER close_all AFTER INSERT ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION close_all();
DO $$ BEGIN
	PERFORM copy_project_dbt_sources('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');
EXCEPTION WHEN invalid_cursor_state THEN RAISE NOTICE 'the cursor is in use';
END $$;
DROP TRIGGER close_all ON project_dbt_sources;
DROP FUNCTION close_all;
SELECT copy_project_dbt_sources(:p, :q);
DELETE FROM project_dbt_sources WHERE project_uuid = :q;

-- arguments
SELECT copy_project_dbt_sources(:p, :p);
SELECT copy_project_dbt_sources(:p, NULL);
SELECT copy_project_dbt_sources(:p, '44444444-4444-4444-8444-444444444444');
SELECT copy_project_dbt_sources('44444444-4444-4444-8444-444444444444', :q);

-- manage on both: who may only view the one could hand its secrets to the other's worker
CREATE ROLE regress_copy;
GRANT SELECT, UPDATE (name) ON projects TO regress_copy;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON projects FOR SELECT TO regress_copy USING (name IN ('production', 'preview'));
CREATE POLICY change ON projects FOR UPDATE TO regress_copy USING (name = 'preview');
SET ROLE regress_copy;
SELECT copy_project_dbt_sources(:q, :p);
SELECT copy_project_dbt_sources(:p, :q);
RESET ROLE;
ALTER POLICY change ON projects USING (name IN ('production', 'preview'));
SET ROLE regress_copy;
SELECT copy_project_dbt_sources(:p, :q);
RESET ROLE;
DROP POLICY see ON projects;
CREATE POLICY see ON projects FOR SELECT TO regress_copy USING (name = 'preview');
SET ROLE regress_copy;
SELECT copy_project_dbt_sources(:p, :q);
SELECT copy_project_dbt_sources(:q, :p);
RESET ROLE;
BEGIN READ ONLY;
SELECT copy_project_dbt_sources(:p, :q);
ROLLBACK;

DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
DROP ROLE regress_copy;
