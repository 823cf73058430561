-- The functions of dbt_sources for a database that has no sources itself: they
-- run on the partition of their project.  Run as a superuser in a database that
-- has PL/Proxy and its server dbt_sources, when the partitions have the
-- extension in the schema dbt.
--
-- A partition runs a function as the role that called it here, in a transaction
-- of its own, with the caller's claims.

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
CREATE SCHEMA dbt;

-- the functions of the extension, as a partition knows them
CREATE FUNCTION pg_temp.functions(OUT name text, OUT arguments text, OUT result text,
  OUT first_argument text, OUT inputs integer, OUT is_public boolean)
RETURNS SETOF record LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ANY;
  SELECT p.proname::text AS name, pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
         pg_catalog.pg_get_function_result(p.oid) AS result, p.proargnames[1] AS first_argument,
         p.pronargs::integer AS inputs, pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE') AS is_public
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
  WHERE e.extname = 'dbt_sources' AND e.extnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'dbt');
$$;

-- The project in a path of the HTTP API, where a uuid may be in capitals and
-- percent-encoded (%2D is a hyphen).  It ends within the first 160 characters.
CREATE FUNCTION dbt.project_of_path(path text) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT lower(substring(string_agg(
      CASE WHEN part[1] LIKE '\%__' THEN chr(('x' || substr(part[1], 2))::bit(8)::integer) ELSE part[1] END,
      '' ORDER BY n) FROM '^/api/v1/projects/([^/?]*)'))
  FROM regexp_matches(left(path, 160), '%[2-7][0-9A-Fa-f]|.', 'g') WITH ORDINALITY parts (part, n)
$$;

-- What is of one project runs on its partition; for a NULL one of them says
-- what is wrong.  FROM sets the claims before anything is selected.
DO $do$
DECLARE
  f record;
  call text;
  project text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_temp.functions()) THEN
    RAISE 'the partitions have no extension dbt_sources in a schema dbt';
  END IF;
  FOR f IN SELECT * FROM pg_temp.functions() LOOP
    project := CASE WHEN f.first_argument = 'project' THEN '$1::pg_catalog.text'
                    WHEN f.name = 'http_request' THEN 'dbt.project_of_path($2)' END;
    CONTINUE WHEN project IS NULL;
    call := format('SELECT dbt.%I(%s) AS answer FROM pg_catalog.set_config(''request.jwt.claims'', $%s, true)',
                   f.name, (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, f.inputs) i), f.inputs + 1);
    IF f.result = 'record' THEN
      call := format('SELECT (r.answer).* FROM (%s OFFSET 0) r', call);
    END IF;
    EXECUTE format($sql$
      CREATE FUNCTION dbt.%I(%s, claims text DEFAULT pg_catalog.current_setting('request.jwt.claims', true))
      RETURNS %s LANGUAGE plproxy AS $$
        CLUSTER 'dbt_sources';
        RUN ON pg_catalog.hashtext(COALESCE(%s, ''));
        %s;
      $$ $sql$, f.name, f.arguments, f.result, project, call);
    IF NOT f.is_public THEN
      EXECUTE format('REVOKE ALL ON FUNCTION dbt.%I FROM PUBLIC', f.name);
    END IF;
  END LOOP;
END $do$;

CREATE FUNCTION dbt.validate_dbt_connection(dbt_connection jsonb) RETURNS TABLE (path text, message text)
LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ANY;
  SELECT * FROM dbt.validate_dbt_connection($1);
$$;

-- A copy takes one transaction, and so one partition.

CREATE FUNCTION dbt.partitions_of(project uuid, other_project uuid) RETURNS SETOF text LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON pg_catalog.unnest(ARRAY[pg_catalog.hashtext(COALESCE($1::pg_catalog.text, $2::pg_catalog.text, '')),
    pg_catalog.hashtext(COALESCE($2::pg_catalog.text, $1::pg_catalog.text, ''))]);
  SELECT pg_catalog.current_database();
$$;

CREATE FUNCTION dbt.on_same_partition(project uuid, other_project uuid) RETURNS boolean LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*) = 1 FROM dbt.partitions_of(project, other_project)
$$;

CREATE FUNCTION dbt.copy_on_partition(source_project uuid, target_project uuid, claims text) RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON pg_catalog.hashtext(COALESCE($1::pg_catalog.text, ''));
  SELECT dbt.copy_project_dbt_sources($1, $2) FROM pg_catalog.set_config('request.jwt.claims', $3, true);
$$;

CREATE FUNCTION dbt.copy_project_dbt_sources(source_project uuid, target_project uuid,
  claims text DEFAULT pg_catalog.current_setting('request.jwt.claims', true)) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT dbt.on_same_partition(source_project, target_project) THEN
    RAISE feature_not_supported USING
      MESSAGE = 'dbt sources cannot be copied from one partition to another',
      HINT = 'Give the target a project uuid for which dbt.on_same_partition(source_project, target_project) is true.';
  END IF;
  RETURN dbt.copy_on_partition(source_project, target_project, claims);
END $$;

-- Each partition has a keyring of its own.  What fails on one was done on the
-- others all the same.

CREATE FUNCTION dbt.rotate_encryption_key() RETURNS SETOF text LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ALL;
  SELECT dbt.rotate_encryption_key();
$$;

CREATE FUNCTION dbt.encryption_keys() RETURNS TABLE (kid text, active boolean, connections bigint) LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ALL;
  SELECT * FROM dbt.encryption_keys();
$$;

CREATE FUNCTION dbt.reencrypt_dbt_connections(max_rows integer DEFAULT 1000) RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ALL;
  SELECT dbt.reencrypt_dbt_connections($1);
$$;

-- returns it from each partition that had it
CREATE FUNCTION dbt.remove_encryption_key(kid text) RETURNS SETOF text LANGUAGE plproxy AS $$
  CLUSTER 'dbt_sources';
  RUN ON ALL;
  SELECT k.kid FROM dbt.encryption_keys() k, LATERAL dbt.remove_encryption_key(k.kid) WHERE k.kid = $1;
$$;

REVOKE ALL ON FUNCTION dbt.rotate_encryption_key, dbt.encryption_keys, dbt.reencrypt_dbt_connections,
  dbt.remove_encryption_key FROM PUBLIC;
COMMIT;
