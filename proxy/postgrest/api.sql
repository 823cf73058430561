-- What PostgREST shows: the schema api, whose functions web_user may execute.
-- What else is in a schema of that name stays as it is.  Run after setup.sql, with
-- the same variables; it can be run again, too, and has to be when the schema of
-- the extension is renamed: the functions name it.

\if :{?schema} \else \set schema dbt \endif
\if :{?web_user} \else \set web_user web_user \endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
-- one run at a time
LOCK TABLE pg_namespace IN SHARE ROW EXCLUSIVE MODE;
CREATE SCHEMA IF NOT EXISTS api;
GRANT USAGE ON SCHEMA api TO :"web_user";

-- the HTTP API, behind nginx
SELECT format($$CREATE OR REPLACE FUNCTION api.request(bytea) RETURNS jsonb LANGUAGE sql
  AS %L$$, format('SELECT %I.postgrest_request($1)', :'schema')) \gexec

-- whether a token is valid and its role may be taken, which nginx asks first
CREATE OR REPLACE FUNCTION api.ready() RETURNS boolean LANGUAGE sql STABLE
  AS 'SELECT true';

-- Plain use, without nginx: POST /rpc/update_project_dbt_source.  The statuses
-- that PostgREST makes of our errors are right, but for P0002, a 500 to it.

CREATE OR REPLACE FUNCTION api.list_project_dbt_sources(project uuid) RETURNS jsonb LANGUAGE plpgsql
  SET search_path = :"schema", pg_temp AS $$
BEGIN
  RETURN list_project_dbt_sources(project);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE OR REPLACE FUNCTION api.create_project_dbt_source(project uuid, body jsonb) RETURNS jsonb LANGUAGE plpgsql
  SET search_path = :"schema", pg_temp AS $$
BEGIN
  RETURN create_project_dbt_source(project, body);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE OR REPLACE FUNCTION api.get_project_dbt_source(project uuid, source uuid) RETURNS jsonb LANGUAGE plpgsql
  SET search_path = :"schema", pg_temp AS $$
BEGIN
  RETURN get_project_dbt_source(project, source);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE OR REPLACE FUNCTION api.update_project_dbt_source(project uuid, source uuid, body jsonb) RETURNS jsonb LANGUAGE plpgsql
  SET search_path = :"schema", pg_temp AS $$
BEGIN
  RETURN update_project_dbt_source(project, source, body);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE OR REPLACE FUNCTION api.delete_project_dbt_source(project uuid, source uuid) RETURNS void LANGUAGE plpgsql
  SET search_path = :"schema", pg_temp AS $$
BEGIN
  PERFORM delete_project_dbt_source(project, source);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

\set functions 'api.request(bytea), api.ready(), api.list_project_dbt_sources(uuid), api.create_project_dbt_source(uuid, jsonb), api.get_project_dbt_source(uuid, uuid), api.update_project_dbt_source(uuid, uuid, jsonb), api.delete_project_dbt_source(uuid, uuid)'
REVOKE ALL ON FUNCTION :functions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION :functions TO :"web_user";

COMMIT;
