-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dbt_sources CASCADE" to load this file. \quit

-- tables

CREATE TABLE @extschema@.projects (
	project_uuid uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	name text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE @extschema@.project_dbt_sources (
	project_uuid uuid NOT NULL
		REFERENCES @extschema@.projects ON DELETE CASCADE,
	project_dbt_source_uuid uuid NOT NULL,
	name text NOT NULL,
	is_primary boolean NOT NULL
		GENERATED ALWAYS AS (project_uuid OPERATOR(pg_catalog.=) project_dbt_source_uuid) STORED,
	precedence integer NOT NULL,
	dbt_connection_type text,
	dbt_connection text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (project_uuid, project_dbt_source_uuid),
	UNIQUE (project_uuid, name)
);

-- ciphertext does not compress, so don't try
ALTER TABLE @extschema@.project_dbt_sources
	ALTER COLUMN dbt_connection SET STORAGE EXTERNAL;

COMMENT ON TABLE @extschema@.projects IS
	'projects; the rights on its rows decide who may view and manage their dbt sources';
COMMENT ON COLUMN @extschema@.projects.project_uuid IS 'identifies the project';
COMMENT ON COLUMN @extschema@.projects.name IS 'what the application calls the project';
COMMENT ON COLUMN @extschema@.projects.created_at IS 'when the project was added';

COMMENT ON TABLE @extschema@.project_dbt_sources IS
	'dbt sources of projects with their encrypted connections; use the functions, not the table';
COMMENT ON COLUMN @extschema@.project_dbt_sources.project_uuid IS 'the project that the source belongs to';
COMMENT ON COLUMN @extschema@.project_dbt_sources.project_dbt_source_uuid IS
	'identifies the source; the primary source has the uuid of its project';
COMMENT ON COLUMN @extschema@.project_dbt_sources.name IS 'name of the source, unique in its project';
COMMENT ON COLUMN @extschema@.project_dbt_sources.is_primary IS 'whether this is the project''s own connection';
COMMENT ON COLUMN @extschema@.project_dbt_sources.precedence IS 'order among the sources; 0 is the primary one';
COMMENT ON COLUMN @extschema@.project_dbt_sources.dbt_connection_type IS
	'type of the connection, for statistics; the encrypted connection is what counts';
COMMENT ON COLUMN @extschema@.project_dbt_sources.dbt_connection IS
	'the connection as JSON Web Encryption (RFC 7516), bound to this row';
COMMENT ON COLUMN @extschema@.project_dbt_sources.created_at IS 'when the source was added';
COMMENT ON COLUMN @extschema@.project_dbt_sources.updated_at IS 'when its name or connection was last changed';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.projects', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.project_dbt_sources', '');

-- functions; none is STRICT, so that a NULL argument is an error instead of a silent NULL

CREATE FUNCTION @extschema@.update_project_dbt_source(project uuid, source uuid, body jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.update_project_dbt_source(uuid, uuid, jsonb) IS
	'change the name or connection of a dbt source; returns its summary';

CREATE FUNCTION @extschema@.create_project_dbt_source(project uuid, body jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.create_project_dbt_source(uuid, jsonb) IS
	'add a dbt source to a project; returns its summary';

CREATE FUNCTION @extschema@.list_project_dbt_sources(project uuid) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION @extschema@.list_project_dbt_sources(uuid) IS
	'summaries of a project''s dbt sources, the primary one first';

CREATE FUNCTION @extschema@.get_project_dbt_source(project uuid, source uuid) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION @extschema@.get_project_dbt_source(uuid, uuid) IS
	'summary of a dbt source, with its connection without secrets';

CREATE FUNCTION @extschema@.delete_project_dbt_source(project uuid, source uuid) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.delete_project_dbt_source(uuid, uuid) IS
	'remove an additional dbt source';

CREATE FUNCTION @extschema@.set_project_dbt_connection(project uuid, dbt_connection jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.set_project_dbt_connection(uuid, jsonb) IS
	'set the connection of a project''s primary source; returns its summary';

CREATE FUNCTION @extschema@.project_dbt_connection(project uuid, source uuid) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION @extschema@.project_dbt_connection(uuid, uuid) IS
	'the whole connection of a dbt source, secrets included';
REVOKE ALL ON FUNCTION @extschema@.project_dbt_connection(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION @extschema@.validate_dbt_connection(dbt_connection jsonb)
	RETURNS TABLE (path text, message text)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.validate_dbt_connection(jsonb) IS
	'every problem of a connection, none if it is valid';

CREATE FUNCTION @extschema@.rotate_encryption_key() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.rotate_encryption_key() IS
	'add a key to the keyring file and make it the active one; returns its kid';
REVOKE ALL ON FUNCTION @extschema@.rotate_encryption_key() FROM PUBLIC;

CREATE FUNCTION @extschema@.encryption_keys()
	RETURNS TABLE (kid text, active boolean, connections bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION @extschema@.encryption_keys() IS
	'the keys of the keyring, and how many connections of this database are encrypted with each';
REVOKE ALL ON FUNCTION @extschema@.encryption_keys() FROM PUBLIC;

CREATE FUNCTION @extschema@.reencrypt_dbt_connections(max_rows integer DEFAULT 1000) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.reencrypt_dbt_connections(integer) IS
	'encrypt connections with the active key; returns how many were, call until 0';
REVOKE ALL ON FUNCTION @extschema@.reencrypt_dbt_connections(integer) FROM PUBLIC;

CREATE FUNCTION @extschema@.remove_encryption_key(kid text) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.remove_encryption_key(text) IS
	'take a key that no connection of the cluster needs out of the keyring file';
REVOKE ALL ON FUNCTION @extschema@.remove_encryption_key(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.copy_project_dbt_sources(source_project uuid, target_project uuid) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.copy_project_dbt_sources(uuid, uuid) IS
	'copy the additional dbt sources of a project into another; returns how many';

CREATE FUNCTION @extschema@.http_request(method text, path text, body text DEFAULT NULL,
		OUT status integer, OUT body jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.http_request(text, text, text) IS
	'answer an HTTP request of the API of dbt sources';

CREATE FUNCTION @extschema@.postgrest_request(bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.postgrest_request(bytea) IS
	'answer an HTTP request of the API of dbt sources that comes through PostgREST';
