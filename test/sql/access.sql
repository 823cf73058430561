-- row level security on projects decides who views and who manages
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
CREATE ROLE regress_dbt_nobody;
CREATE ROLE regress_dbt_viewer;
CREATE ROLE regress_dbt_manager;
CREATE ROLE regress_dbt_column;
GRANT SELECT ON projects TO regress_dbt_viewer, regress_dbt_manager, regress_dbt_column;
GRANT UPDATE ON projects TO regress_dbt_manager;
GRANT UPDATE (name) ON projects TO regress_dbt_column;

-- no grant: may not even ask
SET ROLE regress_dbt_nobody;
SELECT list_project_dbt_sources(:p);
SELECT update_project_dbt_source(:p, :p, '{"name": "x"}');
SELECT project_dbt_connection(:p, :p);
SELECT rotate_encryption_key();
-- (worded otherwise by PostgreSQL 17)
\set VERBOSITY sqlstate
SHOW dbt_sources.keyring_file;
\set VERBOSITY default
SET dbt_sources.keyring_file = 'mine';

-- SELECT: views
SET ROLE regress_dbt_viewer;
SELECT jsonb_array_length(list_project_dbt_sources(:p)) AS listed;
SELECT get_project_dbt_source(:p, :p) ->> 'name' AS got;
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}');
SELECT update_project_dbt_source(:p, :p, '{"name": "x"}');
SELECT set_project_dbt_connection(:p, '{"type": "none"}');
SELECT delete_project_dbt_source(:p, :p);
SELECT update_project_dbt_source(:nowhere, :p, '{"name": "x"}');
SELECT project_dbt_connection(:p, :p);

-- SELECT and UPDATE: manages, with no privilege on the sources
SET ROLE regress_dbt_manager;
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "gitlab", "personal_access_token": "t",
	"repository": "r", "branch": "b", "project_sub_path": "/"}}') ->> 'projectDbtSourceUuid' AS a \gset
SELECT update_project_dbt_source(:p, :'a', '{"name": "b"}') ->> 'name' AS renamed;
SELECT delete_project_dbt_source(:p, :'a');
SELECT count(*) FROM project_dbt_sources;
SET ROLE regress_dbt_column;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS managed;
-- the caller is who they were
SELECT current_user;
RESET ROLE;

-- UPDATE without SELECT
GRANT UPDATE ON projects TO regress_dbt_nobody;
SET ROLE regress_dbt_nobody;
SELECT update_project_dbt_source(:p, :p, '{"name": "x"}');
RESET ROLE;

-- a worker: EXECUTE and view
GRANT EXECUTE ON FUNCTION project_dbt_connection TO regress_dbt_viewer;
SET ROLE regress_dbt_viewer;
SELECT project_dbt_connection(:p, :p);
RESET ROLE;

-- an additional source: the same rights, whatever an update asks for
SELECT count(create_project_dbt_source(project_uuid, '{"name": "source", "dbtConnection": {"type": "none"}}')) FROM projects;
SELECT max(project_dbt_source_uuid::text) FILTER (WHERE project_uuid = :p) AS ps,
	max(project_dbt_source_uuid::text) FILTER (WHERE project_uuid = :q) AS qs FROM project_dbt_sources WHERE NOT is_primary \gset
SET ROLE regress_dbt_viewer;
SELECT update_project_dbt_source(:p, :'ps', '{}');
SELECT update_project_dbt_source(:p, :'ps', '{"name": "x"}');
SELECT update_project_dbt_source(:p, :'ps', '{"dbtConnection": {"type": "none"}}');
SET ROLE regress_dbt_nobody;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "x"}');
SET ROLE regress_dbt_column;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "managed"}') ->> 'name' AS managed;
SELECT update_project_dbt_source(:p, :'ps', '{"dbtConnection": {"type": "dbt"}}') ->> 'type' AS managed;
-- what isn't there, the project before the source
SELECT update_project_dbt_source(:p, :'qs', '{"name": "x"}');
SELECT update_project_dbt_source(:p, :'qs', '{"dbtConnection": {"type": "none"}}');
SELECT update_project_dbt_source(:nowhere, :'ps', '{"name": "x"}');
SELECT update_project_dbt_source(:nowhere, :'ps', '{"dbtConnection": {"type": "none"}}');
SELECT update_project_dbt_source(:nowhere, :'ps', '{"name": 1}');
RESET ROLE;

-- policies by role and by claim
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY viewers ON projects FOR SELECT TO regress_dbt_viewer USING (project_uuid = :p);
CREATE POLICY claims_view ON projects FOR SELECT TO regress_dbt_manager
	USING (current_setting('request.jwt.claims', true)::jsonb -> 'view' ? project_uuid::text);
CREATE POLICY claims_manage ON projects FOR UPDATE TO regress_dbt_manager
	USING (current_setting('request.jwt.claims', true)::jsonb -> 'manage' ? project_uuid::text);
SET ROLE regress_dbt_viewer;
SELECT jsonb_array_length(list_project_dbt_sources(:p)) AS listed;
SELECT list_project_dbt_sources(:q);
SET ROLE regress_dbt_manager;
SELECT list_project_dbt_sources(:p);
SET request.jwt.claims = '{"view": ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
	"manage": ["11111111-1111-4111-8111-111111111111"]}';
SELECT update_project_dbt_source(:p, :p, '{"name": "mine"}') ->> 'name' AS managed;
SELECT update_project_dbt_source(:q, :q, '{"name": "theirs"}');
SELECT update_project_dbt_source(:p, :'ps', '{"name": "my source"}') ->> 'name' AS managed;
SELECT update_project_dbt_source(:q, :'qs', '{"name": "their source"}');
SELECT update_project_dbt_source(:q, :'qs', '{"dbtConnection": {"type": "dbt"}}');
SELECT update_project_dbt_source(:p, :'qs', '{"name": "their source"}');
SELECT jsonb_array_length(list_project_dbt_sources(:q)) AS viewed;
SET request.jwt.claims = '{"manage": ["11111111-1111-4111-8111-111111111111"]}';
SELECT update_project_dbt_source(:p, :p, '{"name": "unseen"}');
SELECT update_project_dbt_source(:p, :'ps', '{"name": "unseen"}');
RESET request.jwt.claims;
RESET ROLE;
-- nothing was written by who may not
SELECT name, dbt_connection_type FROM project_dbt_sources WHERE project_uuid = :q ORDER BY name;

-- the policies bind the table's owner if they are forced; who would do without them is refused
ALTER TABLE projects OWNER TO regress_dbt_manager;
SET ROLE regress_dbt_manager;
SET request.jwt.claims = '{"view": ["22222222-2222-4222-8222-222222222222"]}';
SELECT update_project_dbt_source(:q, :q, '{"name": "owned"}') ->> 'name' AS managed;
RESET ROLE;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;
SET ROLE regress_dbt_manager;
SELECT update_project_dbt_source(:q, :q, '{"name": "forced"}');
SET row_security = off;
SELECT update_project_dbt_source(:q, :q, '{"name": "off"}');
RESET row_security;
RESET request.jwt.claims;
RESET ROLE;
ALTER TABLE projects OWNER TO CURRENT_USER;

-- who owns the table of sources needs rights on the projects all the same: each of them
CREATE ROLE regress_dbt_owner;
ALTER TABLE project_dbt_sources OWNER TO regress_dbt_owner;
ALTER TABLE projects DISABLE ROW LEVEL SECURITY;
SET ROLE regress_dbt_owner;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "none"}');
RESET ROLE;
GRANT SELECT ON projects TO regress_dbt_owner;
SET ROLE regress_dbt_owner;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "view"}');
RESET ROLE;
REVOKE SELECT ON projects FROM regress_dbt_owner;
GRANT UPDATE ON projects TO regress_dbt_owner;
SET ROLE regress_dbt_owner;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "blind"}');
RESET ROLE;
GRANT SELECT ON projects TO regress_dbt_owner;
SET ROLE regress_dbt_owner;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "both"}') ->> 'name' AS managed;
SELECT update_project_dbt_source(:p, :'qs', '{"name": "both"}');
-- the projects stay what they are until the end of the transaction, though nothing was read of them
BEGIN;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "locked"}') ->> 'name' AS managed;
SELECT mode FROM pg_locks WHERE relation = 'projects'::regclass AND pid = pg_backend_pid();
ROLLBACK;
SELECT update_project_dbt_source(:nowhere, :'ps', '{"name": "both"}');
RESET ROLE;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
SET ROLE regress_dbt_owner;
SELECT update_project_dbt_source(:p, :'ps', '{"name": "no policy"}');
RESET ROLE;
ALTER TABLE project_dbt_sources OWNER TO CURRENT_USER;
REVOKE ALL ON projects FROM regress_dbt_owner;
DROP ROLE regress_dbt_owner;

-- a search_path full of traps
CREATE SCHEMA trap;
CREATE FUNCTION trap.uuid_eq(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = trap.uuid_eq);
CREATE FUNCTION trap.hmac(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.max(integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE TABLE trap.projects AS SELECT * FROM projects;
SET search_path = trap, pg_catalog;
SELECT public.create_project_dbt_source(:p, '{"name": "trap", "dbtConnection": {"type": "none"}}') -> 'precedence' AS created;
SELECT public.update_project_dbt_source(:p, :p, '{"name": "safe"}') ->> 'name' AS renamed;
SELECT jsonb_array_length(public.list_project_dbt_sources(:p)) AS listed;
SET search_path = '';
SELECT public.update_project_dbt_source(:p, :p, '{"name": "bare"}') ->> 'name' AS renamed;
RESET search_path;

SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
DROP EXTENSION dbt_sources CASCADE;
DROP TABLE project_dbt_sources, projects;
DROP ROLE regress_dbt_nobody, regress_dbt_viewer, regress_dbt_manager, regress_dbt_column;
