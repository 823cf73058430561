-- the eight variants, and every way to break them
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
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
SELECT d AS levels, what, path, message FROM (VALUES (1000), (1001), (3000)) n (d) CROSS JOIN (VALUES ('"x": [%s]'), ('"environment": [%s]'), ('"environment": {"x": %s}')) w (what)
LEFT JOIN LATERAL validate_dbt_connection(format('{"type": "none", ' || what || '}', repeat('[', d - 2) || repeat(']', d - 2))::jsonb) WITH ORDINALITY v (path, message, n) ON true
ORDER BY d, what COLLATE "C", v.n;

-- environment
SELECT * FROM validate_dbt_connection('{"type": "dbt", "environment": [
	{"key": "OK", "value": ""}, {"key": "", "value": "form"}, {"key": "_a1", "value": "x", "comment": 1},
	7, {}, {"key": 1, "value": 2}, {"key": "A"}, {"value": "v"}, {"key": null, "value": null}]}');
SELECT key, v.path, v.message
FROM unnest('{1A,A-B,A B,Ä,"A
"}'::text[]) WITH ORDINALITY k (key, n)
LEFT JOIN LATERAL validate_dbt_connection(jsonb_build_object('type', 'dbt', 'environment',
	jsonb_build_array(jsonb_build_object('key', key, 'value', '')))) v ON true
ORDER BY n;
-- refused names, and such as begin with a refused prefix
CREATE FUNCTION refusal(key text) RETURNS text LANGUAGE sql AS $$
	SELECT message FROM validate_dbt_connection(jsonb_build_object('type', 'dbt', 'environment',
		jsonb_build_array(jsonb_build_object('key', key, 'value', '')))) WHERE path = 'dbtConnection.environment[0].key' $$;
CREATE TEMP TABLE refused AS SELECT * FROM (VALUES ('prefix', '{LIGHTDASH_DBT_PROFILE_VAR_,LD_,DYLD_,GIT_,SSH_,PYTHON,PIP_,UV_,CONDA_,
	VIRTUAL_ENV,NODE_,NPM_CONFIG_,npm_config_,PERL5,PERLLIB,RUBY,GEM_,BUNDLE_,JAVA_TOOL_OPTIONS,_JAVA_OPTIONS,BASH_,XDG_,GLIBC_,
	GCONV_,MALLOC_}'::text[]), ('name', '{PATH,HOME,SHELL,IFS,CDPATH,PS4,PROMPT_COMMAND,TMPDIR,TMP,TEMP,LOCPATH,NLSPATH,HOSTALIASES,
	RES_OPTIONS,RESOLV_HOST_CONF,EDITOR,VISUAL,PAGER,LESSOPEN,LESSCLOSE,HTTP_PROXY,HTTPS_PROXY,ALL_PROXY,NO_PROXY,http_proxy,
	https_proxy,all_proxy,no_proxy,SSL_CERT_FILE,SSL_CERT_DIR,REQUESTS_CA_BUNDLE,CURL_CA_BUNDLE,CURL_HOME,OPENSSL_CONF,
	OPENSSL_ENGINES,OPENSSL_MODULES,DBT_PROFILES_DIR,DBT_PROJECT_DIR,DBT_TARGET_PATH,DBT_LOG_PATH,DBT_PACKAGES_INSTALL_PATH}')) r (kind, keys);
SELECT kind, count(*), refusal(key) AS itself, refusal(key || 'X') AS with_x, refusal('X' || key) AS after_x
FROM refused, unnest(keys) key GROUP BY kind, itself, with_x, after_x;
SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") AS pass_without_their_last_letter
FROM (SELECT left(key, -1) FROM refused, unnest(keys) key WHERE kind = 'prefix') k (key) WHERE refusal(key) IS NULL;
SELECT count(*) AS pass FROM unnest('{ENV,DBT_SCHEMA,DBT_ENV_SECRET_PATH,DBT_ENV_CUSTOM_ENV_HOME,GITHUB_TOKEN,PIPELINE,LDAP_HOST,HOMEPAGE,
	path,home,git_dir,Path,PS1,A,Z,a,z,_,A0,A9}'::text[]) key WHERE refusal(key) IS NULL;
DROP FUNCTION refusal;

-- tokens, user names and hosts: what is pasted along
CREATE TEMP TABLE pasted AS SELECT * FROM (VALUES
	(1, 'empty', ''), (2, 'plain', 'Tok-en_1.é'), (3, 'a blank inside', 'a b'), (4, 'a URL', 'https://x'), (5, 'a URL with a blank', 'https://x y'),
	(6, 'a newline at the end', E'x\r\n'), (7, 'a tab inside', E'x\ty'), (8, 'delete', E'x\u007f'), (9, 'C1', E'x\u0085'),
	(10, 'zero-width space', E'x\u200by'), (11, 'byte order mark', E'\ufeffx'), (12, 'right-to-left override', E'x\u202ey'),
	(13, 'soft hyphen', E'x\u00ady'), (14, 'line separator', E'x\u2028y'), (15, 'tag', E'x\U000e0041'), (16, 'only blanks', '  '), (17, 'a blank before', ' x'),
	(18, 'a blank after', 'x '), (19, 'a no-break space after', E'x\u00a0'), (20, 'an ideographic space before', E'\u3000x')) p (n, what, value);
SELECT name, message, string_agg(what, ', ' ORDER BY n) AS sent
FROM (VALUES ('dbt_cloud_ide', 'api_key'), ('dbt_cloud_ide', 'webhook_hmac_secret'), ('dbt_cloud_ide', 'discovery_api_endpoint'),
	('github', 'personal_access_token'), ('bitbucket', 'username'), ('gitlab', 'host_domain'), ('github', 'branch')) f (type, name)
JOIN least ON variant ->> 'type' = type CROSS JOIN pasted
LEFT JOIN LATERAL validate_dbt_connection(variant || jsonb_build_object(name, value)) v ON path = 'dbtConnection.' || name
GROUP BY name, message ORDER BY name COLLATE "C", min(n);
-- each of the characters that aren't seen, of all the rows of Unicode in which such begin or end
CREATE TEMP TABLE characters AS SELECT c FROM unnest('{0,3,6,17,22,23,24,31,32,47,48,49,253,254,255,444,465,3583,3584,3599,3600}'::integer[]) r, generate_series(greatest(r * 256, 1), r * 256 + 255) c;
SELECT what, message, string_agg(concat_ws('-', to_hex(first), to_hex(nullif(last, first))), ' ' ORDER BY first) AS characters
FROM (SELECT what, message, min(c) AS first, max(c) AS last
	FROM (SELECT *, c - row_number() OVER (PARTITION BY what, message ORDER BY c) AS of_run
		FROM (SELECT 'in a host' AS what, c, message FROM characters, least, validate_dbt_connection(variant || jsonb_build_object('host_domain', 'x' || chr(c) || 'y'))
				WHERE variant ->> 'type' = 'gitlab'
			UNION ALL SELECT 'a name', c, p ->> 'message' FROM characters, http_request('POST', '/api/v1/projects/' || :p || '/dbt-sources', jsonb_build_object('name', chr(c))::text),
				jsonb_array_elements(body #> '{error,data}') p WHERE c < 12800 AND p ->> 'path' = 'name') m) m
	GROUP BY what, message, of_run) m GROUP BY what, message ORDER BY what, message;

-- numbers: what a double holds, in at most 400 digits
SELECT n.x, v.* FROM unnest(ARRAY['0', '-0', '7', '-1.5e10', '1.7976931348623157e308', '-1.7976931348623157e308', '1.8e308', '-1e309', '1e131071',
	'1.7976931348623158e308', '1.7976931348623159e308', '5e-324', '-5e-324', '4.9e-324', '4.8e-324', '4e-324', '1e-16383', '0e5', '0e-16383', '0.0']) WITH ORDINALITY n (x, n)
LEFT JOIN LATERAL validate_dbt_connection(format('{"type": "none", "x": %s}', n.x)::jsonb) v ON true ORDER BY n.n;
SELECT what, v.message IS NULL AS valid FROM (VALUES
	('400 digits', '0.' || repeat('7', 399)), ('401 digits', '0.' || repeat('9', 400)), ('309 and 91', repeat('1', 309) || '.' || repeat('0', 91)),
	('309 and 92', repeat('1', 309) || '.' || repeat('0', 92))) n (what, x)
LEFT JOIN LATERAL validate_dbt_connection(format('{"type": "none", "x": %s}', n.x)::jsonb) v ON true;
-- each with its path, where a name that isn't plain is JSON
SELECT path FROM validate_dbt_connection('{"type": "none", "plain_1-a": 1e999, "a: b": [1, 1e999, [[], {"c\nd": 1e999}]], "": 1e999, "x.y": {"a[0]": 1e999},
	"azAZ09": 1e999, "\"\\": 1e999, "\udb40\udc00": 1e999, "\u200b\u007f\ud83e\udd8aä\udb40\udc41": 1e999, "environment": [{"key": "A", "value": "", "comment": 1e999}]}') \g (format=unaligned)
-- in a field of the table no number is right, and nothing else is said of it
SELECT * FROM validate_dbt_connection('{"type": "none", "target": 1e999, "selector": [{"x": 1e999}], "hideRefreshButton": 1e999, "x": 7,
	"environment": [1e999, {"key": 1e999, "value": [1e999], "note": [1e999]}, [1e999], {"key": "A", "value": ""}, 1e999,
	{"key": "A", "value": "", "abc": 1e999, "keys": 1e999, "other": 1e999, "values": 1e999}]}');
SELECT * FROM validate_dbt_connection('{"type": "none", "x": 7, "environment": {"x": {"note": 1e999}}}');
SELECT path FROM validate_dbt_connection(jsonb_build_object('type', 'none', repeat('long', 20), 1e999, repeat('ü', 40), 1e999, repeat('a', 62) || '\b', 1e999));
-- a path ends with the name that makes it long, of 200 bytes
SELECT length(path), right(path, 10) AS ends FROM unnest(ARRAY[59, 60]) len, LATERAL (SELECT repeat('n', 60) AS n) n,
	validate_dbt_connection(format('{"type": "none", "x": {"%s": {"%s": {"%s": {"y": {"z": 1e999}}}}}}', repeat('n', len), n, n)::jsonb);
SELECT path, message = 'must not be nested deeper than 1000 levels' AS too_deep
FROM validate_dbt_connection(('{"type": "none", "x": ' || repeat('[7, ', 70) || '1e999, ' || repeat('[', 1000) || repeat(']', 1070) || '}')::jsonb);
-- a short body, whose paths would be long
SELECT count(*), max(length(path)) FROM validate_dbt_connection(('{"type": "none", "x": ' || repeat('{"' || repeat('\u0001', 100) || '": ', 900) ||
	'[' || repeat('1e999,', 200) || '0]' || repeat('}', 901))::jsonb);
-- a field that the type knows is of a wrong type, and no more, whatever else there is
SELECT * FROM validate_dbt_connection('{"type": "none", "target": 1e999, "selector": {"a": [1e999]}, "note": [7]}');
-- eighteen kilobytes that would be stored as hundreds of megabytes
SELECT count(*) AS problems, max(message) FILTER (WHERE path = '...') AS last
FROM validate_dbt_connection(('{"type": "none", "x": [' || repeat('9e131071,', 2000) || '0]}')::jsonb);

-- what was encoded twice is told from what isn't JSON at all
SELECT v.* FROM unnest(ARRAY['"{\"type\": \"none\"}"', '" [] "', '"{"', '"{]"', '"{x"', '"x}"', '"[x"', '"x]"', '"\t"', '{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1", "tags": "[\"a\"]"}',
	'{"type": "dbt", "environment": "[{\"key\": \"A\", \"value\": \"\"}]"}', '{"type": "dbt", "environment": ["{\"key\": \"A\", \"value\": \"\"}", "A=1"]}']::jsonb[])
	WITH ORDINALITY c (c, n), validate_dbt_connection(c) v ORDER BY n;

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
SELECT problems, v.* FROM unnest(ARRAY[100, 101, 100000]) problems, validate_dbt_connection(jsonb_build_object('type', 'dbt', 'environment',
	(SELECT jsonb_agg(i) FROM generate_series(1, problems) i))) WITH ORDINALITY v (path, message, n) WHERE n >= 100;

SELECT try('"{\"name\": \"x\", \"dbtConnection\": {\"type\": \"none\"}}"'), try('{"name": "x", "dbtConnection": "{\"type\": \"none\"}"}');
SELECT update_project_dbt_source(:p, :p, (SELECT jsonb_object_agg('ignored ' || i, i) FROM generate_series(1, 10) i)) ->> 'name' AS name;
SELECT update_project_dbt_source(:p, :p, (SELECT jsonb_object_agg('ignored ' || i, i) FROM generate_series(1, 12) i)) ->> 'name' AS name;

-- no value from a connection in a message
SELECT try('{"name": "x", "dbtConnection": {"type": "github", "authorization_method": "sesame", "personal_access_token": ["sesame"],
	"environment": [{"key": "sesame!", "value": ["sesame"]}, "sesame"], "host_domain": {"sesame": "sesame"}}}') ~ 'sesame' AS leaked;
DROP FUNCTION try;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
