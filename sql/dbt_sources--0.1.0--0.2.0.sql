-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION dbt_sources UPDATE TO '0.2.0'" to load this file. \quit

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
