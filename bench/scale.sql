-- A database that is measured while it is large, and the plain table beside ours.
SET client_min_messages = warning;
CREATE EXTENSION dbt_sources CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text NOT NULL);
SELECT enable_dbt_sources('projects');
CREATE TABLE plain_sources (LIKE project_dbt_sources INCLUDING ALL);

\ir fixtures.sql

-- neither a vacuum meanwhile, nor a checkpoint, after which each page is logged once more
ALTER SYSTEM SET autovacuum = off;
ALTER SYSTEM SET checkpoint_timeout = '1d';
ALTER SYSTEM SET max_wal_size = '32GB';
SELECT pg_reload_conf();

-- a keyring of its own
SELECT format('ALTER DATABASE %1$I SET dbt_sources.keyring_file = %1$L', current_database()) \gexec
\connect
SELECT rotate_encryption_key();
