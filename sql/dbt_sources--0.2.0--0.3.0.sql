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

DROP FUNCTION @extschema@.rotate_encryption_key();
CREATE FUNCTION @extschema@.rotate_encryption_key(anew boolean DEFAULT false) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.rotate_encryption_key(boolean) IS
	'add a key to the keyring file and make it the active one; returns its kid';
REVOKE ALL ON FUNCTION @extschema@.rotate_encryption_key(boolean) FROM PUBLIC;

CREATE PROCEDURE @extschema@.reencrypt_all_dbt_connections(batch integer DEFAULT 1000)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.reencrypt_all_dbt_connections(integer) IS
	'encrypt all connections with the active key; commits after each batch';
REVOKE ALL ON PROCEDURE @extschema@.reencrypt_all_dbt_connections(integer) FROM PUBLIC;

DROP FUNCTION @extschema@.http_request(text, text, text);
CREATE FUNCTION @extschema@.http_request(method text, path text, body text DEFAULT NULL,
		headers jsonb DEFAULT NULL, OUT status integer, OUT body jsonb, OUT headers jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.http_request(text, text, text, jsonb) IS
	'answer an HTTP request of the API of dbt sources';

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
		WHERE e.extname = 'dbt_sources' AND a.grantee <> p.proowner AND p.proname IN ('rotate_encryption_key', 'reencrypt_all_dbt_connections')
	LOOP
		EXECUTE revoke;
	END LOOP;
END $$;
