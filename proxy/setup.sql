-- Roles and rights for what serves HTTP.  For psql, as a superuser, in the
-- database that has the extension, after enable_dbt_sources().  It does all or
-- nothing, and can be run again: after a change of it, or in another database.
--
-- Two roles, made unless they are there (an authenticator of PostgREST, say):
--   authenticator  who connects, and may become web_user and nobody else by this
--   web_user       who a request with a valid token runs as
--
-- Granted in this database:
--   to both      USAGE on the extension's schema, EXECUTE on http_request() and
--                postgrest_request()
--   to web_user  SELECT and UPDATE (name) on the projects: by row level security
--                it sees those that the token's claim "projects" lists, and
--                changes the sources of those that "manages" lists
--
-- Row level security holds for all: a role that doesn't own the projects, and
-- has no BYPASSRLS, needs a policy of its own to see one.

\if :{?schema} \else \set schema dbt \endif
\if :{?projects} \else \set projects public.projects \endif
\if :{?authenticator} \else \set authenticator authenticator \endif
\if :{?web_user} \else \set web_user web_user \endif

BEGIN;
SET LOCAL client_min_messages = warning;

SELECT format('CREATE ROLE %I LOGIN NOINHERIT', :'authenticator')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'authenticator') \gexec
SELECT format('CREATE ROLE %I NOLOGIN', :'web_user')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'web_user') \gexec
SELECT rolsuper AS any_role FROM pg_roles WHERE rolname = :'authenticator' \gset
\if :any_role
DO $$ BEGIN RAISE 'who connects must not be a superuser, or a token can name any role'; END $$;
\endif
GRANT :"web_user" TO :"authenticator";

-- no request holds a connection for long
ALTER ROLE :"authenticator" IN DATABASE :"DBNAME" SET lock_timeout = '5s';
ALTER ROLE :"authenticator" IN DATABASE :"DBNAME" SET statement_timeout = '60s';

-- who sees a project, and who changes its sources, by the claims of the token
GRANT USAGE ON SCHEMA :"schema" TO :"authenticator", :"web_user";
GRANT EXECUTE ON FUNCTION :"schema".http_request, :"schema".postgrest_request TO :"authenticator", :"web_user";
GRANT SELECT, UPDATE (name) ON :projects TO :"web_user";
ALTER TABLE :projects ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS claims_view ON :projects;
CREATE POLICY claims_view ON :projects FOR SELECT TO :"web_user"
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'projects' ? project_uuid::text);
DROP POLICY IF EXISTS claims_manage ON :projects;
CREATE POLICY claims_manage ON :projects FOR UPDATE TO :"web_user"
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'manages' ? project_uuid::text);

COMMIT;
