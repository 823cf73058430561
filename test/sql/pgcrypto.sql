-- the functions of pgcrypto are found, whoever calls and wherever they are, or
-- not, again and again
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pgcrypto;
CREATE SCHEMA regress_crypto;
CREATE EXTENSION pgcrypto SCHEMA regress_crypto;
CREATE EXTENSION dbt_sources;
RESET client_min_messages;
\set p '''11111111-1111-4111-8111-111111111111'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');
SELECT rotate_encryption_key() IS NOT NULL AS rotated;

-- by who may not use the schema that they are in
CREATE ROLE regress_manager;
GRANT SELECT, UPDATE ON projects TO regress_manager;
\c -
SET ROLE regress_manager;
SELECT regress_crypto.gen_random_bytes(1);
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
SELECT set_project_dbt_connection(:p, '{"type": "dbt"}') ->> 'type' AS type;
RESET ROLE;

-- one is missing, in the session that had it and in a new one
ALTER FUNCTION regress_crypto.hmac(bytea, bytea, text) RENAME TO away;
SELECT set_project_dbt_connection(:p, '{"type": "none"}');
SELECT set_project_dbt_connection(:p, '{"type": "none"}');
\c -
SELECT set_project_dbt_connection(:p, '{"type": "none"}');
SELECT set_project_dbt_connection(:p, '{"type": "none"}');
SELECT list_project_dbt_sources(:p) -> 0 ->> 'type' AS type;
ALTER FUNCTION regress_crypto.away(bytea, bytea, text) RENAME TO hmac;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;

-- they have moved
ALTER EXTENSION pgcrypto SET SCHEMA public;
SELECT set_project_dbt_connection(:p, '{"type": "dbt"}') ->> 'type' AS type;
ALTER EXTENSION pgcrypto SET SCHEMA regress_crypto;
ALTER SCHEMA regress_crypto RENAME TO regress_elsewhere;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;

-- however often they change
DO $$ BEGIN
	FOR i IN 1 .. 100 LOOP
		EXECUTE format('ALTER FUNCTION regress_elsewhere.hmac(bytea, bytea, text) COST %s', i);
		PERFORM set_project_dbt_connection('11111111-1111-4111-8111-111111111111', '{"type": "none"}');
	END LOOP;
END $$;

-- the library below may be out of memory, or not allow an algorithm: that isn't the caller's fault
CREATE OR REPLACE FUNCTION regress_elsewhere.hmac(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'from below' USING ERRCODE = current_setting('test.code'); END $$;
CREATE FUNCTION told(code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	PERFORM set_config('test.code', code, false);
	PERFORM set_project_dbt_connection('11111111-1111-4111-8111-111111111111', '{"type": "none"}');
EXCEPTION WHEN OTHERS OR query_canceled THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM, '/ ' || nullif(hint, ''));
END $$;
SELECT code, told(code) FROM unnest(ARRAY['39000', '39P01', '22023', 'XX000', '53200', '57014', 'P0001']) WITH ORDINALITY t (code, n) ORDER BY n;
DROP FUNCTION told;

DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
DROP EXTENSION pgcrypto;
DROP SCHEMA regress_elsewhere;
DROP ROLE regress_manager;
