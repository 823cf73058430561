-- the eight variants, and every way to break them
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');

-- the least of each is valid, comes back whole, and has the right identity
CREATE TEMP TABLE least (variant jsonb);
INSERT INTO least VALUES
	('{"type": "dbt"}'),
	('{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1"}'),
	('{"type": "github", "authorization_method": "installation_id", "repository": "r", "branch": "b", "project_sub_path": "/"}'),
	('{"type": "gitlab", "personal_access_token": "t", "repository": "r", "branch": "b", "project_sub_path": "/"}'),
	('{"type": "bitbucket", "username": "u", "personal_access_token": "t", "repository": "r", "branch": "b", "project_sub_path": "/"}'),
	('{"type": "azure_devops", "personal_access_token": "t", "organization": "o", "project": "p", "repository": "r", "branch": "b", "project_sub_path": "/"}'),
	('{"type": "none"}'),
	('{"type": "manifest", "manifest": "{}", "hideRefreshButton": false}');
SELECT variant ->> 'type' AS type, s - '{name,isPrimary,precedence,projectDbtSourceUuid,type}'::text[] AS summary,
	project_dbt_connection(:p, (s ->> 'projectDbtSourceUuid')::uuid) = variant AS whole
FROM least, create_project_dbt_source(:p, jsonb_build_object('name', variant ->> 'type', 'dbtConnection', variant)) s;

-- without any one of its properties it isn't
SELECT variant ->> 'type' AS type, key AS without, v.path, v.message
FROM least, jsonb_object_keys(variant) key, validate_dbt_connection(variant - key) v
ORDER BY variant ->> 'type' COLLATE "C", key COLLATE "C";

-- each known field refuses null, and what is of another type
CREATE TEMP TABLE fields AS SELECT * FROM (VALUES
	('dbt', '{target,environment,selector,profiles_dir,project_dir}'::text[]),
	('dbt_cloud_ide', '{api_key,environment_id,discovery_api_endpoint,tags,webhook_hmac_secret}'),
	('github', '{target,environment,selector,authorization_method,personal_access_token,installation_id,repository,branch,project_sub_path,host_domain}'),
	('gitlab', '{target,environment,selector,personal_access_token,repository,branch,project_sub_path,host_domain}'),
	('bitbucket', '{target,environment,selector,username,personal_access_token,repository,branch,project_sub_path,host_domain}'),
	('azure_devops', '{target,environment,selector,personal_access_token,organization,project,repository,branch,project_sub_path}'),
	('none', '{target,environment,selector,hideRefreshButton}'),
	('manifest', '{manifest,hideRefreshButton}')) f (type, names);
SELECT type, name, v.path = 'dbtConnection.' || name AS at_path, v.message
FROM fields JOIN least ON variant ->> 'type' = type, unnest(names) name,
	validate_dbt_connection(variant || jsonb_build_object(name, NULL)) v
ORDER BY type COLLATE "C", name COLLATE "C";
SELECT count(*) AS refused, count(*) FILTER (WHERE v.path = 'dbtConnection.' || name) AS at_path
FROM fields JOIN least ON variant ->> 'type' = type, unnest(names) name,
	validate_dbt_connection(variant || jsonb_build_object(name, 7)) v;
SELECT sum(cardinality(names)) FROM fields;
-- a field of another variant is an unknown property, and allowed
SELECT count(*) FROM validate_dbt_connection('{"type": "none", "personal_access_token": 7, "tags": null}');

SELECT * FROM validate_dbt_connection('{"type": "github", "authorization_method": "password",
	"repository": [], "branch": {}, "project_sub_path": false, "target": 1.5}');
SELECT * FROM validate_dbt_connection('{"type": "dbt_cloud_ide", "api_key": "", "environment_id": "", "tags": ["a", 1, null, "b", {}]}');
SELECT * FROM validate_dbt_connection('{}');
SELECT * FROM validate_dbt_connection('{"type": "svn"}');
SELECT * FROM validate_dbt_connection('{"type": null}');
SELECT * FROM validate_dbt_connection('{"type": ["github"]}');
SELECT j, v.* FROM unnest(ARRAY['null', '[]', '"github"', '7', 'true']::jsonb[]) j, validate_dbt_connection(j) v;

-- nesting: what is stored can be read from any depth of the stack
SELECT d AS levels, v.* FROM (VALUES (1000), (1001), (3000)) n (d)
LEFT JOIN LATERAL validate_dbt_connection(('{"type": "none", "x": ' || repeat('[', d - 1) || repeat(']', d - 1) || '}')::jsonb) v ON true;

-- environment
SELECT * FROM validate_dbt_connection('{"type": "dbt", "environment": [
	{"key": "OK", "value": ""}, {"key": "", "value": "form"}, {"key": "_a1", "value": "x", "comment": 1},
	7, {}, {"key": 1, "value": 2}, {"key": "A"}, {"value": "v"}, {"key": null, "value": null}]}');
SELECT key, v.path, v.message
FROM unnest('{1A,A-B,A B,Ä,"A
",LIGHTDASH_DBT_PROFILE_VAR_X,DYLD_,GIT_CONFIG_COUNT,GIT_ASKPASS,GIT_SSH,GIT_SSH_COMMAND,
	LD_AUDIT,LD_LIBRARY_PATH,LD_PRELOAD,NODE_OPTIONS,NODE_PATH,PATH,PERL5OPT,PYTHONHOME,PYTHONPATH,RUBYOPT,
	SHELL,SSH_ASKPASS,path,PATHS,GIT_CONFIG,DYLD,LD_}'::text[]) WITH ORDINALITY k (key, n)
LEFT JOIN LATERAL validate_dbt_connection(jsonb_build_object('type', 'dbt', 'environment',
	jsonb_build_array(jsonb_build_object('key', key, 'value', '')))) v ON true
ORDER BY n;

-- names
CREATE FUNCTION try(body jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM create_project_dbt_source('11111111-1111-4111-8111-111111111111', body);
	RAISE EXCEPTION USING ERRCODE = 'UT001', DETAIL = 'valid';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN CASE SQLSTATE WHEN 'UT001' THEN '' WHEN '22023' THEN '' ELSE SQLSTATE END || detail;
END $$;
SELECT label, try(jsonb_build_object('name', name, 'dbtConnection', '{"type": "none"}'::jsonb))
FROM (VALUES ('plain', to_jsonb('x'::text)), ('empty', '""'), ('spaces', '"   "'), ('wide spaces', '"\u3000\u00a0"'),
	('null', 'null'), ('number', '7'), ('255', to_jsonb(repeat('ü', 255))), ('256', to_jsonb(repeat('ü', 256))),
	('tab', '"a\tb"'), ('delete', '"a\u007f"'), ('C1', '"a\u0085"'), ('only a tab', '"\t"'), ('emoji', '"🦊"')) n (label, name);

-- bodies: every problem at once
SELECT body, try(body) FROM unnest(ARRAY['[]', 'null', '"x"', '7', '{}', '{"name": "x"}', '{"dbtConnection": {"type": "none"}}',
	'{"name": null, "dbtConnection": null}', '{"name": " ", "dbtConnection": {"type": "gitlab", "branch": 1}}']::jsonb[]) body;
SELECT update_project_dbt_source(:p, :p, '{"NAME": "x", "a\nb": 1, "dbt_connection": {"type": "none"}}') ->> 'name' AS name;
SELECT try(jsonb_build_object('name', 'x', 'dbtConnection', jsonb_build_object('type', 'dbt', 'environment',
	(SELECT jsonb_agg(i) FROM generate_series(1, 200) i)))) ~ E'\\[99\\][^\n]*\n\\.\\.\\.: 100 more$' AS counted;
-- a hundred are kept, the others counted
SELECT v.* FROM validate_dbt_connection(jsonb_build_object('type', 'dbt', 'environment',
	(SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 100000) i))) WITH ORDINALITY v (path, message, n) WHERE n >= 100;

-- no value from a connection in a message
SELECT try('{"name": "x", "dbtConnection": {"type": "github", "authorization_method": "sesame", "personal_access_token": ["sesame"],
	"environment": [{"key": "sesame!", "value": ["sesame"]}, "sesame"], "host_domain": {"sesame": "sesame"}}}') ~ 'sesame' AS leaked;
DROP FUNCTION try;
DROP EXTENSION dbt_sources;
