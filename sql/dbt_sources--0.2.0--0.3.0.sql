-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION dbt_sources UPDATE TO '0.3.0'" to load this file. \quit

-- The tables belong to users: as members of the extension they would be dumped
-- without policies, triggers, indexes, constraints, owners and added columns.
ALTER EXTENSION dbt_sources DROP TABLE @extschema@.projects;
ALTER EXTENSION dbt_sources DROP TABLE @extschema@.project_dbt_sources;

ALTER TABLE @extschema@.project_dbt_sources ADD COLUMN version bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN @extschema@.project_dbt_sources.version IS
	'how often its name or connection was changed, from 1';
CREATE INDEX ON @extschema@.project_dbt_sources (project_uuid, precedence);

CREATE FUNCTION @extschema@.enable_dbt_sources(projects regclass, project_uuid name DEFAULT NULL) RETURNS regclass
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.enable_dbt_sources(regclass, name) IS
	'make the table of dbt sources for the projects of a table; returns it';
