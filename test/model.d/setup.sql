-- The database that the operations run in: roles, an application's table of projects, and who may do what to which project.
CREATE SCHEMA dbt;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION dbt_sources;
CREATE ROLE owner;
CREATE ROLE nobody;
CREATE ROLE blind;
CREATE ROLE viewer;
CREATE ROLE manager;
CREATE ROLE worker;
CREATE ROLE keeper;
GRANT CREATE ON SCHEMA public TO owner;
SET ROLE owner;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY, viewers text[] NOT NULL, managers text[] NOT NULL);
SELECT enable_dbt_sources('projects');
GRANT SELECT ON projects TO viewer, manager, worker;
GRANT UPDATE ON projects TO manager, blind;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY view ON projects FOR SELECT USING (current_user = ANY (viewers));
CREATE POLICY manage ON projects FOR UPDATE USING (current_user = ANY (managers));
RESET ROLE;
GRANT EXECUTE ON FUNCTION project_dbt_connection TO worker;
GRANT EXECUTE ON FUNCTION rotate_encryption_key, encryption_keys, reencrypt_dbt_connections, remove_encryption_key TO keeper;
GRANT EXECUTE ON PROCEDURE reencrypt_all_dbt_connections TO keeper;

