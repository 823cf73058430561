-- the HTTP API, as http_request() answers it
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
\set unknown '''44444444-4444-4444-8444-444444444444'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');
SELECT '/api/v1/projects/' || :p || '/dbt-sources' AS sources \gset

-- the five operations
SELECT status, body #- '{results,projectDbtSourceUuid}' AS body, body #>> '{results,projectDbtSourceUuid}' AS uuid
FROM http_request('POST', :'sources', '{"name": "a", "dbtConnection": {"type": "gitlab", "personal_access_token": "sesame",
	"repository": "r", "branch": "b", "project_sub_path": "/"}}') \gset a_
SELECT :a_status AS status, :'a_body' AS body;
SELECT :'sources' || '/' || :'a_uuid' AS source \gset
SELECT status, body FROM http_request('PATCH', :'sources' || '/' || upper(:'a_uuid') || '?x=/y', '{"name": "b"}') \gset b_
SELECT :b_status AS status, :'b_body'::jsonb #- '{results,projectDbtSourceUuid}' AS body;
SELECT status, jsonb_path_query_array(body, '$.results[*].name') AS names FROM http_request('GET', :'sources');
SELECT status, body #- '{results,projectDbtSourceUuid}' AS body FROM http_request('GET', :'source');
SELECT status, body #- '{results,projectDbtSourceUuid}' AS body FROM http_request('HEAD', :'source', 'ignored');
SELECT status, body FROM http_request('DELETE', :'source');
SELECT status, body FROM http_request('DELETE', :'source');

-- routes
SELECT path, status, body #>> '{error,name}' AS name, body #> '{error,data}' AS data FROM unnest(ARRAY[
	'', '/', '/api/v1/projects', '/api/v1/projects/', '/api/v1/projects/' || :p, :'sources' || '/', :'sources' || 'x', :'sources' || '#',
	:'sources' || '/' || :p || '/', '/api/v2/projects/' || :p || '/dbt-sources', 'http://x' || :'sources',
	'/api/v1/projects/x/dbt-sources', '/api/v1/projects//dbt-sources/', '/api/v1/projects/' || :p || 'f/dbt-sources',
	'/api/v1/projects/11111111-1111-1111-8111-111111111111/dbt-sources', '/api/v1/projects/11111111-1111-4111-c111-111111111111/dbt-sources',
	'/api/v1/projects/11111111111141118111111111111111/dbt-sources', '/api/v1/projects/{11111111-1111-4111-8111-11111111111}/dbt-sources',
	'/api/v1/projects/%31111111-1111-4111-8111-111111111111/dbt-sources', :'sources' || '/' || E'\u00e9',
	replace(:'sources', '-', '%2D') || '/?x=1', replace(:'sources', '-', '%2d') || '/' || replace(:p, '-', '%2D') || '/', :'sources' || '//', :'sources' || '/' || :p || '//',
	'/api/v1%2Fprojects/' || :p || '/dbt-sources', :'sources' || '%00', :'sources' || '%', :'sources' || '%2', :'sources' || '%3f']) WITH ORDINALITY AS t (path, n),
	http_request('GET', path) ORDER BY n;
SELECT method, status, body #>> '{error,name}' AS name, headers
FROM unnest(ARRAY['PUT', 'PATCH', 'DELETE', 'get', 'OPTIONS', '']) WITH ORDINALITY AS t (method, n), http_request(method, :'sources', '{}') ORDER BY n;
SELECT status, headers FROM http_request('POST', '/api/v1/projects/x/dbt-sources/y', '{}');

-- headers
SELECT sent, status, body #>> '{error,name}' AS name, body #>> '{error,message}' AS message FROM unnest(ARRAY[NULL, '{}',
	'{"content-type": "application/json"}', '{"Content-Type": " APPLICATION/JSON ; charset=utf-8"}', '{"content-type": "application/merge-patch+json"}',
	'{"content-type": "application/octet-stream"}', '{"content-type": ""}', '{"content-type": "application/x-www-form-urlencoded"}',
	'{"content-type": "text/plain; x=application/json"}', '{"content-type": "application/jsonp"}', '{"content-type": "+json"}', '{"content-type": "application/json, text/html"}',
	'{"content-type": "multipart/form-data; boundary=x"}', '{"content-encoding": "gzip"}', '{"content-encoding": "Identity"}', '{"content-encoding": "identity, br"}']::jsonb[])
	WITH ORDINALITY AS t (sent, n), http_request('PATCH', :'sources' || '/' || :p, '{}', sent) ORDER BY n;
SELECT method, status FROM unnest(ARRAY['GET', 'DELETE']) AS method, http_request(method, :'sources' || '/' || :unknown, '{}', '{"content-type": "text/html", "content-encoding": "gzip"}');
SELECT sent, (http_request('GET', :'sources', NULL, sent)).status FROM unnest(ARRAY['{"x": "y"}', '{"if-match": 3}']::jsonb[]) AS sent;
SELECT http_request('GET', :'sources', NULL, '[]');
SELECT http_request('GET', :'sources', NULL, 'null');

-- versions: of what is returned, and what If-Match may ask for
SELECT status, headers ->> 'ETag' AS etag FROM http_request('GET', :'sources');
SELECT status, headers ->> 'ETag' AS etag FROM http_request('GET', :'sources' || '/' || :p);
SELECT status, headers ->> 'ETag' AS etag FROM http_request('PATCH', :'sources' || '/' || :p, '{"name": "p"}', '{"if-match": "\"1\""}');
SELECT status, headers ->> 'ETag' AS etag FROM http_request('PATCH', :'sources' || '/' || :p, '{}', '{"if-match": "*"}');
SELECT status, headers ->> 'ETag' AS etag, body -> 'error' AS error FROM http_request('PATCH', :'sources' || '/' || :p, '{"name": "q"}', '{"if-match": "\"1\""}');
SELECT sent, status, headers ->> 'ETag' AS etag, body #>> '{results,name}' AS name, body #>> '{error,name}' AS error FROM unnest(ARRAY['"2"', '"1", "3"', ' , "x" ,,"4",', 'W/"5"', 'W/"5","5"', '""',
	'"05"', '"6', '6', '"6" "6"', '"6",*', '*,"6"', 'w/"6"', '"6"x', ',', '', '* ', '"6 "', E'"6\u00e9"', E'"6\u007f"', '"7","-1","99999999999999999999"']) WITH ORDINALITY AS t (sent, n),
	http_request('PATCH', :'sources' || '/' || :p, jsonb_build_object('name', 'n' || n)::text, jsonb_build_object('If-Match', sent)) ORDER BY n;
SELECT status, headers ->> 'ETag' AS etag, body #>> '{results,projectDbtSourceUuid}' AS uuid FROM http_request('POST', :'sources', '{"name": "v", "dbtConnection": {"type": "none"}}', '{"if-match": "ignored"}') \gset v_
SELECT :v_status AS status, :'v_etag' AS etag;
SELECT status, headers ->> 'ETag' AS etag FROM http_request('PATCH', :'sources' || '/' || :'v_uuid', '{"dbtConnection": {"type": "dbt"}}', '{"if-match": "\"1\""}');
SELECT status, headers ->> 'ETag' AS etag FROM http_request('PATCH', :'sources' || '/' || :'v_uuid', '{"name": "w", "dbtConnection": {"type": "dbt", "x": "y"}}', '{"if-match": "\"1\""}');
SELECT status, headers ->> 'ETag' AS etag, body #>> '{results,name}' AS name FROM http_request('HEAD', :'sources' || '/' || :'v_uuid', NULL, '{"if-match": "\"1\""}');
SELECT method, status, body -> 'error' AS error FROM unnest(ARRAY['DELETE', 'PATCH']) AS method, http_request(method, :'sources' || '/' || :'v_uuid', '{"name": ""}', '{"if-match": "\"3\""}');
-- what changes nothing that is there has no precondition, so that nothing can be wrong with one
SELECT path, status FROM unnest(ARRAY[:'sources', :'sources' || '/' || :'v_uuid']) WITH ORDINALITY AS t (whole, n), concat(n) AS path, http_request('GET', whole, NULL, '{"if-match": "ignored"}') ORDER BY n;
-- who may not change it learns nothing of its version, nor does anybody of what isn't there
CREATE ROLE regress_http;
GRANT SELECT ON projects TO regress_http;
SET ROLE regress_http;
SELECT method, status FROM unnest(ARRAY['DELETE', 'PATCH']) AS method, http_request(method, :'sources' || '/' || :'v_uuid', '{"name": ""}', '{"if-match": "\"3\""}');
RESET ROLE;
DROP OWNED BY regress_http;
DROP ROLE regress_http;
SELECT method, status FROM unnest(ARRAY['DELETE', 'PATCH']) AS method, http_request(method, :'sources' || '/' || :unknown, '{"name": ""}', '{"if-match": "*"}');
SELECT method, status, headers ->> 'ETag' AS etag FROM http_request('DELETE', :'sources' || '/' || :'v_uuid', NULL, '{"if-match": "\"2\""}') AS t, (VALUES ('DELETE')) AS m (method);
SELECT (http_request('PATCH', :'sources' || '/' || :p, '{"name": "Project dbt connection"}')).status;

-- bodies
-- so deep that PostgreSQL's own parser gives up first
SET max_stack_depth = '100kB';
SELECT status, body #> '{error,data}' AS data FROM http_request('POST', :'sources', '{"name": "deep", "dbtConnection": {"type": "none", "x": ' || repeat('[', 990) || repeat(']', 990) || '}}');
RESET max_stack_depth;
SELECT status, body FROM http_request('POST', :'sources');
SELECT sent, status, body #>> '{error,message}' AS message, body #> '{error,data}' AS data FROM unnest(ARRAY['', ' ', '{', '{"name": "sesame"', '{"name": "\u0000"}', '{"name": "\ud800"}', 'sesame', '{"a": 1}{}', E'\u00a0{}',
	'[]', '"x"', 'null']) WITH ORDINALITY AS t (sent, n), http_request('POST', :'sources', sent) ORDER BY n;
SELECT status, body FROM http_request('POST', :'sources', repeat('[', 100000));
-- what is JSON and can't be jsonb is named, each with its path
SELECT status, body #>> '{error,message}' AS message, p ->> 'path' AS path, p ->> 'message' AS problem FROM http_request('PATCH', :'sources' || '/' || :p,
	'{"name": "\u0000", "dbtConnection": {"type": "none", "x": [1e999999, 1, -1e-999999, {"a: b": "\udc00\ud800", "c": "\ud83e\udd8a\ud83e"}, []],
	"y": "\ud83e\udd8a \\u0000 \\\\ud800", "z\ud800": 1.5e3, "environment": [{"key": "A", "value": "\u0001\u0000"}]}}'),
	jsonb_array_elements(body #> '{error,data}') p;
SELECT sent, body #>> '{error,message}' AS message, p ->> 'path' AS path, p ->> 'message' AS problem
FROM unnest(ARRAY['1e999999', '["\ud800"]', '{"": {"": 1e999999}}', '{"a": {"b": 1e999999}}', '["\u0000", 0e1000, 1e1000]', '["u0000", "xu0000", "\ud83e\udd8a", "xud800", "\\u0000", "u000", "\u0001", 1e999999]'])
	WITH ORDINALITY t (sent, n), http_request('POST', :'sources', sent),
	jsonb_array_elements(body #> '{error,data}') p ORDER BY n;
-- which escapes jsonb can hold, wherever they are
SELECT sent, p ->> 'message' AS problem FROM unnest(ARRAY['\u0001', '\ud7ff\ue000', '\ud800\udc00', '\udbff\udfff', '\ud800', '\udfff', '\ud800x', '\ud800\udbff', '\ud800\ue000', '\udbff\udbff',
	'\udc00\udc00', '\udfff\udfff', 'x\u0000', '\u0000a', '\n\u0000', '\u0001\u0000', '\ud800\udc00\u0000', '\ud800\udc00\udc00', '\\\u0000', '\\u0000', '\\\\u0000']) WITH ORDINALITY t (sent, n)
LEFT JOIN LATERAL (SELECT p FROM http_request('POST', :'sources', '["' || sent || '", 1e999999]'), jsonb_array_elements(body #> '{error,data}') p WHERE p ->> 'path' = '[0]') p ON true ORDER BY n;
-- numbers that are written at length; as deep as a body may be, and a level more
SELECT string_agg(p ->> 'path', ' ' ORDER BY n) AS refused FROM http_request('POST', :'sources', '["\u0000", 0e1000, 0e1001, 1e' || repeat('0', 9996) || '7, 1e' || repeat('0', 9997) || '7]'),
	jsonb_array_elements(body #> '{error,data}') WITH ORDINALITY p (p, n);
SELECT levels, string_agg(p ->> 'message', '; ' ORDER BY n) AS problems FROM unnest(ARRAY[1001, 1002]) levels,
	http_request('POST', :'sources', repeat('[', levels) || '"\u0000"' || repeat(']', levels)), jsonb_array_elements(body #> '{error,data}') WITH ORDINALITY p (p, n) GROUP BY levels ORDER BY levels;
-- a long name is clipped between its escapes, so that its path stays JSON
SELECT p ->> 'path' AS path FROM http_request('POST', :'sources', format('{"%s\n": 1e999999, "%s\"b": 1e999999, "%s": 1e999999, "%s\nd": 1e999999, "%s": 1e999999}',
	repeat('a', 62), repeat('b', 62), repeat('\u0001', 11), repeat('d', 61), repeat('\\', 32))), jsonb_array_elements(body #> '{error,data}') p;
SELECT count(*), body #>> '{error,message}' AS message, body #> '{error,data}' AS data FROM unnest(ARRAY['{"a" 1}', '{"a":}', '{"a":1,}', '{"a":1]',
	'{,}', '{1:1}', '[1:2]', '{"a"::1}', '{"a":1:2}', '{"a":1 "b"}', '{"a","b"}', '{"a"', '[1,]', '[1 2]', '[,1]', '[1}', '[', ']', '}', ',', ':', '1 2', '{}{}', '[]]', 'tru', '01', '1e', '"\u00zz"', '"', E'"\t"']) sent,
	http_request('POST', :'sources', sent) GROUP BY message, data;
-- names that have in them what divides a line into path and message
SELECT p ->> 'path' AS path, p ->> 'message' AS problem FROM http_request('POST', :'sources',
	'{"name": "a", "dbtConnection": {"type": "none", "a: b": 1e400, "\"": 1e400, "\\": 1e400, "\\\"": {"c:\n\"d": [1, 1e400]}, "": 1e400, "e\"f\"g: h": 1e400, "i": 1e400}}'),
	jsonb_array_elements(body #> '{error,data}') p;
-- what isn't valid JSON is what PostgreSQL's json refuses
CREATE FUNCTION is_json(sent text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	RETURN sent::json IS NOT NULL;
EXCEPTION WHEN invalid_text_representation THEN
	RETURN false;
END $$;
SET client_min_messages = warning;
WITH RECURSIVE texts (sent, tokens) AS (SELECT '', 0 UNION ALL SELECT sent || token, tokens + 1 FROM texts,
	unnest(ARRAY['[', ']', ',', '{"a":', '}', '"\u0000"', '1e999999']) token WHERE tokens < 5)
SELECT is_json(sent), body #>> '{error,message}' AS message, count(*) FROM texts, http_request('POST', :'sources', sent)
WHERE tokens > 0 GROUP BY 1, 2 ORDER BY 1, 2;
RESET client_min_messages;
DROP FUNCTION is_json;
SELECT body #>> '{error,message}' AS message, body #> '{error,data}' AS data FROM http_request('POST', :'sources', '[1e999999, "\u0000", tru');
SELECT body #>> '{error,message}' AS message, body #> '{error,data}' AS data FROM http_request('POST', :'sources', '["\u0000", ' || repeat('[', 5000));
SELECT status, jsonb_array_length(body #> '{error,data}') AS problems, body #>> '{error,data,0,path}' AS first FROM unnest(ARRAY['', '\u0000']) x,
	http_request('POST', :'sources', '{"name": "x' || x || '", "dbtConnection": {"type": "none", "x": [' || repeat('9e131071,', 2000) || '1e999999]}}');
SELECT status, jsonb_pretty(body) FROM http_request('POST', :'sources', '{"name": "", "dbtConnection": {"type": "gitlab", "branch": 7,
	"personal_access_token": "sesame", "environment": [{"key": "PATH", "value": "/tmp"}]}}');
SELECT status, jsonb_array_length(body #> '{error,data}') AS problems, body #> '{error,data,100}' AS last FROM http_request('POST', :'sources',
	jsonb_build_object('name', 'x', 'dbtConnection', jsonb_build_object('type', 'dbt_cloud_ide', 'tags', (SELECT jsonb_agg(i) FROM generate_series(1, 200) i)))::text);
SET dbt_sources.http_body_limit = '1kB';
SELECT status, body #>> '{error,name}' AS name FROM http_request('POST', :'sources', rpad('{"name": "a", "dbtConnection": {"type": "none"}}', 1025));
SELECT status FROM http_request('POST', :'sources', rpad('{"name": "a", "dbtConnection": {"type": "none"}}', 1024));
SELECT status, body #>> '{error,name}' AS name FROM http_request('POST', :'sources', rpad('{"name": "a", "dbtConnection": {"type": "none", "target": "' || repeat(E'\u20ac', 333) || '"}}', 500));
RESET dbt_sources.http_body_limit;

-- the errors of the API
SELECT status, body FROM http_request('POST', :'sources', '{"name": "a", "dbtConnection": {"type": "none"}}');
BEGIN;
UPDATE project_dbt_sources SET precedence = 2147483647 WHERE name = 'a';
SELECT status, body FROM http_request('POST', :'sources', '{"name": "one too many", "dbtConnection": {"type": "none"}}');
\set VERBOSITY sqlstate
SELECT create_project_dbt_source(:p, '{"name": "one too many", "dbtConnection": {"type": "none"}}');
\set VERBOSITY default
ROLLBACK;
SELECT status, body FROM http_request('GET', replace(:'sources', :p, :unknown));
SELECT status, body FROM http_request('GET', :'sources' || '/' || :unknown);
SELECT status, body FROM http_request('DELETE', :'sources' || '/' || :p);
SELECT status, body FROM http_request('PATCH', :'sources' || '/' || :p, '{"dbtConnection": {"type": "none"}}');
CREATE ROLE regress_http;
SET ROLE regress_http;
SELECT status, body FROM http_request('GET', :'sources');
RESET ROLE;
GRANT SELECT ON projects TO regress_http;
SET ROLE regress_http;
SELECT status FROM http_request('GET', :'sources');
SELECT status, body FROM http_request('POST', :'sources', '{"name": "b", "dbtConnection": {"type": "none"}}');
RESET ROLE;
INSERT INTO project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection)
VALUES (:p, '55555555-5555-4555-8555-555555555555', 'broken', 7, 'broken');
SELECT status, body FROM http_request('GET', :'sources' || '/55555555-5555-4555-8555-555555555555');
SELECT status, body #> '{results,hasCredentialError}' AS broken FROM http_request('PATCH', :'sources' || '/55555555-5555-4555-8555-555555555555', '{"name": "broken still"}');
SET dbt_sources.keyring_file = 'elsewhere.jwks';
SELECT status, body FROM http_request('POST', :'sources', '{"name": "b", "dbtConnection": {"type": "none"}}');
RESET dbt_sources.keyring_file;

-- what isn't of the API stays an error, even with a SQLSTATE of ours; nothing is written
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE EXCEPTION 'from a trigger' USING ERRCODE = TG_ARGV[0]; END $$;
CREATE TRIGGER fail AFTER INSERT ON project_dbt_sources FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION fail('22023');
SELECT status, body FROM http_request('POST', :'sources', '{"name": "b", "dbtConnection": {"type": "none"}}');
SELECT count(*) FROM project_dbt_sources WHERE name = 'b';
BEGIN;
SELECT status FROM http_request('POST', :'sources', '{"name": "a", "dbtConnection": {"type": "none"}}');
SELECT status FROM http_request('POST', :'sources', '{"name": "c", "dbtConnection": {"type": "none"}}');
COMMIT;
SELECT string_agg(name, ', ' ORDER BY precedence) AS names FROM project_dbt_sources;
BEGIN READ ONLY;
SELECT status FROM http_request('GET', :'sources');
SELECT status FROM http_request('POST', :'sources', '{"name": "d", "dbtConnection": {"type": "none"}}');
ROLLBACK;
SELECT http_request(NULL, 'x');
SELECT http_request('GET', NULL);

DROP TRIGGER fail ON project_dbt_sources;
DROP FUNCTION fail;

-- problems go with their own error: a trigger that catches it and raises another takes none along
CREATE FUNCTION catch() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$ BEGIN
	PERFORM create_project_dbt_source(NEW.project_uuid, '{"name": "", "dbtConnection": {"type": "gitlab"}}');
EXCEPTION WHEN invalid_parameter_value THEN
	IF TG_ARGV[0] = 'again' THEN
		RAISE;
	END IF;
	RAISE EXCEPTION 'not you' USING ERRCODE = TG_ARGV[0], DETAIL = 'name: must not be told';
END $$;
CREATE TRIGGER catch BEFORE INSERT ON project_dbt_sources FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION catch('42501');
SELECT status, body FROM http_request('POST', :'sources', '{"name": "b", "dbtConnection": {"type": "none"}}');
CREATE OR REPLACE TRIGGER catch BEFORE INSERT ON project_dbt_sources FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION catch('again');
SELECT status, jsonb_array_length(body #> '{error,data}') AS problems, body #> '{error,data,0}' AS first
FROM http_request('POST', :'sources', '{"name": "b", "dbtConnection": {"type": "none"}}');
DROP TRIGGER catch ON project_dbt_sources;
DROP FUNCTION catch;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
DROP ROLE regress_http;
