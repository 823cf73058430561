-- What the random bodies are tried on.  Nothing that they write stays.
CREATE EXTENSION dbt_sources CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
SELECT rotate_encryption_key();

-- What is answered to one body; every change is undone.
CREATE FUNCTION judge(call text, project uuid, source uuid, body text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	sources text := format('/api/v1/projects/%s/dbt-sources', project);
	json text := '{"content-type": "application/json"}';
	status integer;
	answer jsonb;
	whole boolean;
	state text;
	said text;
	detail text;
BEGIN
	CASE call
		WHEN 'validate' THEN
			answer := (SELECT jsonb_agg(jsonb_build_array(path, message) ORDER BY n)
				FROM validate_dbt_connection(body::jsonb) WITH ORDINALITY v (path, message, n));
		WHEN 'create' THEN
			answer := create_project_dbt_source(project, body::jsonb);
			whole := project_dbt_connection(project, (answer ->> 'projectDbtSourceUuid')::uuid) = body::jsonb -> 'dbtConnection';
		WHEN 'update' THEN
			answer := update_project_dbt_source(project, source, body::jsonb);
		WHEN 'POST' THEN
			SELECT r.status, r.body INTO status, answer FROM http_request('POST', sources, body, json::jsonb) r;
		WHEN 'PATCH' THEN
			SELECT r.status, r.body INTO status, answer FROM http_request('PATCH', sources || '/' || source, body, json::jsonb) r;
	END CASE;
	RAISE SQLSTATE 'UT001';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN jsonb_build_object('sqlstate', CASE state WHEN 'UT001' THEN '00000' ELSE state END, 'said', said, 'detail', detail,
		'status', status, 'answer', answer, 'whole', whole);
END $$;
