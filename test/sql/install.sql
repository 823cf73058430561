-- what CREATE EXTENSION installs
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
RESET client_min_messages;
CREATE SCHEMA dbt;
-- who may create in the schema has an operator and a function there that fit better than PostgreSQL's
CREATE FUNCTION dbt.attack(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE WARNING 'attack as %', current_user; RETURN $1 OPERATOR(pg_catalog.=) $2::oid; END $$;
CREATE OPERATOR dbt.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = dbt.attack);
CREATE FUNCTION dbt.format(text, regprocedure, regrole) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE WARNING 'attack as %', current_user; RETURN 'SELECT'; END $$;
CREATE ROLE regress_dbt_granted;
ALTER DEFAULT PRIVILEGES IN SCHEMA dbt GRANT EXECUTE ON FUNCTIONS TO regress_dbt_granted;
CREATE EXTENSION dbt_sources SCHEMA dbt;
SHOW search_path;
SELECT has_function_privilege('regress_dbt_granted', 'dbt.rotate_encryption_key(boolean)', 'EXECUTE') AS granted;
DROP EXTENSION dbt_sources;
CREATE EXTENSION dbt_sources SCHEMA dbt VERSION '0.2.0';
ALTER EXTENSION dbt_sources UPDATE;
SELECT has_function_privilege('regress_dbt_granted', 'dbt.rotate_encryption_key(boolean)', 'EXECUTE') AS granted;
SET client_min_messages = warning;
DROP EXTENSION dbt_sources;
DROP SCHEMA dbt CASCADE;
DROP OWNED BY regress_dbt_granted;
DROP ROLE regress_dbt_granted;
RESET client_min_messages;
CREATE SCHEMA dbt;
CREATE EXTENSION dbt_sources SCHEMA dbt;

-- everything has a comment
SELECT pg_describe_object(classid, objid, objsubid)
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'dbt_sources')
	AND classid <> 'pg_type'::regclass
	AND obj_description(objid, classid::regclass::name) IS NULL;

-- who may call what; nothing is SECURITY DEFINER
SELECT proname, pg_get_function_result(oid) AS returns, provolatile AS volatility,
	prosecdef AS definer, has_function_privilege('public', oid, 'EXECUTE') AS public
FROM pg_proc
WHERE pronamespace = 'dbt'::regnamespace AND probin LIKE '%dbt_sources'
ORDER BY proname COLLATE "C";

SELECT name, boot_val, unit, min_val, context FROM pg_settings WHERE name LIKE 'dbt\_sources.%' ORDER BY name COLLATE "C";
SELECT dbt.rotate_encryption_key() ~ '^\d{4}-\d\d-\d\d-[0-9a-f]{12}$' AS kid;

DROP EXTENSION dbt_sources;
SELECT count(*) FROM pg_class WHERE relnamespace = 'dbt'::regnamespace;
SELECT count(*) FROM pg_proc WHERE probin LIKE '%dbt_sources';
DROP SCHEMA dbt;
