-- What is tried with each envelope.  Nothing that it writes stays.
CREATE EXTENSION dbt_sources CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');

-- What a function answers, or in its stead all that its error says.
CREATE FUNCTION answer(what text, project uuid, source uuid, body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb;
	state text;
	said text;
	detail text;
	hint text;
	context text;
BEGIN
	CASE what
		WHEN 'list' THEN
			answer := (SELECT s FROM jsonb_array_elements(list_project_dbt_sources(project)) s WHERE s ->> 'projectDbtSourceUuid' = source::text);
		WHEN 'get' THEN
			answer := get_project_dbt_source(project, source);
		WHEN 'http' THEN
			answer := (SELECT jsonb_build_array(r.status, r.body) FROM http_request('GET', format('/api/v1/projects/%s/dbt-sources/%s', project, source)) r);
		WHEN 'update' THEN
			answer := CASE WHEN project = source THEN set_project_dbt_connection(project, body) ELSE
				update_project_dbt_source(project, source, jsonb_build_object('dbtConnection', body)) END;
		WHEN 'rename' THEN
			answer := update_project_dbt_source(project, source, '{"name": "renamed"}');
		WHEN 'copy' THEN
			answer := to_jsonb(copy_project_dbt_sources(project, '33333333-3333-4333-8333-333333333333'));
		WHEN 'reencrypt' THEN
			answer := to_jsonb(reencrypt_dbt_connections());
		WHEN 'keys' THEN
			answer := (SELECT jsonb_agg(to_jsonb(k)) FROM encryption_keys() k);
	END CASE;
	RETURN jsonb_build_object('sqlstate', '00000', 'said', '', 'answer', answer);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN jsonb_build_object('sqlstate', state, 'said', concat_ws(E'\n', said, detail, hint, context));
END $$;

-- Whether the worker gets just that connection, and the error if it gets none.
CREATE FUNCTION worker(project uuid, source uuid, expected text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	whole jsonb;
	state text;
	said text;
	detail text;
	hint text;
	context text;
BEGIN
	whole := project_dbt_connection(project, source);
	RETURN jsonb_build_object('sqlstate', '00000', 'said', '', 'same', whole IS NOT DISTINCT FROM expected::jsonb);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN jsonb_build_object('sqlstate', state, 'said', concat_ws(E'\n', said, detail, hint, context));
END $$;

-- Puts an envelope into a row, looks at it in every way, and does something with
-- it; body is what an update sends, and after the connection that is then stored
-- (otherwise that which was expected).
CREATE FUNCTION attempt(envelope text, project uuid, source uuid, expected text, did text, body jsonb, after text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
	place uuid[] := ARRAY[project, source];
BEGIN
	UPDATE project_dbt_sources SET dbt_connection = envelope WHERE project_uuid = project AND project_dbt_source_uuid = source;
	result := jsonb_build_object('list', answer('list', project, source, NULL), 'get', answer('get', project, source, NULL),
		'worker', worker(project, source, expected), 'did', answer(did, project, source, body));
	IF did = 'copy' THEN
		SELECT ARRAY[c.project_uuid, c.project_dbt_source_uuid] INTO place FROM project_dbt_sources c JOIN project_dbt_sources s USING (name)
		WHERE c.project_uuid = '33333333-3333-4333-8333-333333333333' AND s.project_dbt_source_uuid = source;
	END IF;
	result := result || jsonb_build_object('after', worker(place[1], place[2], after),
		'kept', (SELECT dbt_connection = envelope FROM project_dbt_sources WHERE project_uuid = project AND project_dbt_source_uuid = source));
	RAISE SQLSTATE 'UT001';
EXCEPTION WHEN SQLSTATE 'UT001' THEN
	RETURN result;
END $$;
