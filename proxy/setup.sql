-- Roles and rights for what serves HTTP.  For psql, as a superuser, in the
-- database that has the extension, after enable_dbt_sources(): it's for the
-- projects of the table that was named there.  It does all or nothing, and can be
-- run again: after a change of it, or in another database.
--
-- Two roles, made unless they are there (an authenticator of PostgREST, say):
--   authenticator  who connects, and may become web_user and nobody else by this
--   web_user       who a request with a valid token runs as
--
-- Granted in this database:
--   to both      USAGE on the extension's schema, EXECUTE on http_request() and
--                postgrest_request()
--   to web_user  USAGE on the schema of the projects, SELECT and UPDATE on the
--                column with their uuid: by row level security it sees those that
--                the token's claim "projects" lists, and changes the sources of
--                those that "manages" lists (the policies claims_view and
--                claims_manage, which take the place of any of these names)
--
-- Set for the authenticator in this database: lock_timeout and statement_timeout,
-- each unless the role or the database has one.
--
-- Row level security holds for all: a role that doesn't own the projects, and
-- has no BYPASSRLS, needs a policy of its own to see one.

\if :{?schema} \else \set schema dbt \endif
\if :{?authenticator} \else \set authenticator authenticator \endif
\if :{?web_user} \else \set web_user web_user \endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
-- one run at a time, as all databases of a cluster have the same roles
LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE;

SELECT format('CREATE ROLE %I LOGIN NOINHERIT', :'authenticator')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'authenticator') \gexec
SELECT format('CREATE ROLE %I NOLOGIN', :'web_user')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'web_user') \gexec

-- which table has the projects: to the extension it's what this foreign key
-- references
SELECT count(*) AS tables, coalesce(min(name), '') AS projects, coalesce(min(schema), '') AS projects_schema,
       coalesce(min(project_uuid), '') AS project_uuid, coalesce(min(unbound), 0) AS unbound
FROM (
  SELECT DISTINCT format('%I.%I', n.nspname, p.relname) AS name, quote_ident(n.nspname) AS schema,
         quote_ident(a.attname) AS project_uuid, CASE WHEN NOT p.relforcerowsecurity THEN p.relowner END AS unbound
  FROM pg_extension e
  JOIN pg_namespace x ON x.oid = e.extnamespace
  JOIN pg_class s ON s.relnamespace = x.oid AND s.relname = 'project_dbt_sources'
  JOIN pg_attribute u ON u.attrelid = s.oid AND u.attname = 'project_uuid'
  JOIN pg_constraint k ON k.conrelid = s.oid AND k.contype = 'f' AND k.conkey = ARRAY[u.attnum] AND k.conparentid = 0
  JOIN pg_class p ON p.oid = k.confrelid
  JOIN pg_namespace n ON n.oid = p.relnamespace
  JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = k.confkey[1]
  WHERE e.extname = 'dbt_sources' AND x.nspname = :'schema'
    -- NOT ENFORCED is from 18 on
    AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
) found
\gset

-- what can't be, in words
SELECT format('DO %L', format('BEGIN RAISE USING MESSAGE = %L, HINT = %L; END', message, hint))
FROM (
  SELECT 1, format('dbt sources are not enabled in schema %I of this database', :'schema'),
         'Call enable_dbt_sources() with the table of projects, or name the schema of the extension: -v schema=...'
  WHERE :tables = 0
  UNION ALL
  SELECT 2, 'it is not clear which table has the projects', 'Drop all but one of the foreign keys of project_dbt_sources (project_uuid).'
  WHERE :tables > 1
  UNION ALL
  SELECT 3, 'who connects must not be a superuser, or a token can name any role', 'Name another role: -v authenticator=...'
  FROM pg_roles WHERE rolname = :'authenticator' AND rolsuper
  UNION ALL
  SELECT 4, 'policies must bind who requests run as, or any token manages everything',
         CASE rolname WHEN :'web_user' THEN 'It' ELSE format('Role %I, which it can become,', rolname) END ||
         CASE WHEN rolsuper THEN ' is a superuser' WHEN rolbypassrls THEN ' has BYPASSRLS'
              ELSE format(' owns table %s, which has no FORCE ROW LEVEL SECURITY', :'projects') END || '. Name another role: -v web_user=...'
  FROM pg_roles
  WHERE (rolsuper OR rolbypassrls OR oid = :unbound) AND pg_has_role(:'web_user'::name, oid, 'MEMBER')
) refused (n, message, hint)
ORDER BY n, hint LIMIT 1 \gexec

GRANT :"web_user" TO :"authenticator";

-- no request holds a connection for long
SELECT format('ALTER ROLE %I IN DATABASE %I SET %s = %L', :'authenticator', current_database(), name, value)
FROM (VALUES ('lock_timeout', '5s'), ('statement_timeout', '60s')) timeout (name, value)
WHERE NOT EXISTS (
  SELECT FROM pg_db_role_setting, unnest(setconfig) setting
  WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = :'authenticator'))
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND starts_with(setting, name || '=')) \gexec

-- who sees a project, and who changes its sources, by the claims of the token
GRANT USAGE ON SCHEMA :"schema" TO :"authenticator", :"web_user";
GRANT EXECUTE ON FUNCTION :"schema".http_request, :"schema".postgrest_request TO :"authenticator", :"web_user";
GRANT USAGE ON SCHEMA :projects_schema TO :"web_user";
-- UPDATE on any column lets it manage; the policy holds for a new uuid, too
GRANT SELECT (:project_uuid), UPDATE (:project_uuid) ON :projects TO :"web_user";
ALTER TABLE :projects ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS claims_view ON :projects;
CREATE POLICY claims_view ON :projects FOR SELECT TO :"web_user"
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'projects' ? :project_uuid::text);
DROP POLICY IF EXISTS claims_manage ON :projects;
CREATE POLICY claims_manage ON :projects FOR UPDATE TO :"web_user"
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'manages' ? :project_uuid::text);

COMMIT;
