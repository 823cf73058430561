-- what a view withholds an update keeps; a secret stays with its destination
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
-- a keyring without the keys of the other one
SELECT current_setting('dbt_sources.keyring_file') || '.another' AS another, current_setting('dbt_sources.keyring_file') || '.missing' AS missing \gset
SET dbt_sources.keyring_file = :'another';
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
RESET dbt_sources.keyring_file;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');

-- every withheld thing at once
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "personal_access_token": "sesame-1", "repository": "r",
	"branch": "b", "project_sub_path": "/", "ssh_key": "sesame-2", "nested": {"deep": ["sesame-3"]}, "empty": "",
	"environment": [{"key": "DBT_ENV_SECRET_A", "value": "sesame-4"}, {"key": "DBT_ENV_SECRETB", "value": "sesame-5"},
		{"key": "DBT_ENV", "value": "shown", "note": "sesame-6"}, {"key": "DBT_ENV_SECRET_A", "value": "sesame-7", "note": ""},
		{"key": "DBT_ENV_SECRET", "value": "sesame-8"}, {"key": "DBT_ENV_SECRE", "value": "shown"}, {"key": "XDBT_ENV_SECRET", "value": "shown"}]}') ->> 'type' AS type;
SELECT get_project_dbt_source(:p, :p) -> 'dbtConnection' AS view;
SELECT get_project_dbt_source(:p, :p)::text ~ 'sesame' OR list_project_dbt_sources(:p)::text ~ 'sesame' AS leaked;

-- reading, changing one field and sending it back loses nothing
SELECT project_dbt_connection(:p, :p) AS before \gset
SELECT set_project_dbt_connection(:p, get_project_dbt_source(:p, :p) -> 'dbtConnection' || '{"branch": "develop"}') ->> 'branch' AS branch;
SELECT project_dbt_connection(:p, :p) = :'before'::jsonb || '{"branch": "develop"}' AS nothing_lost;
-- nor does leaving out what a viewer isn't shown
SELECT set_project_dbt_connection(:p, (get_project_dbt_source(:p, :p) -> 'dbtConnection') - 'environment') ->> 'branch' AS branch;
SELECT project_dbt_connection(:p, :p) = :'before'::jsonb || '{"branch": "develop"}' AS nothing_lost;

-- sent values replace the stored ones, others are kept, a variable that is left out goes
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "personal_access_token": "", "repository": "r", "branch": "b",
	"project_sub_path": "/", "ssh_key": "new", "nested": "", "environment": [{"key": "DBT_ENV_SECRETB"},
	{"key": "DBT_ENV_SECRET_C", "value": "c"}, {"key": "DBT_ENV", "value": ""}]}') ->> 'type' AS type;
SELECT project_dbt_connection(:p, :p);

-- the other side of a variable's name: it can't be renamed into view
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/",
	"environment": [{"key": "B", "value": ""}]}') ->> 'type' AS type;
SELECT project_dbt_connection(:p, :p);

-- From here on: what is stored after a connection was created and another one sent, or why nothing is.  What every
-- git type requires is added to both, and left out of the answer where it is as it was.
CREATE FUNCTION whole(c jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE c ->> 'type'
		WHEN 'github' THEN '{"authorization_method": "personal_access_token", "repository": "r", "branch": "b", "project_sub_path": "/"}'
		WHEN 'gitlab' THEN '{"repository": "r", "branch": "b", "project_sub_path": "/"}'
		WHEN 'bitbucket' THEN '{"username": "u", "repository": "r", "branch": "b", "project_sub_path": "/"}'
		WHEN 'azure_devops' THEN '{"organization": "o", "project": "p", "repository": "r", "branch": "b", "project_sub_path": "/"}'
		WHEN 'dbt_cloud_ide' THEN '{"environment_id": "1"}' ELSE '{}' END::jsonb || c $$;
CREATE FUNCTION after(stored jsonb, sent jsonb, another_keyring boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p CONSTANT uuid = '11111111-1111-4111-8111-111111111111';
	keyring CONSTANT text = current_setting('dbt_sources.keyring_file');
	s CONSTANT uuid = create_project_dbt_source(p, jsonb_build_object('name', 'after', 'dbtConnection', whole(stored))) ->> 'projectDbtSourceUuid';
	kept text;
	detail text;
BEGIN
	BEGIN
		PERFORM set_config('dbt_sources.keyring_file', keyring || CASE WHEN another_keyring THEN '.another' ELSE '' END, true);
		PERFORM update_project_dbt_source(p, s, jsonb_build_object('dbtConnection', whole(sent)));
		kept = (SELECT jsonb_object_agg(key, value)::text FROM jsonb_each(project_dbt_connection(p, s)) WHERE whole(sent || '{}') -> key IS DISTINCT FROM value);
		PERFORM set_config('dbt_sources.keyring_file', keyring, true);
	EXCEPTION WHEN invalid_parameter_value OR data_corrupted THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		ASSERT project_dbt_connection(p, s) = whole(stored), 'the row has changed';
	END;
	PERFORM delete_project_dbt_source(p, s);
	RETURN coalesce(detail, kept, '');
END $$;

-- destinations: a token stays with its host, and with what stands before it in a URL
SELECT stored ->> 'type' AS type, sent - '{type}'::text[] AS sent, after(stored, sent)
FROM (VALUES ('{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s"}'::jsonb, ARRAY['{"host_domain": "evil.example"}', '{"repository": "r2"}', '{"username": "u"}']),
	('{"type": "github", "personal_access_token": "t"}', ARRAY['{"host_domain": "evil.example"}', '{"repository": "r2"}', '{"host_domain": "evil.example", "personal_access_token": ""}',
		'{"host_domain": "evil.example", "personal_access_token": "t2"}']),
	('{"type": "bitbucket", "personal_access_token": "t", "ssh_key": "s"}', ARRAY['{"username": "collector.example/x"}', '{"username": "U"}', '{"host_domain": "evil.example"}', '{"repository": "r2"}']),
	('{"type": "azure_devops", "personal_access_token": "t"}', ARRAY['{"organization": "o2", "project": "p2", "repository": "r2"}']),
	('{"type": "dbt_cloud_ide", "api_key": "k", "webhook_hmac_secret": "w", "ssh_key": "s"}', ARRAY['{"discovery_api_endpoint": "https://evil.example"}', '{"environment_id": "2"}']),
	('{"type": "dbt", "ssh_key": "s"}', ARRAY['{"project_dir": "elsewhere"}'])) c (stored, changes),
	LATERAL (SELECT jsonb_build_object('type', stored ->> 'type') || change::jsonb AS sent FROM unnest(changes) change) s;

-- the environment stays with these, and with what decides whose code runs in it; each value that would move is named
SELECT stored ->> 'type' AS type, change, environment, after(stored || '{"environment": [{"key": "DBT_ENV_SECRET_A", "value": "a"}, {"key": "B", "value": "b", "note": "n"}]}',
	stored || change || environment)
FROM (VALUES ('{"type": "gitlab", "personal_access_token": "t"}'::jsonb, '{"host_domain": "evil.example"}'::jsonb), ('{"type": "gitlab", "personal_access_token": "t"}', '{"repository": "r2"}'),
	('{"type": "bitbucket", "personal_access_token": "t"}', '{"username": "u2"}'), ('{"type": "azure_devops", "personal_access_token": "t"}', '{"organization": "o2"}'),
	('{"type": "azure_devops", "personal_access_token": "t"}', '{"project": "p2"}'), ('{"type": "dbt"}', '{"project_dir": "elsewhere"}'), ('{"type": "dbt"}', '{"profiles_dir": "p", "target": "t"}'),
	('{"type": "github", "personal_access_token": "t"}', '{"branch": "b2", "project_sub_path": "/sub"}'), ('{"type": "none"}', '{"selector": "s"}')) c (stored, change),
	(VALUES ('{}'::jsonb), ('{"environment": []}'), ('{"environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}, {"key": "B", "value": "b2"}]}'),
	('{"environment": [{"key": "B", "value": "b2", "note": null}]}'), ('{"environment": [{"key": "DBT_ENV_SECRET_A", "value": "a2"}]}')) e (environment);
SELECT after('{"type": "dbt", "environment": []}', '{"type": "dbt", "project_dir": "elsewhere"}') AS nothing_to_keep,
	after('{"type": "dbt", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}', '{"type": "dbt", "project_dir": "elsewhere", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}') AS empty_is_no_secret;

-- equal hosts are equal however they are written; what is stored is what was sent
SELECT type, stored, sent, position('must be sent again' IN answer) = 0 AS same
FROM (VALUES ('github', NULL, ARRAY['', 'github.com', 'GitHub.com', 'github.com.', ' github.com ', 'gitlab.com', 'github.com..', '.github.com', 'https://github.com', 'github.com:443', 'github.com/x',
		'x@github.com', 'github.com@evil.example', 'github.com\evil.example', 'github.com%2eevil.example', E'github.com\t', E'git\thub.com', 'gıthub.com', 'ｇithub.com', 'github.com:', 'github.co', '.', ' ']),
	('gitlab', '', ARRAY['gitlab.com', 'GITLAB.COM.', 'github.com']),
	('bitbucket', 'bitbucket.org', ARRAY[NULL, 'Bitbucket.org', 'bitbucket.com']),
	('gitlab', 'Own.example:8443', ARRAY['own.example:8443', 'own.example.:8443', 'own.example:8444', 'own.example', NULL]),
	('gitlab', 'ÄÖ.example', ARRAY['äö.example', 'ÄÖ.example', ' ÄÖ.example', 'ÄÖ.EXAMPLE']),
	('gitlab', 'h', ARRAY['H.', 'hh']), ('gitlab', '.', ARRAY[' ', '..']), ('gitlab', '.:443', ARRAY[':443']), ('gitlab', 'A:', ARRAY['a:']), ('gitlab', 'A:x', ARRAY['a:x']),
	('gitlab', 'A/b', ARRAY['a/b']), ('gitlab', 'X@A', ARRAY['x@a']), ('gitlab', 'https://@A/b', ARRAY['https://@a/b']), ('gitlab', 'https://A?b', ARRAY['https://a?b']), ('gitlab', '://h/a', ARRAY['://h/b']),
	('gitlab', 'https://A/b', ARRAY['https://a/!c~', 'https://a.', 'https://a/b c', 'https://a/b\c', E'https://a/b\u007f', 'https://a/bä', 'https://a:443/b', 'https://b/b']),
	('gitlab', 'https://own.example', ARRAY['https://own.example/', 'HTTPS://Own.example./path', 'http://own.example', 'own.example'])) h (type, stored, hosts),
	unnest(hosts) sent,
	LATERAL (SELECT after(jsonb_build_object('type', type, 'personal_access_token', 't') || CASE WHEN stored IS NULL THEN '{}' ELSE jsonb_build_object('host_domain', stored) END,
		jsonb_build_object('type', type) || CASE WHEN sent IS NULL THEN '{}' ELSE jsonb_build_object('host_domain', sent) END) AS answer) a;
SELECT stored, sent, position('must be sent again' IN after('{"type": "dbt_cloud_ide", "api_key": "k"}' || CASE WHEN stored IS NULL THEN '{}' ELSE jsonb_build_object('discovery_api_endpoint', stored) END,
		jsonb_build_object('type', 'dbt_cloud_ide', 'discovery_api_endpoint', sent))) = 0 AS same
FROM (VALUES (NULL, ARRAY['', 'https://metadata.cloud.getdbt.com/graphql', 'https://metadata.cloud.getdbt.com', 'HTTPS://Metadata.cloud.getdbt.com./beta/graphql', ' https://metadata.cloud.getdbt.com/ ',
		'http://metadata.cloud.getdbt.com/graphql', 'https://metadata.cloud.getdbt.com:8443/graphql', 'https://x@metadata.cloud.getdbt.com/graphql', 'https://metadata.cloud.getdbt.com@evil.example/graphql',
		'https://metadata.cloud.getdbt.com\@evil.example/', 'https://metadata.cloud.getdbt.com?@evil.example/', 'https://metadata.cloud.getdbt.com#@evil.example/',
		'https://metadata.cloud.getdbt.com/\evil.example', E'https://metadata.cloud.getdbt.com/\r\nx', 'https:///metadata.cloud.getdbt.com/graphql', 'https:metadata.cloud.getdbt.com/graphql',
		'//metadata.cloud.getdbt.com/graphql', 'metadata.cloud.getdbt.com', 'https://metadata.cloud.getdbt.com.evil.example/graphql']),
	('https://own.example:1/a?b=c', ARRAY['https://own.example:1/d', 'https://own.example:1', 'https://own.example/a?b=c', 'https://own.example:1?b=c'])) h (stored, endpoints),
	unnest(endpoints) sent;

-- what isn't a text is no destination; what holds nothing goes anywhere
SELECT after('{"type": "gitlab", "personal_access_token": "t"}', '{"type": "gitlab", "host_domain": 7}') AS host, after('{"type": "bitbucket", "personal_access_token": "t"}', '{"type": "bitbucket", "username": []}') AS username,
	after('{"type": "gitlab", "personal_access_token": "t", "a": null, "b": "", "c": [], "d": [null], "e": {}, "f": 0, "g": false}', '{"type": "gitlab", "personal_access_token": "t2", "host_domain": "evil.example"}') AS unknown;

-- null removes what may be missing, and what is of no use goes
SELECT stored ->> 'type' AS type, sent - '{type}'::text[] AS sent, after(stored, sent)
FROM (VALUES ('{"type": "dbt_cloud_ide", "api_key": "k", "webhook_hmac_secret": "w"}'::jsonb, ARRAY['{"webhook_hmac_secret": null}', '{"api_key": null}', '{"webhook_hmac_secret": null, "discovery_api_endpoint": "https://evil.example"}']),
	('{"type": "gitlab", "personal_access_token": "t", "ssh_kye": "s", "x": null}', ARRAY['{"ssh_kye": null}', '{"personal_access_token": null}', '{"ssh_kye": null, "x": null, "y": null}', '{"repository": null, "host_domain": null}']),
	('{"type": "github", "personal_access_token": "t"}', ARRAY['{"personal_access_token": null}', '{"personal_access_token": null, "host_domain": "evil.example"}',
		'{"authorization_method": "installation_id", "installation_id": "1"}', '{"authorization_method": "installation_id", "installation_id": "1", "host_domain": "evil.example"}',
		'{"authorization_method": "installation_id", "installation_id": "1", "personal_access_token": "t2"}', '{"authorization_method": "installation_id", "installation_id": null}']),
	('{"type": "none", "key": "k", "value": "v"}', ARRAY['{}', '{"key": null}', '{"value": null}', '{"key": "", "value": "w"}']),
	('{"type": "none", "environment": [{"key": "DBT_ENV_SECRET_A", "value": "a", "note": "n"}]}', ARRAY['{"environment": null}', '{"environment": ""}', '{"environment": [{"key": "DBT_ENV_SECRET_A", "value": null}]}',
		'{"environment": [{"key": "DBT_ENV_SECRET_A", "note": null}]}', '{"environment": [{"key": "DBT_ENV_SECRET_A", "value": "b"}]}'])) c (stored, changes),
	LATERAL (SELECT jsonb_build_object('type', stored ->> 'type') || change::jsonb AS sent FROM unnest(changes) change) s;
-- which is for updates: a connection that is created or validated is what it is
SELECT * FROM validate_dbt_connection('{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1", "webhook_hmac_secret": null, "x": null}');
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1", "webhook_hmac_secret": null}}');

-- read and sent back, what is empty is still there; but what is to be kept must exist
SELECT stored ->> 'type' AS type, sent - '{type}'::text[] AS sent, after(stored, sent)
FROM (VALUES ('{"type": "gitlab", "personal_access_token": "", "note": ""}'::jsonb, ARRAY['{}', '{"personal_access_token": "", "note": ""}']),
	('{"type": "dbt", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}, {"key": "DBT_ENV_SECRET_B", "value": "b"}]}', ARRAY['{}',
		'{"environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}, {"key": "DBT_ENV_SECRET_B", "value": ""}]}', '{"environment": [{"key": "DBT_ENV_SECRET_NEW", "value": ""}]}',
		'{"environment": [{"key": "DBT_ENV_SECRET_NEW"}]}', '{"environment": [{"key": "DBT_ENV_SECRET_B", "value": ""}, {"key": "DBT_ENV_SECRET_B", "value": ""}]}', '{"environment": [{"key": "A", "value": ""}]}']),
	('{"type": "none"}', ARRAY['{"environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}'])) c (stored, changes),
	LATERAL (SELECT jsonb_build_object('type', stored ->> 'type') || change::jsonb AS sent FROM unnest(changes) change) s;

-- each variable finds its own, however both environments are ordered
SELECT count(*) AS orders, count(*) FILTER (WHERE after(jsonb_build_object('type', 'none', 'environment', stored), jsonb_build_object('type', 'none', 'environment', sent))::jsonb = jsonb_build_object('environment', kept)) AS kept
FROM generate_series(1, 50) i, LATERAL (SELECT jsonb_agg(jsonb_build_object('key', name, 'value', name) ORDER BY md5(name || i)) AS stored,
	jsonb_agg(jsonb_build_object('key', name, 'value', '') ORDER BY md5(i || name)) AS sent, jsonb_agg(jsonb_build_object('key', name, 'value', name) ORDER BY md5(i || name)) AS kept
	FROM unnest('{DBT_ENV_SECRET,DBT_ENV_SECRETA,DBT_ENV_SECRET_A,DBT_ENV_SECRET_AB,DBT_ENV_SECRET_B,DBT_ENV_SECRET_BCD}'::text[]) name) e;

-- another type carries nothing over
SELECT after('{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s", "environment": [{"key": "DBT_ENV_SECRET_A", "value": "a"}]}', '{"type": "bitbucket"}') AS other,
	after('{"type": "gitlab", "personal_access_token": "t", "environment": [{"key": "DBT_ENV_SECRET_A", "value": "a"}]}', '{"type": "none", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}') AS variable,
	after('{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s", "environment": [{"key": "DBT_ENV_SECRET_A", "value": "a"}]}', '{"type": "none"}') AS nothing;

-- what can't be read isn't overwritten by halves, but by a whole, or another type
SELECT stored - '{type}'::text[] AS stored, change, after(stored, stored || change, true)
FROM (VALUES ('{"type": "github", "personal_access_token": "t"}'::jsonb, ARRAY['{"personal_access_token": "t2"}', '{"personal_access_token": null}', '{"personal_access_token": ""}',
		'{"authorization_method": "installation_id", "installation_id": "1", "personal_access_token": ""}', '{"personal_access_token": "", "branch": 7}', '{"type": "none"}', '{"type": "svn"}', '{"type": "gitlab"}']),
	('{"type": "github", "personal_access_token": "t", "environment": [{"key": "A", "value": "a"}]}', ARRAY['{"environment": []}', '{"environment": [{"key": "A", "value": "b"}]}',
		'{"environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}', '{"environment": [{"key": "DBT_ENV_SECRET_A", "value": "s"}]}', '{"environment": [], "personal_access_token": ""}']),
	('{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s"}', ARRAY['{}', '{"ssh_key": null}', '{"type": "dbt"}']),
	('{"type": "dbt_cloud_ide", "api_key": "k"}', ARRAY['{}', '{"webhook_hmac_secret": null}', '{"webhook_hmac_secret": "w"}'])) c (stored, changes), LATERAL (SELECT change::jsonb AS change FROM unnest(changes) change) s;
SELECT after('{"type": "github", "personal_access_token": "t", "environment": [{"key": "A", "value": "a"}]}', '{"type": "github", "personal_access_token": "t"}', true) AS environment_left_out,
	after('{"type": "github", "personal_access_token": "t"}', '{"type": "github"}', true) AS token_left_out;
SELECT create_project_dbt_source(:p, '{"name": "half", "dbtConnection": {"type": "dbt", "environment": []}}') ->> 'projectDbtSourceUuid' AS half \gset
SET dbt_sources.keyring_file = :'another';
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "personal_access_token": "t", "repository": "r", "branch": "b", "project_sub_path": "/"}');
SELECT status, body #>> '{error,name}' AS name FROM http_request('PATCH', format('/api/v1/projects/%s/dbt-sources/%s', :p, :'half'), '{"dbtConnection": {"type": "dbt"}}');
\set VERBOSITY sqlstate
SELECT update_project_dbt_source(:p, :'half', '{"dbtConnection": {"type": "dbt"}}');
SET dbt_sources.keyring_file = :'missing';
SELECT update_project_dbt_source(:p, :'half', '{"dbtConnection": {"type": "dbt"}}');
SELECT update_project_dbt_source(:p, :'half', '{"dbtConnection": {"type": "dbt", "environment": []}}');
\set VERBOSITY default
RESET dbt_sources.keyring_file;
SELECT project_dbt_connection(:p, :'half');
-- what no keyring can bring back, a whole heals
UPDATE project_dbt_sources SET dbt_connection = 'broken' WHERE project_dbt_source_uuid = :'half';
\set VERBOSITY sqlstate
SELECT update_project_dbt_source(:p, :'half', '{"dbtConnection": {"type": "dbt", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}]}}');
\set VERBOSITY default
SELECT update_project_dbt_source(:p, :'half', '{"dbtConnection": {"type": "dbt"}}') -> 'hasCredentialError' AS error;

-- a ciphertext works in its own row only, and the primary source never reports an error
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS a \gset
UPDATE project_dbt_sources SET dbt_connection = (SELECT dbt_connection FROM project_dbt_sources WHERE is_primary) WHERE NOT is_primary;
SELECT e ->> 'name' AS name, e -> 'type' AS type, e -> 'hasCredentialError' AS error
FROM jsonb_array_elements(list_project_dbt_sources(:p)) e;
\set VERBOSITY sqlstate
SELECT get_project_dbt_source(:p, :'a');
SELECT project_dbt_connection(:p, :'a');
\set VERBOSITY default
SELECT update_project_dbt_source(:p, :'a', '{"name": "b"}') -> 'hasCredentialError' AS error;
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/"}}');
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "dbt"}}') -> 'hasCredentialError' AS healed;

-- only who may manage is shown the environment, and nobody where that can't be asked
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "dbt", "environment": [{"key": "SNOWFLAKE_PASSWORD", "value": "sesame"}]}}') ->> 'type' AS type;
CREATE ROLE regress_secrets;
GRANT SELECT ON projects TO regress_secrets;
SET ROLE regress_secrets;
SELECT get_project_dbt_source(:p, :'a') -> 'dbtConnection' AS viewer;
RESET ROLE;
GRANT UPDATE (name) ON projects TO regress_secrets;
SET ROLE regress_secrets;
SELECT get_project_dbt_source(:p, :'a') -> 'dbtConnection' AS manager;
SELECT body #> '{results,dbtConnection}' AS manager FROM http_request('GET', format('/api/v1/projects/%s/dbt-sources/%s', :p, :'a'));
RESET ROLE;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON projects FOR SELECT USING (true);
SET ROLE regress_secrets;
SELECT get_project_dbt_source(:p, :'a') -> 'dbtConnection' AS sees_the_row_only;
RESET ROLE;
ALTER TABLE projects DISABLE ROW LEVEL SECURITY;
DROP POLICY see ON projects;
BEGIN READ ONLY;
SELECT get_project_dbt_source(:p, :'a') -> 'dbtConnection' AS read_only;
COMMIT;
-- the lock is for those who are shown something
BEGIN;
SELECT get_project_dbt_source(:p, :p) -> 'dbtConnection' AS primary;
SELECT count(*) AS locks FROM pg_locks WHERE relation = 'projects'::regclass AND mode = 'RowShareLock';
SELECT get_project_dbt_source(:p, :'a') ->> 'name' AS name;
SELECT count(*) AS locks FROM pg_locks WHERE relation = 'projects'::regclass AND mode = 'RowShareLock';
COMMIT;
REVOKE ALL ON projects FROM regress_secrets;
DROP ROLE regress_secrets;

-- A connection encrypted without us, to have any header: the active key is the first of the keyring file.
CREATE FUNCTION base64url(b bytea) RETURNS text LANGUAGE sql AS $$ SELECT translate(encode(b, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION from_base64url(t text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(rpad(translate(t, '-_', '+/'), (length(t) + 3) / 4 * 4, '='), 'base64') $$;
CREATE FUNCTION seal(header text, plaintext text) RETURNS text LANGUAGE sql AS $$
	SELECT header || '..' || base64url(iv) || '.' || base64url(ciphertext) || '.' ||
		base64url(substr(hmac(header::bytea || iv || ciphertext || int8send(length(header) * 8), substr(key, 1, 32), 'sha512'), 1, 32))
	FROM from_base64url(pg_read_file(current_setting('dbt_sources.keyring_file'))::jsonb #>> '{keys,0,k}') key, gen_random_bytes(16) iv,
		encrypt_iv(convert_to(plaintext, 'UTF8'), substr(key, 33), iv, 'aes') ciphertext $$;
CREATE FUNCTION header(envelope text) RETURNS text LANGUAGE sql AS $$ SELECT convert_from(from_base64url(split_part(envelope, '.', 1)), 'UTF8') $$;
CREATE FUNCTION opened(envelope text) RETURNS text LANGUAGE sql AS $$
	SELECT convert_from(decrypt_iv(from_base64url(split_part(envelope, '.', 4)), substr(from_base64url(key ->> 'k'), 33), from_base64url(split_part(envelope, '.', 3)), 'aes'), 'UTF8')
	FROM jsonb_array_elements(pg_read_file(current_setting('dbt_sources.keyring_file'))::jsonb -> 'keys') key WHERE key ->> 'kid' = header(envelope)::jsonb ->> 'kid' $$;

-- a variable that is refused today, but was stored before: whoever runs dbt doesn't get it
UPDATE project_dbt_sources SET dbt_connection = seal(split_part(dbt_connection, '.', 1), '{"type": "dbt", "environment": [{"key": "LD_PRELOAD", "value": "sesame"}, {"key": "A", "value": "a"},
	{"key": "PATH", "value": "sesame"}, {"key": "no\nname", "value": "sesame"}, {"key": "DBT_ENV_SECRET_A", "value": "s"}]}') WHERE project_dbt_source_uuid = :'a';
SELECT project_dbt_connection(:p, :'a');
SELECT get_project_dbt_source(:p, :'a') -> 'dbtConnection' AS still_stored;
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "dbt", "target": "t"}}') ->> 'type' AS can_be_kept;
SELECT update_project_dbt_source(:p, :'a', jsonb_build_object('dbtConnection', get_project_dbt_source(:p, :'a') -> 'dbtConnection'));
\set VERBOSITY terse
SELECT project_dbt_connection(:p, :'a');
-- up to ten of them are named, and a name is quoted where that is needed
CREATE FUNCTION store_unseen(environment jsonb) RETURNS void LANGUAGE sql AS $$ UPDATE project_dbt_sources
	SET dbt_connection = seal(split_part(dbt_connection, '.', 1), jsonb_build_object('type', 'dbt', 'environment', environment)::text) WHERE name = 'b' $$;
CREATE FUNCTION variables(VARIADIC names text[]) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(jsonb_build_object('key', name, 'value', 'v')) FROM unnest(names) name $$;
SELECT store_unseen(variables('A', 'a"b\c')) AS stored \gset
SELECT project_dbt_connection(:p, :'a');
SELECT store_unseen(variables(VARIADIC array_agg('LD_' || i))) AS stored FROM generate_series(1, 10) i \gset
SELECT project_dbt_connection(:p, :'a');
SELECT store_unseen(variables(VARIADIC array_agg('LD_' || i))) AS stored FROM generate_series(1, 11) i \gset
SELECT project_dbt_connection(:p, :'a');
\set VERBOSITY default
-- a view shows no more of an environment that couldn't be stored today than its variables
SELECT store_unseen('["text", ["text"], {"key": 1, "value": "one"}, {"key": "A"}, {"value": "none"}, {"key": "B", "value": 2}, {"key": "C", "value": "c", "note": "n"}]') AS stored \gset
SELECT get_project_dbt_source(:p, :'a') #> '{dbtConnection,environment}' AS shown;
-- but whoever runs dbt gets what is stored, less what is refused; and an update keeps it, as a whole or a variable of it
CREATE FUNCTION unseen(environment jsonb, OUT shown jsonb, OUT handed_out jsonb, OUT kept boolean, OUT sent text) LANGUAGE plpgsql AS $$
DECLARE
	p CONSTANT uuid = '11111111-1111-4111-8111-111111111111';
	s CONSTANT uuid = project_dbt_source_uuid FROM project_dbt_sources WHERE name = 'b';
BEGIN
	PERFORM store_unseen(environment);
	shown = get_project_dbt_source(p, s) -> 'dbtConnection';
	handed_out = project_dbt_connection(p, s) -> 'environment';
	PERFORM update_project_dbt_source(p, s, '{"dbtConnection": {"type": "dbt", "target": "t"}}');
	kept = opened(dbt_connection)::jsonb = jsonb_build_object('type', 'dbt', 'target', 't', 'environment', environment) FROM project_dbt_sources WHERE name = 'b';
	PERFORM update_project_dbt_source(p, s, '{"dbtConnection": {"type": "dbt", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ""}, {"key": "A", "value": "", "note": ""}]}}');
	sent = project_dbt_connection(p, s) -> 'environment';
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS sent = PG_EXCEPTION_DETAIL;
END $$;
SELECT environment, u.* FROM unnest(ARRAY['"text"', '7', 'null', 'false', '{}', '{"A": {"key": "DBT_ENV_SECRET_A", "value": "s"}}', '[]', '[7, {}, [], {"key": "LD_A"}, {"key": "DBT_ENV_SECRET_A", "note": "n"}]',
	'["LD_A", [{"key": "LD_A"}], {"key": ["LD_A"]}, {"key": "A", "value": 7, "note": 8}, {"key": "DBT_ENV_SECRET_A", "value": "s"}]']::jsonb[]) WITH ORDINALITY e (environment, n), unseen(environment) u ORDER BY n;
DROP FUNCTION store_unseen, unseen, variables;
-- a header of another's counts for the key that it names
SELECT connections FROM encryption_keys() WHERE active;
UPDATE project_dbt_sources SET dbt_connection = seal(base64url(convert_to(format('{"sub": "%s", "kid": "%s", "enc": "A256CBC-HS512", "alg": "dir"}',
	header(dbt_connection)::jsonb ->> 'sub', header(dbt_connection)::jsonb ->> 'kid'), 'UTF8')), '{"type": "dbt"}') WHERE project_dbt_source_uuid = :'a';
SELECT header(dbt_connection) ~ '^\{"alg":"dir","enc":"A256CBC-HS512","kid"' AS ours FROM project_dbt_sources WHERE project_dbt_source_uuid = :'a';
SELECT connections FROM encryption_keys() WHERE active;
SELECT project_dbt_connection(:p, :'a');
-- as long as a header may be: what it doesn't say is kept
UPDATE project_dbt_sources SET dbt_connection = seal(base64url(convert_to(rpad(format('{"sub": "%s", "kid": "%s", "enc": "A256CBC-HS512", "alg": "dir", "x": "',
	header(dbt_connection)::jsonb ->> 'sub', header(dbt_connection)::jsonb ->> 'kid'), 3070, 'x') || '"}', 'UTF8')), '{"type": "dbt", "note": "kept"}') WHERE project_dbt_source_uuid = :'a';
SELECT length(split_part(dbt_connection, '.', 1)) AS length FROM project_dbt_sources WHERE project_dbt_source_uuid = :'a';
SELECT connections FROM encryption_keys() WHERE active;
SELECT project_dbt_connection(:p, :'a');
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "dbt", "target": "t"}}') ->> 'type' AS type;
SELECT project_dbt_connection(:p, :'a');

-- Whether the stored connection is looked at depends on what its header says, and on the key that it was encrypted
-- with; each stored connection with each sent one comes to the same, and so it does by each of the functions.
CREATE TABLE connections (n integer PRIMARY KEY, connection jsonb);
INSERT INTO connections SELECT row_number() OVER (), whole(c::jsonb)
FROM unnest(ARRAY['{"type": "gitlab", "personal_access_token": "t1"}', '{"type": "gitlab", "personal_access_token": "t2"}',
	'{"type": "gitlab"}', '{"type": "gitlab", "personal_access_token": ""}', '{"type": "gitlab", "personal_access_token": null}',
	'{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s"}', '{"type": "gitlab", "personal_access_token": "t", "ssh_key": ""}',
	'{"type": "gitlab", "personal_access_token": "t", "ssh_key": null}', '{"type": "gitlab", "host_domain": "GitLab.com"}',
	'{"type": "gitlab", "personal_access_token": "t", "host_domain": "h"}', '{"type": "gitlab", "personal_access_token": "t", "branch": 1}',
	'{"type": "gitlab", "personal_access_token": "t", "repository": "r2"}', '{"type": "bitbucket", "personal_access_token": "t"}', '{"type": "bitbucket", "username": "u2"}',
	'{"type": "github", "personal_access_token": "t"}', '{"type": "github"}', '{"type": "github", "personal_access_token": null}',
	'{"type": "github", "authorization_method": "installation_id", "installation_id": "1"}',
	'{"type": "github", "authorization_method": "installation_id", "installation_id": "1", "personal_access_token": "t"}',
	'{"type": "dbt_cloud_ide", "api_key": "k"}', '{"type": "dbt_cloud_ide", "api_key": "k", "webhook_hmac_secret": "w"}',
	'{"type": "dbt_cloud_ide", "api_key": "k", "webhook_hmac_secret": null}', '{"type": "none"}', '{"type": "none", "environment": []}', '{"type": "svn"}', '7']
	|| ARRAY(SELECT format('{"type": "gitlab", "personal_access_token": "t", "environment": %s}', e)
		FROM unnest(ARRAY['[]', '{}', '"text"', '["text"]', 'null', '[{"key": "DBT_ENV_SECRET_A", "value": "a"}]', '[{"key": "DBT_ENV_SECRET_A", "value": "b"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": ""}]', '[{"key": "DBT_ENV_SECRET_A"}]', '[{"key": "A", "value": "a"}]', '[{"key": "A", "value": ""}]',
		'[{"key": "A", "value": "a", "note": "n"}]', '[{"key": "A", "value": "a", "note": null}]', '[{"key": "DBT_ENV_SECRET_A", "value": "a", "note": "n"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": "a"}, {"key": "DBT_ENV_SECRET_A", "value": "b"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": "c"}, {"key": "DBT_ENV_SECRET_A", "value": ""}]']) e)) c;
-- what the header doesn't say, as 0.2.0 wrote it, or jose
CREATE TABLE ways (way text PRIMARY KEY, less text);
INSERT INTO ways VALUES ('update', ''), ('set', ''), ('http', ''), ('update, older key', ''), ('set, older key', ''), ('http, older key', ''),
	('update, header of 0.2.0', ',"environment":false'), ('update, bare header', ',"(known|environment)":(true|false)');
CREATE TABLE pairs AS SELECT way, stored.n AS stored, sent.n AS sent, gen_random_uuid() AS project, NULL::uuid AS source, NULL::text AS answer, NULL::jsonb AS result
FROM connections stored, connections sent, ways WHERE NOT EXISTS (SELECT FROM validate_dbt_connection(stored.connection))
	AND (stored.connection -> 'type' = sent.connection -> 'type' OR (stored.n + sent.n) % 7 = 0);
CREATE FUNCTION change(way text, project uuid, source uuid, connection integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c CONSTANT jsonb = connections.connection FROM connections WHERE n = change.connection;
	detail text;
	response record;
BEGIN
	IF way LIKE 'set%' THEN
		RETURN set_project_dbt_connection(project, c) - '{projectDbtSourceUuid,name,isPrimary,precedence}'::text[];
	ELSIF way LIKE 'update%' THEN
		RETURN update_project_dbt_source(project, source, jsonb_build_object('dbtConnection', c)) - '{projectDbtSourceUuid,name,isPrimary,precedence}'::text[];
	END IF;
	SELECT * INTO response FROM http_request('PATCH', format('/api/v1/projects/%s/dbt-sources/%s', project, source), jsonb_build_object('dbtConnection', c)::text);
	RETURN coalesce(((response.body -> 'results') - '{projectDbtSourceUuid,name,isPrimary,precedence}'::text[])::text,
		(SELECT string_agg(format('%s: %s', p ->> 'path', p ->> 'message'), E'\n' ORDER BY n) FROM jsonb_array_elements(response.body #> '{error,data}') WITH ORDINALITY e (p, n)));
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
INSERT INTO projects (project_uuid, name) SELECT project, 'pair' FROM pairs;
UPDATE pairs SET source = CASE WHEN way LIKE 'set%' THEN project ELSE (create_project_dbt_source(project, jsonb_build_object('name', 'pair', 'dbtConnection', connection)) ->> 'projectDbtSourceUuid')::uuid END
FROM connections WHERE n = stored;
UPDATE pairs SET answer = change(way, project, source, stored) WHERE way LIKE 'set%';
-- create takes nulls and empty variables, which an update has to do without
DELETE FROM pairs USING connections WHERE way LIKE 'set%' AND n = stored AND project_dbt_connection(project, source) IS DISTINCT FROM connection;
UPDATE project_dbt_sources s SET dbt_connection = seal(base64url(convert_to(regexp_replace(header(dbt_connection), less, '', 'g'), 'UTF8')), connection::text)
FROM pairs JOIN ways USING (way) JOIN connections ON n = stored WHERE s.project_uuid = project AND NOT is_primary AND less <> '';
SELECT way, count(*) AS stored, count(*) FILTER (WHERE says ->> 'known' = 'true') AS known, count(*) FILTER (WHERE says ->> 'environment' = 'false') AS without_environment
FROM pairs JOIN project_dbt_sources s ON s.project_uuid = project AND project_dbt_source_uuid = source, LATERAL (SELECT header(dbt_connection)::jsonb AS says) h GROUP BY way ORDER BY way;
UPDATE pairs SET answer = change(way, project, source, sent) WHERE way NOT LIKE '%older key%';
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
UPDATE pairs SET answer = change(way, project, source, sent) WHERE way LIKE '%older key%';
UPDATE pairs SET result = project_dbt_connection(project, source);
SELECT count(*) AS pairs, sum(ways) AS changes, count(*) FILTER (WHERE answers = 1) AS same_answers, count(*) FILTER (WHERE results = 1) AS same_results, count(*) FILTER (WHERE changed) AS changed
FROM (SELECT count(*) AS ways, count(DISTINCT answer) AS answers, count(DISTINCT result) AS results, bool_and(answer LIKE '{%') AS changed FROM pairs GROUP BY stored, sent) p;
SELECT stored, sent, string_agg(way, '; '), answer, result FROM pairs p
WHERE EXISTS (SELECT FROM pairs q WHERE q.stored = p.stored AND q.sent = p.sent AND (q.answer, q.result) IS DISTINCT FROM (p.answer, p.result))
GROUP BY stored, sent, answer, result ORDER BY stored, sent;
-- an unknown property is kept, whether all secrets are sent or none
SELECT count(*) AS kept, count(*) FILTER (WHERE result ->> 'ssh_key' = 's') AS with_key
FROM pairs WHERE stored = 6 AND sent IN (1, 2, 3, 4);
-- what we print of known properties is the text that jsonb has, with every character as jsonb writes it
SELECT count(*) AS known, count(*) FILTER (WHERE opened(dbt_connection) = result::text) AS same
FROM pairs JOIN project_dbt_sources s ON s.project_uuid = project AND project_dbt_source_uuid = source
WHERE way = 'update' AND answer LIKE '{%' AND header(dbt_connection)::jsonb ->> 'known' = 'true';
SELECT set_project_dbt_connection(:p, jsonb_build_object('type', 'dbt', 'target', string_agg(chr(c), '' ORDER BY c), 'selector', '"\', 'project_dir', '')) -> 'type' AS type FROM generate_series(1, 1000) c;
SELECT opened(dbt_connection) = project_dbt_connection(:p, :p)::text AS same FROM project_dbt_sources WHERE project_uuid = :p AND is_primary;
-- what the header says is so
SELECT count(*) AS connections, count(*) FILTER (WHERE says ->> 'known' = 'true') AS known, count(*) FILTER (WHERE says ->> 'environment' = 'false') AS without_environment,
	count(*) FILTER (WHERE (says ->> 'environment' IS NOT DISTINCT FROM 'false') = (result ? 'environment') OR (says ->> 'known' IS NOT DISTINCT FROM 'true') = (result::text ~ 'ssh_key|note')) AS wrong
FROM (SELECT header(dbt_connection)::jsonb AS says, result FROM pairs JOIN project_dbt_sources s ON s.project_uuid = project AND project_dbt_source_uuid = source WHERE answer LIKE '{%') h;
DROP FUNCTION change, seal, opened, header, base64url, from_base64url, after, whole;
DROP TABLE pairs, ways, connections;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
