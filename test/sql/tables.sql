-- the tables are the user's: what they add to the table of sources works, or says why not
SET client_min_messages = warning;
CREATE SCHEMA dbt;
CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
RESET client_min_messages;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
-- as the role that owns the application's tables
CREATE ROLE regress_dbt_app;
CREATE ROLE regress_dbt_manager;
GRANT USAGE, CREATE ON SCHEMA dbt TO regress_dbt_app;
GRANT USAGE ON SCHEMA dbt TO regress_dbt_manager;
ALTER TABLE projects OWNER TO regress_dbt_app;
SET ROLE regress_dbt_app;
SELECT dbt.enable_dbt_sources('projects');
GRANT SELECT, UPDATE ON projects TO regress_dbt_manager;
RESET ROLE;
SELECT dbt.rotate_encryption_key() IS NOT NULL AS rotated;
\set p '''11111111-1111-4111-8111-111111111111'''
\set q '''22222222-2222-4222-8222-222222222222'''
INSERT INTO projects VALUES (:p, 'one'), (:q, 'two');
SELECT dbt.create_project_dbt_source(:p, '{"name": "a", "dbtConnection": {"type": "gitlab", "personal_access_token": "sesame",
	"repository": "r", "branch": "b", "project_sub_path": "/"}}') ->> 'projectDbtSourceUuid' AS a \gset
SELECT dbt.create_project_dbt_source(:p, '{"name": "b", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS b \gset
SET search_path = dbt, public;

-- version counts changes of name and connection, and nothing else
SELECT name, version FROM project_dbt_sources ORDER BY precedence;
SELECT update_project_dbt_source(:p, :'b', '{}') ->> 'name' AS unchanged;
SELECT update_project_dbt_source(:p, :'b', '{"name": "B"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:p, :'b', '{"dbtConnection": {"type": "dbt"}}') ->> 'type' AS replaced;
SELECT update_project_dbt_source(:p, :'b', '{"name": "b", "dbtConnection": {"type": "none"}}') ->> 'name' AS both;
SELECT update_project_dbt_source(:p, :'b', '{"name": "a"}');
SELECT update_project_dbt_source(:p, :'b', '{"dbtConnection": {"type": "nothing"}}');
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "c", "project_sub_path": "/"}}') ->> 'branch' AS token_kept;
SELECT update_project_dbt_source(:p, :p, '{"name": "primary"}') ->> 'name' AS renamed;
SELECT set_project_dbt_connection(:p, '{"type": "none"}') ->> 'type' AS set;
SELECT rotate_encryption_key() IS NOT NULL AS rotated, reencrypt_dbt_connections() AS reencrypted;
SELECT name, version FROM project_dbt_sources ORDER BY precedence;

-- a trigger runs as the owner: one whose function any caller could lead astray doesn't run
CREATE TABLE audit (name text, by_role name);
GRANT ALL ON audit TO regress_dbt_app;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO audit VALUES (NEW.name, current_user); RETURN NEW; END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF name, dbt_connection ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION audit();
SET ROLE regress_dbt_manager;
CREATE TEMP TABLE audit (name text, by_role name);
CREATE FUNCTION pg_temp.attack() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'attack as %', current_user; RETURN NULL; END $$;
CREATE TRIGGER attack BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION pg_temp.attack();
GRANT ALL ON audit TO PUBLIC;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
SELECT dbt.update_project_dbt_source(:p, :'b', '{"dbtConnection": {"type": "none"}}');
SELECT dbt.create_project_dbt_source(:p, '{"name": "attacked", "dbtConnection": {"type": "none"}}');
SELECT dbt.set_project_dbt_connection(:p, '{"type": "none"}');
SELECT dbt.delete_project_dbt_source(:p, :'b');
SELECT jsonb_array_length(dbt.list_project_dbt_sources(:p)) AS listed;
RESET ROLE;
-- a path without pg_temp has it first
ALTER FUNCTION audit() SET search_path = dbt;
SELECT update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
ALTER FUNCTION audit() SET search_path = pg_temp, dbt;
SELECT update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
ALTER FUNCTION audit() SET search_path = pg_temp, dbt, pg_temp;
SELECT update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
-- and other settings are none
ALTER FUNCTION audit() RESET search_path;
ALTER FUNCTION audit() SET work_mem = '1MB';
SELECT update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
ALTER FUNCTION audit() SET search_path = dbt, pg_temp;
SET ROLE regress_dbt_manager;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "audited"}') ->> 'name' AS renamed;
SELECT count(*) AS attacked FROM pg_temp.audit;
RESET ROLE;
SELECT * FROM dbt.audit;
-- one that is disabled doesn't
ALTER FUNCTION audit() RESET search_path;
ALTER TABLE project_dbt_sources DISABLE TRIGGER audit;
SELECT update_project_dbt_source(:p, :'b', '{"name": "b"}') ->> 'name' AS renamed;
ALTER TABLE project_dbt_sources ENABLE ALWAYS TRIGGER audit;
SELECT update_project_dbt_source(:p, :'b', '{"name": "B"}');
-- an empty path has pg_temp first, too: all tables are qualified, but types are found there
CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE new_name text := NEW.name;
BEGIN INSERT INTO dbt.audit VALUES (new_name, current_user); RETURN NEW; END $$;
SET ROLE regress_dbt_manager;
CREATE FUNCTION pg_temp.attack(pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'attack as %', current_user; RETURN true; END $$;
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.attack(VALUE));
GRANT USAGE ON TYPE pg_temp.text TO PUBLIC;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
RESET ROLE;
ALTER FUNCTION audit() SET search_path = pg_temp;
SET ROLE regress_dbt_manager;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "b"}') ->> 'name' AS renamed;
DROP DOMAIN pg_temp.text;
RESET ROLE;
SELECT * FROM dbt.audit;
DROP TRIGGER audit ON project_dbt_sources;
-- whatever the caller's search_path is, a function that isn't a trigger's has ours
CREATE FUNCTION path_of(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE '%', set_config('test.path', current_setting('search_path'), false); RETURN true; END $$;
ALTER TABLE project_dbt_sources ADD CONSTRAINT path CHECK (path_of(name));
SELECT update_project_dbt_source(:p, :'b', '{"name": "B"}') ->> 'name' AS renamed;
SHOW search_path;
-- what it sets itself stays
SHOW test.path;
ALTER TABLE project_dbt_sources DROP CONSTRAINT path;
-- but one that has its own needs a safe one, as a trigger's does
CREATE TABLE reserved (name text);
INSERT INTO reserved VALUES ('reserved');
GRANT SELECT ON reserved TO regress_dbt_app;
CREATE FUNCTION reserved(text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = dbt AS
	$$ BEGIN RETURN EXISTS (SELECT FROM reserved WHERE name = $1); END $$;
ALTER TABLE project_dbt_sources ADD CONSTRAINT free CHECK (NOT reserved(name));
SET ROLE regress_dbt_manager;
CREATE FUNCTION pg_temp.attack_again() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'attack as %', current_user; RETURN 'x'; END $$;
CREATE TEMP VIEW reserved AS SELECT pg_temp.attack_again() AS name;
GRANT SELECT ON pg_temp.reserved TO PUBLIC;
DISCARD PLANS;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "attacked"}');
RESET ROLE;
ALTER FUNCTION reserved(text) SET search_path = dbt, pg_temp;
SET ROLE regress_dbt_manager;
\set VERBOSITY terse
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "reserved"}');
\set VERBOSITY default
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "b"}') ->> 'name' AS renamed;
RESET ROLE;
ALTER TABLE project_dbt_sources DROP CONSTRAINT free;
-- also what the domain of a column asks later
ALTER FUNCTION reserved(text) SET search_path = dbt;
CREATE DOMAIN label AS text CHECK (VALUE <> '');
ALTER TABLE project_dbt_sources ADD COLUMN label label;
SELECT update_project_dbt_source(:p, :'b', '{"name": "B"}') ->> 'name' AS renamed;
ALTER DOMAIN label ADD CHECK (NOT reserved(VALUE));
SELECT update_project_dbt_source(:p, :'b', '{"name": "b"}');
ALTER TABLE project_dbt_sources DROP COLUMN label;
DROP DOMAIN label;
-- and for a deletion the triggers that it sets off in the tables that reference the sources, and in those that reference these
CREATE TABLE runs (n integer PRIMARY KEY, project uuid, source uuid, FOREIGN KEY (project, source) REFERENCES project_dbt_sources ON DELETE CASCADE);
CREATE TABLE parts (run integer REFERENCES runs ON DELETE SET NULL) PARTITION BY LIST (run);
CREATE TABLE other_parts PARTITION OF parts DEFAULT;
GRANT ALL ON runs, parts TO regress_dbt_app;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% of %', TG_OP, TG_TABLE_NAME; RETURN OLD; END $$;
CREATE TRIGGER note AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER other BEFORE INSERT OR UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION note_part() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% of %', TG_OP, TG_TABLE_NAME; RETURN NEW; END $$;
CREATE TRIGGER note AFTER UPDATE ON other_parts FOR EACH ROW EXECUTE FUNCTION note_part();
SELECT create_project_dbt_source(:p, '{"name": "c", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS c \gset
INSERT INTO runs VALUES (1, :p, :'c');
INSERT INTO parts VALUES (1);
SELECT update_project_dbt_source(:p, :'c', '{"name": "C"}') ->> 'name' AS renamed;
SELECT delete_project_dbt_source(:p, :'c');
ALTER FUNCTION note() SET search_path = dbt, pg_temp;
SELECT delete_project_dbt_source(:p, :'c');
ALTER FUNCTION note_part() SET search_path = dbt, pg_temp;
SELECT delete_project_dbt_source(:p, :'c');
SELECT * FROM parts;
DROP TABLE parts, runs;
DROP FUNCTION note, note_part, touch;
-- wherever it is called
CREATE FUNCTION keep(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = dbt AS 'BEGIN RETURN $1; END';
CREATE OPERATOR ### (RIGHTARG = text, FUNCTION = keep);
CREATE DOMAIN kept AS text CHECK (keep(VALUE) <> '');
CREATE DOMAIN kept_longer AS kept;
CREATE TABLE renamed (name text);
GRANT ALL ON renamed TO regress_dbt_app;
CREATE FUNCTION internal() RETURNS trigger LANGUAGE internal AS 'suppress_redundant_updates_trigger';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = dbt, pg_temp AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION try(change text, source uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
	EXECUTE change;
	PERFORM update_project_dbt_source('11111111-1111-4111-8111-111111111111', source, '{"name": "tried"}');
	RAISE EXCEPTION 'it ran';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
	-- before 15 what a generated column calls is the table's
	RETURN concat_ws(E'\n', change, SQLSTATE || ' ' || replace(SQLERRM, 'default value for column label of ', ''), said);
END $$;
SELECT try(change, :'b') FROM unnest(ARRAY[
	'ALTER TABLE project_dbt_sources ADD label text DEFAULT keep(''x'')',
	'ALTER TABLE project_dbt_sources ADD label text GENERATED ALWAYS AS (keep(name)) STORED',
	'ALTER TABLE project_dbt_sources ADD label text GENERATED ALWAYS AS (### name) STORED',
	'ALTER TABLE project_dbt_sources ADD label kept',
	'ALTER TABLE project_dbt_sources ADD label kept_longer',
	'CREATE INDEX labels ON project_dbt_sources (keep(name))',
	'CREATE INDEX labels ON project_dbt_sources (name) WHERE keep(name) <> ''x''',
	'ALTER TABLE project_dbt_sources ADD CONSTRAINT labels EXCLUDE (keep(name) WITH =)',
	'CREATE RULE label AS ON UPDATE TO project_dbt_sources DO ALSO INSERT INTO renamed VALUES (keep(NEW.name))',
	'CREATE TRIGGER label BEFORE UPDATE ON project_dbt_sources FOR EACH ROW WHEN (keep(NEW.name) <> ''x'') EXECUTE FUNCTION note()',
	'CREATE TRIGGER "0" BEFORE UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION internal()',
	'CREATE VIEW labels AS SELECT keep(name) FROM project_dbt_sources',
	'CREATE POLICY label ON project_dbt_sources USING (keep(name) <> ''x'')',
	'ALTER FUNCTION keep(text) RESET search_path; CREATE INDEX labels ON project_dbt_sources (keep(name))']) change;
-- of several the first is named
SELECT try(change, :'b') FROM unnest(ARRAY[
	'CREATE INDEX labels ON project_dbt_sources (keep(name)); CREATE TRIGGER label BEFORE UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION internal()',
	'ALTER TABLE project_dbt_sources ADD label text DEFAULT keep(''x''); CREATE INDEX labels ON project_dbt_sources (keep(name))',
	'ALTER TABLE project_dbt_sources ADD label kept, ADD CONSTRAINT labels CHECK (keep(name) <> '''')']) WITH ORDINALITY t (change, n) ORDER BY n;
DROP OPERATOR ### (NONE, text);
DROP DOMAIN kept_longer, kept;
DROP FUNCTION keep, internal(), note(), try;
DROP TABLE renamed;
-- what PostgreSQL brings is safe as it is
ALTER TABLE project_dbt_sources ADD found tsvector;
CREATE TRIGGER redundant BEFORE UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER found BEFORE INSERT OR UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(found, 'pg_catalog.simple', name);
SET ROLE regress_dbt_manager;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "Found again"}') ->> 'name' AS renamed;
SELECT dbt.create_project_dbt_source(:p, '{"name": "Found too", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS found \gset
SELECT dbt.create_project_dbt_source(:q, '{"name": "Found there", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid' AS found_there \gset
RESET ROLE;
SELECT name, precedence, found FROM project_dbt_sources WHERE found @@ 'found' ORDER BY name;
SELECT count(delete_project_dbt_source(project_uuid, project_dbt_source_uuid)) AS deleted FROM project_dbt_sources WHERE name IN ('Found too', 'Found there');
SELECT update_project_dbt_source(:p, :'b', '{"name": "b"}') ->> 'name' AS renamed;
DELETE FROM project_dbt_sources WHERE project_uuid = :q;
DROP TRIGGER redundant ON project_dbt_sources;
DROP TRIGGER found ON project_dbt_sources;
ALTER TABLE project_dbt_sources DROP found;
-- whose owner may not read it, or not use its schema, is not counted where keys are
BEGIN;
REVOKE SELECT ON project_dbt_sources FROM regress_dbt_app;
SELECT sum(connections) AS counted FROM encryption_keys();
ROLLBACK;
BEGIN;
REVOKE USAGE ON SCHEMA dbt FROM regress_dbt_app;
SELECT sum(connections) AS counted FROM encryption_keys();
ROLLBACK;
SELECT sum(connections) AS counted FROM encryption_keys();
-- policies of this table are for who reads it directly
ALTER TABLE project_dbt_sources ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT update_project_dbt_source(:p, :'b', '{"name": "b"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:p, :'b', '{"name": "B"}') ->> 'name' AS renamed;
ALTER TABLE project_dbt_sources DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- triggers that suppress a row: an error, and nothing stored
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE OR DELETE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT update_project_dbt_source(:p, :p, '{"name": "suppressed"}');
\set VERBOSITY sqlstate
SELECT update_project_dbt_source(:p, :'b', '{"name": "suppressed"}');
SELECT update_project_dbt_source(:p, :'b', '{"dbtConnection": {"type": "none"}}');
SELECT update_project_dbt_source(:p, :'a', '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "d", "project_sub_path": "/"}}');
SELECT create_project_dbt_source(:p, '{"name": "suppressed", "dbtConnection": {"type": "none"}}');
SELECT create_project_dbt_source(:q, '{"name": "suppressed", "dbtConnection": {"type": "none"}}');
SELECT set_project_dbt_connection(:p, '{"type": "dbt"}');
SELECT set_project_dbt_connection(:q, '{"type": "dbt"}');
SELECT update_project_dbt_source(:q, :q, '{"name": "suppressed"}');
SELECT copy_project_dbt_sources(:p, :q);
SELECT delete_project_dbt_source(:p, :'b');
SELECT delete_project_dbt_source(:p, '33333333-3333-4333-8333-333333333333');
SELECT update_project_dbt_source(:p, '33333333-3333-4333-8333-333333333333', '{"name": "x"}');
\set VERBOSITY default
SELECT rotate_encryption_key() IS NOT NULL AS rotated;
SET client_min_messages = error;
SELECT reencrypt_dbt_connections() AS reencrypted;
RESET client_min_messages;
SELECT name, dbt_connection_type, version FROM project_dbt_sources ORDER BY precedence;
DROP TRIGGER suppress ON project_dbt_sources;
SELECT reencrypt_dbt_connections() AS reencrypted;
-- of a source that is added, but not of its primary one
CREATE TRIGGER suppress BEFORE INSERT ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION suppress();
\set VERBOSITY sqlstate
SELECT create_project_dbt_source(:p, '{"name": "suppressed", "dbtConnection": {"type": "none"}}');
SELECT status FROM http_request('POST', format('/api/v1/projects/%s/dbt-sources', :p), '{"name": "suppressed", "dbtConnection": {"type": "none"}}');
\set VERBOSITY default
DROP TRIGGER suppress ON project_dbt_sources;

-- the last precedence that there is
BEGIN;
UPDATE project_dbt_sources SET precedence = 2147483646 WHERE project_dbt_source_uuid = :'b';
SELECT create_project_dbt_source(:p, '{"name": "last", "dbtConnection": {"type": "none"}}') -> 'precedence' AS precedence;
SELECT create_project_dbt_source(:p, '{"name": "none is left", "dbtConnection": {"type": "none"}}');
ROLLBACK;

-- triggers that change a row: the answer is what is stored
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION change();
SELECT update_project_dbt_source(:p, :'b', '{"name": "changed"}') ->> 'name' AS name;
SELECT update_project_dbt_source(:p, :'b', '{"name": "changed again", "dbtConnection": {"type": "none"}}') ->> 'name' AS name;
SELECT create_project_dbt_source(:p, '{"name": "c", "dbtConnection": {"type": "none"}}') ->> 'name' AS name;
CREATE OR REPLACE FUNCTION change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN NEW.dbt_connection := CASE NEW.name WHEN 'old' THEN OLD.dbt_connection WHEN 'none' THEN NULL ELSE 'broken' END; NEW.precedence := 9; RETURN NEW; END $$;
SELECT update_project_dbt_source(:p, :'b', '{"name": "old", "dbtConnection": {"type": "dbt"}}') - 'projectDbtSourceUuid' AS summary;
SELECT update_project_dbt_source(:p, :'b', '{"name": "none", "dbtConnection": {"type": "dbt"}}') - 'projectDbtSourceUuid' AS summary;
SELECT update_project_dbt_source(:p, :'b', '{"name": "broken", "dbtConnection": {"type": "dbt"}}') - 'projectDbtSourceUuid' AS summary;
SELECT create_project_dbt_source(:p, '{"name": "broken from the first", "dbtConnection": {"type": "none"}}') - 'projectDbtSourceUuid' AS summary;
DROP TRIGGER change ON project_dbt_sources;
SELECT update_project_dbt_source(:p, :'b', '{"name": "b", "dbtConnection": {"type": "none"}}') - 'projectDbtSourceUuid' AS healed;

-- rules that do something else
CREATE RULE frozen AS ON UPDATE TO project_dbt_sources DO INSTEAD NOTHING;
\set VERBOSITY sqlstate
SELECT update_project_dbt_source(:p, :'b', '{"name": "frozen"}');
DROP RULE frozen ON project_dbt_sources;
CREATE RULE frozen AS ON DELETE TO project_dbt_sources DO INSTEAD NOTHING;
SELECT delete_project_dbt_source(:p, :'b');
\set VERBOSITY default
DROP RULE frozen ON project_dbt_sources;

-- only the unique name of a project is ours; a row that breaks a rule isn't shown
CREATE UNIQUE INDEX lower_name ON project_dbt_sources (project_uuid, lower(name));
CREATE UNIQUE INDEX one_of_a_type ON project_dbt_sources (dbt_connection_type) WHERE dbt_connection_type = 'manifest';
CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_temp AS $$ BEGIN INSERT INTO public.taken VALUES (NEW.name); RETURN NEW; END $$;
CREATE TABLE public.taken (name text CONSTRAINT project_dbt_sources_project_uuid_name_key UNIQUE, CHECK (name <> 'secretive'));
GRANT ALL ON public.taken TO regress_dbt_app;
INSERT INTO public.taken VALUES ('taken');
ALTER TABLE project_dbt_sources ADD CONSTRAINT polite CHECK (name <> 'rude');
\set VERBOSITY terse
SET ROLE regress_dbt_manager;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "a"}');
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "A"}');
RESET ROLE;
CREATE TRIGGER take AFTER UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION take();
SET ROLE regress_dbt_manager;
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "taken"}');
SELECT status, body #>> '{error,name}' AS error FROM dbt.http_request('PATCH', format('/api/v1/projects/%s/dbt-sources/%s', :p, :'b'), '{"name": "a"}');
SELECT status FROM dbt.http_request('PATCH', format('/api/v1/projects/%s/dbt-sources/%s', :p, :'b'), '{"name": "taken"}');
\set VERBOSITY default
-- (its context differs between versions)
\set SHOW_CONTEXT never
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "rude"}');
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "secretive"}');
SELECT dbt.update_project_dbt_source(:p, :'b', '{"name": "rude", "dbtConnection": {"type": "none"}}');
RESET ROLE;
\set SHOW_CONTEXT errors
DROP TRIGGER take ON project_dbt_sources;
DROP INDEX lower_name, one_of_a_type;
ALTER TABLE project_dbt_sources DROP CONSTRAINT polite;

-- an error of another node, whose parts of a table and of its constraints have numbers
CREATE FUNCTION node() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE said CONSTANT text[] = string_to_array(NEW.name, '|');
BEGIN
	IF cardinality(said) = 4 THEN
		RAISE unique_violation USING MESSAGE = said[1], CONSTRAINT = said[2], TABLE = said[3], SCHEMA = said[4];
	ELSIF cardinality(said) = 3 THEN
		RAISE unique_violation USING MESSAGE = said[1], CONSTRAINT = said[2], TABLE = said[3];
	ELSIF cardinality(said) = 2 THEN
		RAISE unique_violation USING MESSAGE = said[1], CONSTRAINT = said[2];
	END IF;
	RAISE unique_violation USING MESSAGE = said[1];
END $$;
CREATE TRIGGER node BEFORE UPDATE OF name ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION node();
CREATE FUNCTION told(sent text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RETURN dbt.update_project_dbt_source(project_uuid, project_dbt_source_uuid, jsonb_build_object('name', sent)) FROM dbt.project_dbt_sources WHERE NOT is_primary LIMIT 1;
EXCEPTION WHEN unique_violation OR serialization_failure THEN
	RETURN sqlerrm;
END $$;
SELECT sent, told(sent) FROM unnest(ARRAY['"project_dbt_sources_project_uuid_name_key"', '"project_dbt_sources_project_uuid_name_key_102008"', '"project_dbt_sources_pkey_102008"',
	'"project_dbt_sources_project_uuid_game_key"', '"project_dbt_sources_project_uuid_name_keys"', '"project_dbt_sources_project_uuid_name_key_x"', '"x"', 'project_dbt_sources_project_uuid_name_key',
	'1|project_dbt_sources_project_uuid_name_key_102008|project_dbt_sources_102008|dbt', '2|project_dbt_sources_pkey_102008|project_dbt_sources_102008|dbt',
	'3|project_dbt_sources_project_uuid_name_key|project_dbt_sources|public', '4|project_dbt_sources_project_uuid_name_key|project_dbt_sources_x|dbt',
	'5|project_dbt_sources_project_uuid_name_key|project_dbt_sources', '6|project_dbt_sources_project_uuid_name_key"|project_dbt_sources|dbt', '7|project_dbt_sources_project_uuid_name_key']) WITH ORDINALITY t (sent, n) ORDER BY n;
-- its detail may be a row, if it is a row that it refuses
CREATE OR REPLACE FUNCTION node() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NEW.name LIKE '%of a table' THEN
		RAISE EXCEPTION 'refused' USING ERRCODE = left(NEW.name, 5), DETAIL = 'a row', TABLE = 'x';
	END IF;
	RAISE EXCEPTION 'refused' USING ERRCODE = left(NEW.name, 5), DETAIL = 'no row';
END $$;
CREATE OR REPLACE FUNCTION told(sent text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN dbt.update_project_dbt_source(project_uuid, project_dbt_source_uuid, jsonb_build_object('name', sent)) FROM dbt.project_dbt_sources WHERE NOT is_primary LIMIT 1;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;
SELECT sent, told(sent) FROM unnest(ARRAY['23514 of a table', '23505 of a table', '23514', 'P0001 of a table', 'P0001']) WITH ORDINALITY t (sent, n) ORDER BY n;
DROP TRIGGER node ON project_dbt_sources;
DROP FUNCTION node, told;

-- unique constraints that are checked late
ALTER TABLE project_dbt_sources DROP CONSTRAINT project_dbt_sources_project_uuid_name_key,
	DROP CONSTRAINT project_dbt_sources_pkey,
	ADD CONSTRAINT names UNIQUE (name, project_uuid) DEFERRABLE,
	ADD CONSTRAINT keys PRIMARY KEY (project_uuid, project_dbt_source_uuid) DEFERRABLE;
SELECT create_project_dbt_source(:q, '{"name": "first", "dbtConnection": {"type": "none"}}') -> 'precedence' AS precedence;
SELECT create_project_dbt_source(:q, '{"name": "first", "dbtConnection": {"type": "none"}}');
-- other unique indexes that have a name in them stay what they are
ALTER TABLE project_dbt_sources DROP CONSTRAINT names;
\set VERBOSITY terse
CREATE UNIQUE INDEX some_names ON project_dbt_sources (project_uuid, name) WHERE name = 'first';
SELECT create_project_dbt_source(:q, '{"name": "first", "dbtConnection": {"type": "none"}}');
DROP INDEX some_names;
CREATE UNIQUE INDEX names_and_types ON project_dbt_sources (name, lower(dbt_connection_type));
SELECT create_project_dbt_source(:p, '{"name": "first", "dbtConnection": {"type": "none"}}');
DROP INDEX names_and_types;
\set VERBOSITY default
ALTER TABLE project_dbt_sources DROP CONSTRAINT keys,
	ADD PRIMARY KEY (project_uuid, project_dbt_source_uuid), ADD UNIQUE (project_uuid, name);

-- columns that aren't what they were: an error, whatever is called, and nothing stored
CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);
BEGIN;
ALTER TABLE project_dbt_sources ALTER name TYPE varchar(25);
SELECT update_project_dbt_source(:p, :'b', '{"name": "x"}');
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources ALTER dbt_connection_type TYPE short USING NULL;
SELECT update_project_dbt_source(:p, :'b', '{"dbtConnection": {"type": "manifest", "manifest": "{}", "hideRefreshButton": true}}');
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources ALTER updated_at TYPE date;
SELECT update_project_dbt_source(:p, :'b', '{"name": "x"}');
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources ALTER name TYPE name;
SELECT list_project_dbt_sources(:p);
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources ALTER precedence TYPE bigint;
SELECT create_project_dbt_source(:p, '{"name": "x", "dbtConnection": {"type": "none"}}');
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources DROP version;
SELECT get_project_dbt_source(:p, :'b');
ROLLBACK;
BEGIN;
ALTER TABLE project_dbt_sources ALTER name DROP NOT NULL;
UPDATE project_dbt_sources SET name = NULL WHERE project_dbt_source_uuid = :'b';
SELECT list_project_dbt_sources(:p);
ROLLBACK;
CREATE FUNCTION refused(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	EXECUTE change;
	RETURN list_project_dbt_sources('11111111-1111-4111-8111-111111111111');
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SET client_min_messages = warning;
SELECT refused(format('ALTER TABLE project_dbt_sources DROP %I CASCADE', name)) FROM unnest(ARRAY['project_uuid', 'project_dbt_source_uuid', 'name', 'precedence',
	'dbt_connection_type', 'dbt_connection', 'updated_at', 'version']) WITH ORDINALITY t (name, n) ORDER BY n;
RESET client_min_messages;
DROP FUNCTION refused;
-- but their order doesn't matter, nor others
BEGIN;
ALTER TABLE project_dbt_sources ADD first text DEFAULT 'x', DROP created_at, DROP is_primary;
SELECT update_project_dbt_source(:p, :'b', '{"name": "x"}') ->> 'name' AS renamed;
ROLLBACK;
SELECT e ->> 'name' AS name, e ->> 'type' AS type FROM jsonb_array_elements(list_project_dbt_sources(:p)) e;

-- the table of sources in partitions
ALTER TABLE project_dbt_sources RENAME TO whole;
CREATE TABLE project_dbt_sources (LIKE whole INCLUDING ALL, FOREIGN KEY (project_uuid) REFERENCES projects) PARTITION BY HASH (project_uuid);
CREATE TABLE part0 PARTITION OF project_dbt_sources FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part1 PARTITION OF project_dbt_sources FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)
SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection FROM whole;
SELECT update_project_dbt_source(:p, :'a', '{"name": "part"}') ->> 'name' AS renamed;
SELECT update_project_dbt_source(:p, :'b', '{"name": "part"}');
SELECT create_project_dbt_source(:q, '{"name": "part", "dbtConnection": {"type": "none"}}') ->> 'name' AS created;
CREATE TRIGGER audit AFTER UPDATE ON part0 FOR EACH ROW EXECUTE FUNCTION suppress();
CREATE TRIGGER audit AFTER UPDATE ON part1 FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT update_project_dbt_source(:p, :'a', '{"name": "trigger of a part"}') ->> 'name' AS renamed;
ALTER FUNCTION suppress() RESET ALL;
SELECT update_project_dbt_source(:p, :'a', '{"name": "unsafe"}') ->> 'name' AS renamed;

-- a policy's function moves the schema, and calls us, while we run
CREATE FUNCTION public.move() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('test.moved', true) = 'not yet' THEN
		SET test.moved = 'moved';
		ALTER SCHEMA dbt RENAME TO moved;
		PERFORM moved.list_project_dbt_sources('22222222-2222-4222-8222-222222222222');
	END IF;
	RETURN true;
END $$;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY move ON projects USING (public.move());
ALTER SCHEMA dbt OWNER TO regress_dbt_app;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_dbt_app;
SET ROLE regress_dbt_app;
SET test.moved = 'not yet';
SELECT count(dbt.list_project_dbt_sources(project_uuid)) AS lists FROM unnest(ARRAY[:p, :q]::uuid[]) project_uuid;
SELECT jsonb_array_length(moved.list_project_dbt_sources(:p)) AS listed;
RESET ROLE;

SET client_min_messages = warning;
RESET search_path;
DROP EXTENSION dbt_sources;
DROP SCHEMA moved CASCADE;
DROP TABLE projects, public.taken;
DROP FUNCTION public.move;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_dbt_app;
DROP OWNED BY regress_dbt_manager, regress_dbt_app;
DROP ROLE regress_dbt_app, regress_dbt_manager;
