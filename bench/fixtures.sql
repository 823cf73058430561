-- What all that is measured shares.

-- project n and its source have uuids that end in n
CREATE FUNCTION uuid_of(kind integer, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(kind::text, 8, '0') || '-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;

-- about 600 bytes
CREATE FUNCTION connection(branch text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('type', 'github', 'authorization_method', 'personal_access_token',
		'personal_access_token', 'ghp_0123456789abcdefghijklmnopqrstuvwxyz', 'repository', 'acme/jaffle-shop', 'branch', branch,
		'project_sub_path', '/dbt', 'host_domain', 'github.com', 'target', 'prod', 'selector', 'tag:nightly',
		'environment', jsonb_build_array(
			jsonb_build_object('key', 'DBT_SCHEMA', 'value', 'analytics_production'),
			jsonb_build_object('key', 'DBT_THREADS', 'value', '8'),
			jsonb_build_object('key', 'DBT_ENV_SECRET_TOKEN', 'value', 'abcdefghijklmnopqrstuvwxyz0123456789'),
			jsonb_build_object('key', 'DBT_WAREHOUSE', 'value', 'transforming_xl'))) $$;
