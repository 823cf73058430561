-- rotation: new keys, moving connections to them, taking old ones out
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
RESET client_min_messages;
\set p '''11111111-1111-4111-8111-111111111111'''
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
SELECT enable_dbt_sources('projects');
INSERT INTO projects (project_uuid, name) VALUES (:p, 'one');
SELECT rotate_encryption_key() AS first \gset
SELECT :'first' ~ '^\d{4}-\d\d-\d\d-[0-9a-f]{12}$' AS named;

SELECT count(create_project_dbt_source(:p, jsonb_build_object('name', 'source ' || i, 'dbtConnection', jsonb_build_object(
	'type', 'gitlab', 'personal_access_token', 'sesame-' || i, 'repository', 'r', 'branch', 'b', 'project_sub_path', '/'))))
FROM generate_series(1, 5) i;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
SELECT kid = :'first' AS first, active, connections FROM encryption_keys() WHERE active OR connections > 0;

-- a new key changes nothing that is stored; what is written from then on has it
SELECT rotate_encryption_key() AS second \gset
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT set_project_dbt_connection(:p, '{"type": "none", "target": "t"}') ->> 'type' AS type;
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
-- whatever its type becomes, the column has connections that need their keys
CREATE DOMAIN jwe AS text;
BEGIN;
ALTER TABLE project_dbt_sources ALTER dbt_connection TYPE jwe;
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
ALTER TABLE project_dbt_sources ALTER dbt_connection TYPE varchar(5000);
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
ROLLBACK;
DROP DOMAIN jwe;

-- moving them, in batches
CREATE TABLE before AS SELECT project_dbt_source_uuid AS source, updated_at, dbt_connection,
	project_dbt_connection(project_uuid, project_dbt_source_uuid) AS connection FROM project_dbt_sources;
SELECT reencrypt_dbt_connections(2);
SELECT reencrypt_dbt_connections(2);
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT reencrypt_dbt_connections();
SELECT reencrypt_dbt_connections();
SELECT kid = :'second' AS second, active, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT bool_and(connection = project_dbt_connection(project_uuid, source)) AS same_connections,
	bool_and(b.updated_at = s.updated_at) AS not_an_update,
	count(*) FILTER (WHERE b.dbt_connection <> s.dbt_connection) AS rewritten
FROM before b JOIN project_dbt_sources s ON source = project_dbt_source_uuid;

-- a batch that was rolled back is done again
SELECT rotate_encryption_key() AS third \gset
BEGIN;
SELECT reencrypt_dbt_connections(4);
ROLLBACK;
SELECT reencrypt_dbt_connections(4);
SELECT reencrypt_dbt_connections(4);
SELECT reencrypt_dbt_connections(4);

-- all of them by one call, which commits each batch
SELECT rotate_encryption_key() AS third \gset
BEGIN;
CALL reencrypt_all_dbt_connections();
ROLLBACK;
CREATE FUNCTION in_a_function() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL reencrypt_all_dbt_connections(); END $$;
SELECT in_a_function();
DROP FUNCTION in_a_function();
CALL reencrypt_all_dbt_connections(4);
CALL reencrypt_all_dbt_connections();
SELECT kid = :'third' AS third, active, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT rotate_encryption_key() AS third \gset
DO $$ BEGIN CALL reencrypt_all_dbt_connections(1); END $$;
SELECT kid = :'third' AS third, active, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT bool_and(connection = project_dbt_connection(project_uuid, source)) AS same_connections,
	bool_and(b.updated_at = s.updated_at) AS not_an_update
FROM before b JOIN project_dbt_sources s ON source = project_dbt_source_uuid;

-- a key that nothing needs can go; others can't
SELECT remove_encryption_key(:'third');
SELECT remove_encryption_key('2020-01-01-000000000000');
SELECT remove_encryption_key(NULL);
BEGIN;
UPDATE projects SET name = 'two';
SELECT remove_encryption_key(:'second');
ROLLBACK;
-- until the end of the transaction nobody else removes one, and that is all that is locked
PREPARE locked AS SELECT database, objid <> 0 AS key, objsubid, mode FROM pg_locks WHERE classid = 'pg_extension'::regclass AND pid = pg_backend_pid();
BEGIN;
SELECT remove_encryption_key(:'second');
EXECUTE locked;
COMMIT;
EXECUTE locked;
SELECT remove_encryption_key(:'first');
SELECT count(*) FROM encryption_keys() WHERE kid IN (:'first', :'second', :'third');
SELECT count(*) FILTER (WHERE (s -> 'hasCredentialError')::boolean) AS broken FROM jsonb_array_elements(list_project_dbt_sources(:p)) s;

-- a connection that can't be decrypted stays, and is named
UPDATE project_dbt_sources s SET dbt_connection = t.dbt_connection, project_dbt_source_uuid = '22222222-2222-4222-8222-222222222222'
FROM project_dbt_sources t WHERE s.name = 'source 2' AND t.name = 'source 3';
UPDATE project_dbt_sources SET dbt_connection = 'no envelope', project_dbt_source_uuid = '33333333-3333-4333-8333-333333333333'
WHERE name = 'source 4';
SELECT count(*) FROM encryption_keys() WHERE active;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
SELECT reencrypt_dbt_connections();
SELECT reencrypt_dbt_connections();
CALL reencrypt_all_dbt_connections(1);
DELETE FROM project_dbt_sources WHERE name IN ('source 2', 'source 4');

-- a new key locks nothing; who encrypts has a lock on the key
BEGIN;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
EXECUTE locked;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS type;
EXECUTE locked;
COMMIT;
EXECUTE locked;
SELECT reencrypt_dbt_connections() AS reencrypted;

-- what is cut off needs its key if that is named, and otherwise nobody knows
BEGIN;
UPDATE project_dbt_sources SET dbt_connection = left(dbt_connection, 96) WHERE is_primary;
SELECT sum(connections) AS counted FROM encryption_keys();
UPDATE project_dbt_sources SET dbt_connection = left(dbt_connection, 95) WHERE is_primary;
SELECT sum(connections) AS counted FROM encryption_keys();
ROLLBACK;

-- a table of that name in another schema needs its keys, too, if it can be one that an extension there has left
CREATE SCHEMA aside;
CREATE FUNCTION counted(make text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE connections bigint;
BEGIN
	EXECUTE make;
	SELECT sum(k.connections) INTO connections FROM encryption_keys() k;
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN
	RETURN connections - (SELECT count(dbt_connection) FROM project_dbt_sources);
END $$;
SELECT changes, counted('CREATE TABLE aside.project_dbt_sources AS SELECT project_uuid, project_dbt_source_uuid AS uuid, dbt_connection FROM project_dbt_sources;
	ALTER TABLE aside.project_dbt_sources ' || changes) FROM unnest(ARRAY[
	'ADD FOREIGN KEY (project_uuid) REFERENCES projects',
	'ADD FOREIGN KEY (project_uuid) REFERENCES projects, ALTER dbt_connection TYPE varchar',
	'ADD FOREIGN KEY (project_uuid) REFERENCES projects, ALTER dbt_connection TYPE bytea USING convert_to(dbt_connection, ''UTF8'')',
	'ADD FOREIGN KEY (project_uuid) REFERENCES projects, DROP dbt_connection',
	'ADD FOREIGN KEY (project_uuid) REFERENCES projects, ALTER dbt_connection TYPE name',
	'ADD FOREIGN KEY (uuid) REFERENCES projects NOT VALID',
	'ADD FOREIGN KEY (project_uuid, uuid) REFERENCES project_dbt_sources',
	'ADD CHECK (project_uuid IS NOT NULL)']) WITH ORDINALITY t (changes, n) ORDER BY n;
SELECT kind, counted('CREATE TABLE aside.project_dbt_sources (project_uuid uuid REFERENCES projects, dbt_connection text) ' || kind || ';
	INSERT INTO aside.' || of || ' SELECT project_uuid, dbt_connection FROM project_dbt_sources') FROM (VALUES
	('PARTITION BY HASH (project_uuid); CREATE TABLE aside.part PARTITION OF aside.project_dbt_sources FOR VALUES WITH (MODULUS 1, REMAINDER 0)', 'part'),
	('; CREATE TABLE aside.child () INHERITS (aside.project_dbt_sources)', 'child')) t (kind, of);
-- a string that has no length before it is no text: the server went down of this one
SELECT counted('CREATE TABLE aside.project_dbt_sources (project_uuid uuid REFERENCES projects, dbt_connection name);
	INSERT INTO aside.project_dbt_sources VALUES (NULL, (chr(1) || chr(1) || ''AAAAAAAA'')::name)');
DROP FUNCTION counted;
DROP SCHEMA aside;

-- arguments
SELECT reencrypt_dbt_connections(0);
SELECT reencrypt_dbt_connections(NULL);
CALL reencrypt_all_dbt_connections(0);
CALL reencrypt_all_dbt_connections(NULL);
SELECT rotate_encryption_key(NULL);

-- for whoever may execute them, in writing transactions
CREATE ROLE regress_keys;
SET ROLE regress_keys;
SELECT rotate_encryption_key();
SELECT * FROM encryption_keys();
SELECT reencrypt_dbt_connections();
CALL reencrypt_all_dbt_connections();
SELECT remove_encryption_key('x');
RESET ROLE;
SELECT kid AS old FROM encryption_keys() WHERE active \gset
GRANT EXECUTE ON FUNCTION rotate_encryption_key, encryption_keys, reencrypt_dbt_connections, remove_encryption_key TO regress_keys;
GRANT EXECUTE ON PROCEDURE reencrypt_all_dbt_connections TO regress_keys;
SET ROLE regress_keys;
SELECT rotate_encryption_key() AS new \gset
SELECT kid = :'new' AS new, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT reencrypt_dbt_connections(1);
CALL reencrypt_all_dbt_connections();
SELECT kid = :'new' AS new, connections FROM encryption_keys() WHERE active OR connections > 0;
SELECT remove_encryption_key(:'old');
-- and no more
SELECT project_dbt_connection(:p, :p);
SELECT count(*) FROM project_dbt_sources;
RESET ROLE;
BEGIN READ ONLY;
SELECT count(*) > 0 AS keys FROM encryption_keys();
SELECT reencrypt_dbt_connections();
ROLLBACK;
BEGIN READ ONLY;
SELECT remove_encryption_key('x');
ROLLBACK;
SET default_transaction_read_only = on;
CALL reencrypt_all_dbt_connections();
SELECT rotate_encryption_key();
RESET default_transaction_read_only;

-- what is out of date again before where the last batch has ended isn't forgotten
DELETE FROM project_dbt_sources;
INSERT INTO projects (project_uuid, name) VALUES ('ffffffff-ffff-4fff-8fff-ffffffffffff', 'last');
SELECT count(set_project_dbt_connection(project_uuid, '{"type": "none"}')) AS both FROM projects;
SELECT reencrypt_dbt_connections() AS none;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
SELECT reencrypt_dbt_connections(1) AS first;
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
SELECT set_project_dbt_connection('ffffffff-ffff-4fff-8fff-ffffffffffff', '{"type": "none"}') ->> 'type' AS type;
SELECT reencrypt_dbt_connections(1) AS first_again;
SELECT reencrypt_dbt_connections(1) AS none;

DEALLOCATE locked;
DROP TABLE before;
DROP EXTENSION dbt_sources;
DROP TABLE project_dbt_sources, projects;
DROP ROLE regress_keys;
