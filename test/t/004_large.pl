# Large and strange connections.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('large');
$node->init;
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one');
	SELECT rotate_encryption_key()");

sub stored_and_read
{
	my ($connection) = @_;
	return $node->safe_psql('postgres', qq{CREATE TEMP TABLE c AS SELECT $connection AS c;
		DO \$\$ BEGIN
			-- of another type, so that nothing is kept
			PERFORM set_project_dbt_connection('$project', '{"type": "dbt_cloud_ide", "api_key": "k", "environment_id": "1"}');
			PERFORM set_project_dbt_connection('$project', c) FROM c;
		END \$\$;
		SELECT project_dbt_connection('$project', '$project') = c, list_project_dbt_sources('$project') -> 0 ->> 'type' FROM c});
}

# quotes and backslashes, as a manifest in a string has them
is(stored_and_read(q{jsonb_build_object('type', 'manifest', 'hideRefreshButton', true,
		'manifest', repeat('{"k":"\\n"}ä🦊', 4 * 1024 * 1024))}),
	't|manifest', 'a manifest of 64 MiB');
is(stored_and_read(q{'{"type": "none"}'::jsonb || (SELECT jsonb_object_agg('unknown ' || i, repeat('x', i % 50))
		FROM generate_series(1, 10000) i)}),
	't|none', 'ten thousand unknown properties');
is(stored_and_read(q{jsonb_build_object('type', 'none', 'x', (repeat('[', 900) || repeat(']', 900))::jsonb)}),
	't|none', 'nine hundred levels');
is(stored_and_read(q{jsonb_build_object('type', 'dbt', 'target', (SELECT string_agg(chr(i), '')
		FROM generate_series(1, 1114111) i WHERE i NOT BETWEEN 55296 AND 57343))}),
	't|dbt', 'every character that there is');
is(stored_and_read(q{jsonb_build_object('type', 'dbt', 'environment', (SELECT jsonb_agg(jsonb_build_object(
		'key', 'DBT_ENV_SECRET_' || i, 'value', i::text)) FROM generate_series(1, 50000) i))}),
	't|dbt', 'fifty thousand secret variables');
is($node->safe_psql('postgres', 'SELECT kid IS NOT NULL, connections FROM encryption_keys()'), 't|1',
	'whose key is known by the beginning of what is stored out of line');
is($node->safe_psql('postgres', "SELECT project_dbt_connection('$project', '$project') = before
		FROM (SELECT project_dbt_connection('$project', '$project') AS before OFFSET 0) b,
		LATERAL set_project_dbt_connection('$project', get_project_dbt_source('$project', '$project') -> 'dbtConnection') s
		WHERE s ->> 'type' = 'dbt'"), 't', 'which a form sends back without their values');

my $stderr;
# as JSON, each character takes six, and of three bytes the envelope makes four
for my $case ([ 200, 'the JSON' ], [ 135, 'the envelope' ])
{
	my ($mib, $what) = @$case;
	$node->psql('postgres', "SELECT set_project_dbt_connection('$project', jsonb_build_object('type', 'manifest',
			'hideRefreshButton', true, 'manifest', repeat(chr(1), $mib * 1024 * 1024)))",
		stderr => \$stderr, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($stderr, qr/54000: dbtConnection is too large to be stored/, "past the limits of $what: a clear error");
}
# which releases of PostgreSQL take for a document is their matter
like($node->safe_psql('postgres', "SELECT status FROM http_request('POST', '/api/v1/projects/$project/dbt-sources',
		'[' || repeat('0,', 1 << 24) || '0]')"), qr/^4(00|13)$/, 'over HTTP, too: more elements than fit one allocation');
is($node->safe_psql('postgres', "SET dbt_sources.http_body_limit = '300MB';
		SELECT status FROM http_request('POST', '/api/v1/projects/$project/dbt-sources', '{\"name\": \"' || repeat('x', 1 << 28) || '\"}')"), '413', 'and a longer string than jsonb has');

# a source that is as large as a document may be, and then something around it
$node->psql('postgres', "SELECT set_project_dbt_connection('$project', jsonb_build_object('type', 'gitlab', 'personal_access_token', 't',
		'repository', 'r', 'project_sub_path', '/', 'branch', repeat('b', ((1 << 28) - 1 - overhead) / 2)))
	FROM (SELECT pg_column_size(get_project_dbt_source('$project', (s ->> 'projectDbtSourceUuid')::uuid)) AS overhead
		FROM set_project_dbt_connection('$project', '{\"type\": \"gitlab\", \"personal_access_token\": \"t\",
			\"repository\": \"r\", \"project_sub_path\": \"/\", \"branch\": \"\"}') s OFFSET 0) o");
cmp_ok($node->safe_psql('postgres', "SELECT pg_column_size(get_project_dbt_source('$project', '$project'))"), '>', (1 << 28) - 16,
	'a source that just fits');
my $stdout;
$node->psql('postgres', "SELECT http_request('GET', '/api/v1/projects/$project/dbt-sources/$project'); SELECT 'still here'",
	stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
like($stderr, qr/ERROR:  total size of jsonb object/, 'an answer that does not is an error');
is($stdout, 'still here', 'after which the session goes on');

$node->psql('postgres', "CREATE TEMP TABLE b AS SELECT jsonb_build_object('name', 'x', 'dbtConnection', jsonb_build_object('type', 'dbt',
		'environment', ('[' || repeat('{},', 1999999) || '{}]')::jsonb)) AS b;
	SET statement_timeout = 20;
	SELECT create_project_dbt_source('$project', b) FROM b", stderr => \$stderr);
like($stderr, qr/canceling statement due to statement timeout/, 'four million problems can be canceled');

$node->stop;
done_testing();
