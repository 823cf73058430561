-- What is measured, and what it is measured against.
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
SELECT rotate_encryption_key();

\ir fixtures.sql

-- for one client each: project 0 to 15 with one source; project 100 with sixteen
INSERT INTO projects (project_uuid, name) SELECT uuid_of(1, i), 'project ' || i FROM generate_series(0, 15) i;
INSERT INTO projects (project_uuid, name) VALUES (uuid_of(1, 100), 'one project');
SELECT count(create_project_dbt_source(uuid_of(1, i), jsonb_build_object('name', 'source', 'dbtConnection', connection('main'))))
FROM generate_series(0, 15) i;
SELECT count(create_project_dbt_source(uuid_of(1, 100), jsonb_build_object('name', 'source ' || i, 'dbtConnection', connection('main'))))
FROM generate_series(0, 15) i;

-- who manages the projects that a policy gives them; no policy binds a superuser
CREATE ROLE tenant LOGIN;
CREATE TABLE members (project_uuid uuid, member name, PRIMARY KEY (project_uuid, member));
INSERT INTO members SELECT project_uuid, 'tenant' FROM projects;
GRANT SELECT, UPDATE ON projects TO tenant;
GRANT SELECT ON members TO tenant;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON projects TO tenant
	USING (EXISTS (SELECT FROM members m WHERE m.project_uuid = projects.project_uuid AND m.member = current_user));

-- the bare floor: the same rows in the same shape
CREATE TABLE floor_sources (LIKE project_dbt_sources INCLUDING ALL);
INSERT INTO floor_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)
SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection FROM project_dbt_sources;

\ir peer.sql

-- lists of 10, 1,000 and 100,000 sources, and a project for a manifest
INSERT INTO projects (project_uuid, name) SELECT uuid_of(3, n), 'list of ' || n FROM (VALUES (1), (10), (1000), (100000)) v (n);
INSERT INTO project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence)
SELECT uuid_of(3, n), uuid_of(n, i), 'source ' || i, i FROM (VALUES (10), (1000), (100000)) v (n), generate_series(1, n - 1) i;
SELECT count(update_project_dbt_source(project_uuid, project_dbt_source_uuid, jsonb_build_object('dbtConnection', connection('main'))))
FROM project_dbt_sources WHERE dbt_connection IS NULL AND NOT is_primary;
INSERT INTO floor_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)
SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection
FROM project_dbt_sources JOIN (VALUES (10), (1000), (100000)) v (n) ON project_uuid = uuid_of(3, n);
CREATE TABLE documents (id integer PRIMARY KEY, doc jsonb);
INSERT INTO documents VALUES (1);
VACUUM ANALYZE;

-- not in the middle of a round
ALTER SYSTEM SET autovacuum = off;
SELECT pg_reload_conf();
