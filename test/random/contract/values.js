// What random bodies are made of.
import { stored } from './stored.js';

const types = Object.keys(stored);

// texts, and what is pasted along with one
export const texts = [
  '', 'a', 'main', 'acme/shop', '/', 'x'.repeat(254), 'Tok-en_1.é', 'ü'.repeat(300), '🦊', '{}', ' [1] ', 'https://x y', '7', 'true', 'null',
];
const odd = [
  ' ', '  ', '\t', '\n', '\r\n', '\x7f', '\x85', '\x01', '\u00a0', '\u3000', '\u2003', '\u200b', '\ufeff', '\u202e', '\u00ad', '\u2028', '\u034f',
  '\ufff9', '\u{e0041}', '"', '\\', "'", '$', 'ä', '🦊',
];
export const unstorable = ['\0', '\ud800', '\udc00', '\ud83e'];
const numbers = [
  '0', '-0', '0.0', '7', '-1', '1.5', '-1.5e10', '1E3', '1.7976931348623157e308', '-1.7976931348623157e308', '5e-324', '1.8e308', '-1e309', '9e131071',
  '1e-400', '1e-16383', `0.${'7'.repeat(399)}`, `0.${'7'.repeat(400)}`, '0e-500', '1'.repeat(401),
];
const beyondNumeric = ['1e140000', '-1e999999', '1e-20000'];
export const names = [
  'note', 'x', '', 'a: b', 'a.b', '"', 'a\nb', '\\', 'a[0]', '0', 'ä', '\u200b', 'constructor', 'toString', 'ü'.repeat(40), 'long'.repeat(20),
  `${'y'.repeat(62)}\n`, `${'y'.repeat(61)}"z`, `${'\x01'.repeat(40)}`,
];

const keys = [
  'DBT_SCHEMA', 'DBT_ENV_SECRET_TOKEN', 'DBT_ENV_SECRET_TOKEN', 'DBT_ENV_SECRET_EMPTY', 'DBT_ENV_SECRET_NEW', 'A', '', '_', 'a1', '1a', 'A-B', 'A B',
  'PATH', 'path', 'HOME', 'http_proxy', 'GIT_DIR', 'GITHUB_TOKEN', 'LD_PRELOAD', 'LDAP_HOST', 'PYTHONPATH', 'PIPELINE', 'PIP_INDEX_URL', 'NODE_OPTIONS',
  'npm_config_x', 'LIGHTDASH_DBT_PROFILE_VAR_X', 'DBT_PROFILES_DIR', 'DBT_PROFILES_DIR_', 'XDG', 'XDG_', '_JAVA_OPTIONS', 'é',
];
// by the name of its field: what has rules of its own
export const special = {
  name: ['Marketing', ...types.map((type) => `stored ${type}`), ' ', '', 'x'.repeat(255), 'x'.repeat(256), '🦊'.repeat(255), `${'x'.repeat(260)}\n`],
  key: keys,
  value: ['', 'v', 'prod'],
  host_domain: ['github.com', 'GitLab.com', 'bitbucket.org', 'git.example.com', 'GIT.EXAMPLE.COM', 'git.example.com:8443', 'evil.example.com', ''],
  discovery_api_endpoint: ['https://metadata.cloud.getdbt.com/graphql', 'https://dbt.example.com', 'HTTPS://DBT.example.com./x', 'http://dbt.example.com', ''],
  username: ['builder', 'Builder', ''],
};

// the numbers and the texts that jsonb can't hold are for HTTP, which says why
export const storable = { odd, numbers };
export const anything = { odd: [...odd, ...unstorable], numbers: [...numbers, ...beyondNumeric] };
