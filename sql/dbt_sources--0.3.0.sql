-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dbt_sources CASCADE" to load this file. \quit

-- functions only: the tables belong to users, see enable_dbt_sources();
-- none is STRICT, so that a NULL argument is an error instead of a silent NULL

CREATE FUNCTION @extschema@.enable_dbt_sources(projects regclass, project_uuid name DEFAULT NULL) RETURNS regclass
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.enable_dbt_sources(regclass, name) IS
	'make the table of dbt sources for the projects of a table; returns it';

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

CREATE FUNCTION @extschema@.rotate_encryption_key(anew boolean DEFAULT false) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.rotate_encryption_key(boolean) IS
	'add a key to the keyring file and make it the active one; returns its kid';
REVOKE ALL ON FUNCTION @extschema@.rotate_encryption_key(boolean) FROM PUBLIC;

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

CREATE PROCEDURE @extschema@.reencrypt_all_dbt_connections(batch integer DEFAULT 1000)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.reencrypt_all_dbt_connections(integer) IS
	'encrypt all connections with the active key; commits after each batch';
REVOKE ALL ON PROCEDURE @extschema@.reencrypt_all_dbt_connections(integer) FROM PUBLIC;

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
		headers jsonb DEFAULT NULL, OUT status integer, OUT body jsonb, OUT headers jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.http_request(text, text, text, jsonb) IS
	'answer an HTTP request of the API of dbt sources';

CREATE FUNCTION @extschema@.postgrest_request(bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.postgrest_request(bytea) IS
	'answer an HTTP request of the API of dbt sources that comes through PostgREST';

-- none of these is anybody's until it is granted: not either of those whom
-- default privileges give each new function
DO $$
DECLARE
	revoke text;
BEGIN
	-- so that no operator or function is that of whoever may create in the schema
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	FOR revoke IN
		SELECT format('REVOKE ALL ON ROUTINE %s FROM %s', p.oid::regprocedure, a.grantee::regrole)
		FROM pg_extension e
		JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
		JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		CROSS JOIN aclexplode(p.proacl) a
		WHERE e.extname = 'dbt_sources' AND a.grantee <> p.proowner AND p.proname IN ('project_dbt_connection', 'encryption_keys', 'reencrypt_dbt_connections', 'remove_encryption_key', 'rotate_encryption_key', 'reencrypt_all_dbt_connections')
	LOOP
		EXECUTE revoke;
	END LOOP;
END $$;
