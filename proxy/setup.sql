-- Roles and a schema for what serves HTTP.  Run as a superuser in the database
-- that has the extension in the schema dbt.

-- who connects, and who a request with a valid token then runs as
CREATE ROLE authenticator LOGIN NOINHERIT;
CREATE ROLE web_user NOLOGIN;
GRANT web_user TO authenticator;

-- no request holds a connection for long
ALTER ROLE authenticator SET lock_timeout = '5s';
ALTER ROLE authenticator SET statement_timeout = '60s';

-- who sees a project, and who changes its sources, by the claims of the token
GRANT USAGE ON SCHEMA dbt TO authenticator, web_user;
GRANT SELECT, UPDATE (name) ON public.projects TO web_user;
ALTER TABLE public.projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY claims_view ON public.projects FOR SELECT TO web_user
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'projects' ? project_uuid::text);
CREATE POLICY claims_manage ON public.projects FOR UPDATE TO web_user
  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
         -> 'manages' ? project_uuid::text);
