-- What PostgREST shows: the schema api, and nothing else.  Run after setup.sql.

CREATE SCHEMA api;
GRANT USAGE ON SCHEMA api TO web_user;

-- the HTTP API, behind nginx
CREATE FUNCTION api.request(bytea) RETURNS jsonb LANGUAGE sql
  AS 'SELECT dbt.postgrest_request($1)';

-- whether a token is valid and its role may be taken, which nginx asks first
CREATE FUNCTION api.ready() RETURNS boolean LANGUAGE sql STABLE
  AS 'SELECT true';

-- Plain use, without nginx: POST /rpc/update_project_dbt_source.  The statuses
-- that PostgREST makes of our errors are right, but for P0002, a 500 to it.

CREATE FUNCTION api.list_project_dbt_sources(project uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN dbt.list_project_dbt_sources(project);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE FUNCTION api.create_project_dbt_source(project uuid, body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN dbt.create_project_dbt_source(project, body);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE FUNCTION api.get_project_dbt_source(project uuid, source uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN dbt.get_project_dbt_source(project, source);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE FUNCTION api.update_project_dbt_source(project uuid, source uuid, body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN dbt.update_project_dbt_source(project, source, body);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

CREATE FUNCTION api.delete_project_dbt_source(project uuid, source uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM dbt.delete_project_dbt_source(project, source);
EXCEPTION WHEN no_data_found THEN
  RAISE SQLSTATE 'PT404' USING MESSAGE = sqlerrm;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA api FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO web_user;
