-- what a view withholds an update keeps; a secret stays with its host
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');

-- every withheld thing at once
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "personal_access_token": "sesame-1", "repository": "r",
	"branch": "b", "project_sub_path": "/", "ssh_key": "sesame-2", "nested": {"deep": ["sesame-3"]},
	"environment": [{"key": "DBT_ENV_SECRET_A", "value": "sesame-4"}, {"key": "DBT_ENV_SECRETB", "value": "sesame-5"},
		{"key": "DBT_ENV", "value": "shown", "note": "sesame-6"}, {"key": "DBT_ENV_SECRET_A", "value": "sesame-7"}]}') ->> 'type' AS type;
SELECT get_project_dbt_source(:p, :p) -> 'dbtConnection' AS view;
SELECT get_project_dbt_source(:p, :p)::text ~ 'sesame' OR list_project_dbt_sources(:p)::text ~ 'sesame' AS leaked;

-- reading, changing one field and sending it back loses nothing
SELECT project_dbt_connection(:p, :p) AS before \gset
SELECT set_project_dbt_connection(:p, get_project_dbt_source(:p, :p) -> 'dbtConnection' || '{"branch": "develop"}') ->> 'branch' AS branch;
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

-- another host: nothing is carried over, and each missing value is named
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "host_domain": "evil.example", "repository": "r", "branch": "b", "project_sub_path": "/"}');
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "host_domain": "own.example", "repository": "r", "branch": "b",
	"project_sub_path": "/", "personal_access_token": "t2", "ssh_key": null, "nested": {}}') ->> 'type' AS type;
SELECT project_dbt_connection(:p, :p);
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/"}');
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "host_domain": "OWN.example", "repository": "r", "branch": "b", "project_sub_path": "/"}');
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "host_domain": "own.example", "repository": "r2", "branch": "b", "project_sub_path": "/"}') ->> 'repository' AS same_host;

-- dbt Cloud: both secrets, and its own host field
SELECT set_project_dbt_connection(:p, '{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1", "webhook_hmac_secret": "sesame"}') ->> 'type' AS type;
SELECT get_project_dbt_source(:p, :p) -> 'dbtConnection' AS view;
SELECT set_project_dbt_connection(:p, '{"type": "dbt_cloud_ide", "environment_id": "2", "discovery_api_endpoint": ""}') ->> 'type' AS empty_is_none;
SELECT project_dbt_connection(:p, :p);
SELECT set_project_dbt_connection(:p, '{"type": "dbt_cloud_ide", "environment_id": "2", "discovery_api_endpoint": "https://evil.example"}');

-- another type carries nothing over
SELECT set_project_dbt_connection(:p, '{"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/"}');
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
SELECT project_dbt_connection(:p, :p);

-- a ciphertext works in its own row only, and the primary source never reports an error
SELECT create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS a \gset
UPDATE project_dbt_sources SET dbt_connection = (SELECT dbt_connection FROM project_dbt_sources WHERE is_primary);
SELECT e ->> 'name' AS name, e -> 'type' AS type, e -> 'hasCredentialError' AS error
FROM jsonb_array_elements(list_project_dbt_sources(:p)) e;
\set VERBOSITY sqlstate
SELECT get_project_dbt_source(:p, :'a');
SELECT project_dbt_connection(:p, :'a');
\set VERBOSITY default
SELECT update_project_dbt_source(:p, :'a', '{"name": "b"}') -> 'hasCredentialError' AS error;
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/"}}');
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "dbt"}}') -> 'hasCredentialError' AS healed;

-- an update that sends every secret may not look at the stored connection, unless that was encrypted with an older
-- key; each stored connection with each sent one comes to the same
CREATE TABLE connections (n integer PRIMARY KEY, connection jsonb);
INSERT INTO connections SELECT row_number() OVER (),
	CASE WHEN c LIKE '%git%' THEN '{"repository": "r", "branch": "b", "project_sub_path": "/"}' ELSE '{}' END::jsonb || c::jsonb
FROM unnest(ARRAY['{"type": "gitlab", "personal_access_token": "t1"}', '{"type": "gitlab", "personal_access_token": "t2"}',
	'{"type": "gitlab"}', '{"type": "gitlab", "personal_access_token": ""}', '{"type": "gitlab", "personal_access_token": null}',
	'{"type": "gitlab", "personal_access_token": "t", "ssh_key": "s"}', '{"type": "gitlab", "personal_access_token": "t", "ssh_key": ""}',
	'{"type": "gitlab", "personal_access_token": "t", "host_domain": "h"}', '{"type": "gitlab", "personal_access_token": "t", "branch": 1}',
	'{"type": "github", "authorization_method": "personal_access_token", "personal_access_token": "t"}',
	'{"type": "github", "authorization_method": "installation_id", "installation_id": "1"}',
	'{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1"}', '{"type": "none", "environment": []}',
	'{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1", "webhook_hmac_secret": "w"}']
	|| ARRAY(SELECT format('{"type": "gitlab", "personal_access_token": "t", "environment": %s}', e)
		FROM unnest(ARRAY['[]', '{}', '"text"', '["text"]', '[{"key": "DBT_ENV_SECRET_A", "value": "a"}]', '[{"key": "DBT_ENV_SECRET_A", "value": "b"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": ""}]', '[{"key": "DBT_ENV_SECRET_A"}]', '[{"key": "A", "value": "a"}]', '[{"key": "A", "value": ""}]',
		'[{"key": "A", "value": "a", "note": "n"}]', '[{"key": "DBT_ENV_SECRET_A", "value": "a", "note": "n"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": "a"}, {"key": "DBT_ENV_SECRET_A", "value": "b"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": "c"}, {"key": "DBT_ENV_SECRET_A", "value": ""}]']) e)) c;
CREATE TABLE pairs AS SELECT way, stored.n AS stored, sent.n AS sent, gen_random_uuid() AS project, NULL::text AS answer
FROM connections stored, connections sent, unnest(ARRAY['same key', 'older key']) way;
CREATE FUNCTION change(project uuid, connection integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN set_project_dbt_connection(project, c.connection) - 'projectDbtSourceUuid' FROM connections c WHERE n = change.connection;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
INSERT INTO projects (project_uuid, name) SELECT project, 'pair' FROM pairs;
SELECT count(change(project, stored)) FROM pairs;
UPDATE pairs SET answer = change(project, sent) WHERE way = 'same key';
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
UPDATE pairs SET answer = change(project, sent) WHERE way = 'older key';
SELECT count(*) AS pairs, count(*) FILTER (WHERE answers = 1) AS same_answers, count(*) FILTER (WHERE connections = 1) AS same_connections
FROM (SELECT count(DISTINCT answer) AS answers, count(DISTINCT coalesce(project_dbt_connection(project, project)::text, '')) AS connections
	FROM pairs GROUP BY stored, sent) p;
-- an unknown property is kept, whether all secrets are sent or none
SELECT count(*) AS kept, count(*) FILTER (WHERE project_dbt_connection(project, project) ->> 'ssh_key' = 's') AS with_key
FROM pairs WHERE stored = 6 AND sent IN (1, 2, 3, 4);
SELECT count(*) AS stored, count(*) FILTER (WHERE header LIKE '%"known":true}') AS known
FROM pairs, project_dbt_sources s, convert_from(decode(rpad(translate(split_part(dbt_connection, '.', 1), '-_', '+/'),
	(length(split_part(dbt_connection, '.', 1)) + 3) / 4 * 4, '='), 'base64'), 'UTF8') header
WHERE s.project_uuid = project AND stored = sent;
DROP FUNCTION change;
DROP TABLE pairs, connections;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
