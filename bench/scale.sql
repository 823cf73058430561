-- What is measured while it grows, and the plain table that grows beside it.
CREATE EXTENSION dbt_sources CASCADE;
CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text NOT NULL);
SELECT enable_dbt_sources('projects');
SELECT rotate_encryption_key();

\ir fixtures.sql

CREATE TABLE plain_sources (LIKE project_dbt_sources INCLUDING ALL);

-- neither a checkpoint, after which each page is logged once more, nor a vacuum meanwhile
ALTER SYSTEM SET autovacuum = off;
ALTER SYSTEM SET checkpoint_timeout = '1d';
ALTER SYSTEM SET max_wal_size = '32GB';
SELECT pg_reload_conf();
