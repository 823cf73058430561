// The sources that updates are of: one of each type, with all that an update may
// keep, and by their names.
const git = {
  personal_access_token: 'sesame-token',
  repository: 'acme/shop',
  branch: 'main',
  project_sub_path: '/',
  note: 'sesame-note',
  environment: [
    { key: 'DBT_SCHEMA', value: 'prod' },
    { key: 'DBT_ENV_SECRET_TOKEN', value: 'sesame-variable' },
    { key: 'DBT_ENV_SECRET_TOKEN', value: 'sesame-again' },
    { key: 'DBT_ENV_SECRET_EMPTY', value: '' },
  ],
};

export const stored = Object.fromEntries(
  [
    { type: 'dbt', project_dir: '/usr/app', environment: git.environment },
    {
      type: 'dbt_cloud_ide', api_key: 'sesame-key', environment_id: '7', discovery_api_endpoint: 'https://dbt.example.com/graphql',
      webhook_hmac_secret: 'sesame-hmac', empty: '',
    },
    { type: 'github', authorization_method: 'personal_access_token', host_domain: 'Git.Example.com.', ...git },
    { type: 'gitlab', ...git, environment: [] },
    { type: 'bitbucket', username: 'builder', host_domain: 'git.example.com:8443', ...git },
    { type: 'azure_devops', organization: 'acme', project: 'shop', ...git },
    { type: 'none', environment: git.environment, kept: { deep: ['sesame-deep'] } },
    { type: 'manifest', manifest: '{}', hideRefreshButton: false, kept: 'sesame-kept' },
  ].map((connection) => [connection.type, connection]),
);
