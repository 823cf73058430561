CREATE SCHEMA dbt;
CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text NOT NULL);
SELECT dbt.enable_dbt_sources('projects');
SELECT dbt.rotate_encryption_key();
\ir ../../proxy/setup.sql
-- 64 projects with a source each, in which the peer has the uuid of the project
INSERT INTO projects SELECT format('%s-0000-4000-8000-000000000000', to_char(i, 'FM00000000'))::uuid, 'project' FROM generate_series(1, 64) i;
CREATE TABLE peer_sources (project_uuid uuid REFERENCES projects, source_uuid uuid, name text NOT NULL, precedence integer NOT NULL,
	dbt_connection bytea, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (project_uuid, source_uuid), UNIQUE (project_uuid, name));
INSERT INTO peer_sources SELECT project_uuid, project_uuid, 'source', 1 FROM projects;
