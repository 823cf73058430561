-- The peer: the job of update_project_dbt_source() as people write it in PL/pgSQL, with pgp_sym_encrypt(); options are
-- those of that function.  measure.pl checks that it answers as ours does.
CREATE TABLE peer_sources (
	project_uuid uuid NOT NULL, project_dbt_source_uuid uuid NOT NULL, name text NOT NULL, precedence integer NOT NULL,
	dbt_connection bytea, updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (project_uuid, project_dbt_source_uuid), UNIQUE (project_uuid, name));

CREATE FUNCTION peer_update(project uuid, source uuid, body jsonb, options text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	passphrase CONSTANT text := current_setting('peer.passphrase');
	git CONSTANT text[] := ARRAY['repository', 'branch', 'project_sub_path'];
	dbt CONSTANT text[] := ARRAY['target', 'selector', 'environment'];
	old peer_sources;
	stored jsonb;
	fresh jsonb := body -> 'dbtConnection';
	required text[];
	optional text[] := '{}';
	secrets text[] := '{}';
	host text := 'host_domain';
	host_changed boolean;
	field text;
	variable jsonb;
	problems text[] := '{}';
BEGIN
	PERFORM FROM projects WHERE project_uuid = project FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE no_data_found USING MESSAGE = 'project not found';
	END IF;
	SELECT * INTO old FROM peer_sources WHERE project_uuid = project AND project_dbt_source_uuid = source FOR UPDATE;
	IF NOT FOUND THEN
		RAISE no_data_found USING MESSAGE = 'dbt source not found';
	END IF;

	IF body ? 'name' THEN
		IF jsonb_typeof(body -> 'name') <> 'string' THEN
			problems := problems || 'name: must be a string'::text;
		ELSIF body ->> 'name' !~ '\S' OR length(body ->> 'name') > 255 OR body ->> 'name' ~ '[[:cntrl:]]' THEN
			problems := problems || 'name: must be a name'::text;
		ELSE
			old.name := body ->> 'name';
		END IF;
	END IF;

	IF body ? 'dbtConnection' THEN
		stored := pgp_sym_decrypt(old.dbt_connection, passphrase)::jsonb;
		CASE fresh ->> 'type'
			WHEN 'github' THEN
				required := git || ARRAY['authorization_method'];
				optional := dbt || ARRAY['installation_id', 'host_domain'];
				secrets := ARRAY['personal_access_token'];
			WHEN 'gitlab' THEN
				required := git || ARRAY['personal_access_token'];
				optional := dbt || ARRAY['host_domain'];
				secrets := ARRAY['personal_access_token'];
			WHEN 'bitbucket' THEN
				required := git || ARRAY['personal_access_token', 'username'];
				optional := dbt || ARRAY['host_domain'];
				secrets := ARRAY['personal_access_token'];
			WHEN 'azure_devops' THEN
				required := git || ARRAY['personal_access_token', 'organization', 'project'];
				optional := dbt;
				secrets := ARRAY['personal_access_token'];
			WHEN 'dbt_cloud_ide' THEN
				required := ARRAY['api_key', 'environment_id'];
				optional := ARRAY['discovery_api_endpoint', 'tags'];
				secrets := ARRAY['api_key', 'webhook_hmac_secret'];
				host := 'discovery_api_endpoint';
			WHEN 'dbt' THEN
				required := '{}';
				optional := dbt || ARRAY['profiles_dir', 'project_dir'];
			WHEN 'none' THEN
				required := '{}';
				optional := dbt || ARRAY['hideRefreshButton'];
			WHEN 'manifest' THEN
				required := ARRAY['manifest', 'hideRefreshButton'];
			ELSE
				RAISE invalid_parameter_value USING MESSAGE = 'invalid dbt source', DETAIL = 'dbtConnection.type: must be one of the eight';
		END CASE;

		-- keep what a view withholds
		IF stored ->> 'type' = fresh ->> 'type' THEN
			host_changed := coalesce(stored ->> host, '') <> coalesce(fresh ->> host, '');
			FOR field IN SELECT jsonb_object_keys(stored) LOOP
				IF (field = ANY (secrets) OR field <> ALL (required || optional || 'type'::text))
					AND (NOT fresh ? field OR fresh -> field = '""') AND stored -> field <> '""' THEN
					IF host_changed THEN
						problems := problems || ('dbtConnection.' || field || ': must be sent again');
					END IF;
					fresh := fresh || jsonb_build_object(field, stored -> field);
				END IF;
			END LOOP;
			IF jsonb_typeof(fresh -> 'environment') = 'array' AND jsonb_typeof(stored -> 'environment') = 'array' THEN
				SELECT jsonb_set(fresh, '{environment}', coalesce(jsonb_agg(CASE
					WHEN f.variable ->> 'key' LIKE 'DBT\_ENV\_SECRET%' AND coalesce(f.variable ->> 'value', '') = '' AND s.variable IS NOT NULL
					THEN f.variable || jsonb_build_object('value', s.variable -> 'value') ELSE f.variable END ORDER BY f.n), '[]'))
				INTO fresh
				FROM jsonb_array_elements(fresh -> 'environment') WITH ORDINALITY f (variable, n)
				LEFT JOIN jsonb_array_elements(stored -> 'environment') s (variable) ON s.variable -> 'key' = f.variable -> 'key';
			END IF;
		END IF;

		FOREACH field IN ARRAY required LOOP
			IF NOT fresh ? field THEN
				problems := problems || ('dbtConnection.' || field || ': is required');
			END IF;
		END LOOP;
		FOREACH field IN ARRAY required || optional || secrets LOOP
			CONTINUE WHEN NOT fresh ? field;
			IF field = 'environment' OR field = 'tags' THEN
				IF jsonb_typeof(fresh -> field) <> 'array' THEN
					problems := problems || ('dbtConnection.' || field || ': must be an array');
				END IF;
			ELSIF field = 'hideRefreshButton' THEN
				IF jsonb_typeof(fresh -> field) <> 'boolean' THEN
					problems := problems || ('dbtConnection.' || field || ': must be true or false');
				END IF;
			ELSIF jsonb_typeof(fresh -> field) <> 'string' THEN
				problems := problems || ('dbtConnection.' || field || ': must be a string');
			END IF;
		END LOOP;
		IF jsonb_typeof(fresh -> 'environment') = 'array' AND 'environment' = ANY (optional) THEN
			FOR variable IN SELECT jsonb_array_elements(fresh -> 'environment') LOOP
				IF jsonb_typeof(variable -> 'key') IS DISTINCT FROM 'string' OR jsonb_typeof(variable -> 'value') IS DISTINCT FROM 'string'
					OR variable ->> 'key' !~ '^([A-Za-z_][A-Za-z0-9_]*)?$'
					OR variable ->> 'key' ~ '^(LIGHTDASH_DBT_PROFILE_VAR_|DYLD_|GIT_CONFIG_)'
					OR variable ->> 'key' IN ('GIT_ASKPASS', 'GIT_SSH', 'GIT_SSH_COMMAND', 'LD_AUDIT', 'LD_LIBRARY_PATH', 'LD_PRELOAD',
						'NODE_OPTIONS', 'NODE_PATH', 'PATH', 'PERL5OPT', 'PYTHONHOME', 'PYTHONPATH', 'RUBYOPT', 'SHELL', 'SSH_ASKPASS') THEN
					problems := problems || 'dbtConnection.environment: must be variables'::text;
				END IF;
			END LOOP;
		END IF;
	END IF;
	IF problems <> '{}' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'invalid dbt source', DETAIL = array_to_string(problems, E'\n');
	END IF;

	UPDATE peer_sources SET name = old.name, updated_at = now(),
		dbt_connection = CASE WHEN fresh IS NULL THEN dbt_connection ELSE pgp_sym_encrypt(fresh::text, passphrase, options) END
	WHERE project_uuid = project AND project_dbt_source_uuid = source;
	fresh := coalesce(fresh, pgp_sym_decrypt(old.dbt_connection, passphrase)::jsonb);
	RETURN jsonb_build_object('projectDbtSourceUuid', source, 'name', old.name, 'isPrimary', project = source,
		'precedence', old.precedence, 'hasCredentialError', false, 'type', fresh -> 'type', 'repository', fresh -> 'repository',
		'branch', fresh -> 'branch', 'projectSubPath', fresh -> 'project_sub_path');
END $$;

ALTER DATABASE postgres SET peer.passphrase = 'a passphrase of some length';
INSERT INTO peer_sources SELECT uuid_of(1, i), uuid_of(2, i), 'source', 1, pgp_sym_encrypt(connection('main')::text, 'a passphrase of some length', o)
FROM (VALUES (0, ''), (1, 's2k-mode=0, cipher-algo=aes256'), (2, ''), (3, 's2k-mode=0, cipher-algo=aes256')) v (i, o);
