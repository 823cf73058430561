# What the thin proxy does by itself, see test/http/proxy.js; also behind
# pgbouncer.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
plan skip_all => 'proxy/node needs "npm ci"' unless -d "$top/proxy/node/node_modules";
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('proxy');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 100\nlog_line_prefix = '%e '\n");
$node->start;
$node->safe_psql('postgres', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT dbt.rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text);
	SELECT dbt.enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('11111111-1111-4111-8111-111111111111', 'one')");

$node->safe_psql('postgres', slurp_file("$top/proxy/setup.sql"));
$node->safe_psql('postgres', "SELECT dbt.update_project_dbt_source('11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111', '{\"name\": \"one\"}')");

# few connections for all
my ($host, $port) = ($node->host, $node->port);
my $bouncer_port = PostgreSQL::Test::Cluster::get_free_port();
my ($bouncer, @bouncer_url);
$ENV{PATH} .= ':/usr/sbin';
if (grep { -x "$_/pgbouncer" } split /:/, $ENV{PATH})
{
	append_to_file("$folder/users", qq("authenticator" ""\n));
	append_to_file("$folder/pgbouncer.ini", "[databases]\npostgres = host=$host port=$port\n[pgbouncer]
pool_mode = transaction
default_pool_size = 3
auth_type = trust
auth_file = $folder/users
listen_port = $bouncer_port
unix_socket_dir = $folder
logfile = $folder/pgbouncer.log
");
	$bouncer = IPC::Run::start([ 'pgbouncer', '-q', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>&', "$folder/output");
	@bouncer_url = 'postgresql://authenticator@' . $folder =~ s{/}{%2F}gr . ":$bouncer_port/postgres";
	$node->poll_query_until('postgres', 'SELECT true', 't', connstr => "host=$folder port=$bouncer_port dbname=postgres user=authenticator")
	  or die slurp_file("$folder/output");
}
else
{
	diag 'not behind pgbouncer, as there is none';
}
END { local $?; if ($bouncer) { $bouncer->signal('TERM'); $bouncer->finish } }

# the ports from the first on
local %ENV = (%ENV, PGHOST => $host, PGPORT => $port, PGUSER => 'postgres', PGDATABASE => 'postgres', FIRST_PORT => PostgreSQL::Test::Cluster::get_free_port() + 1000);
my ($output, $errors) = ('', '');
IPC::Run::run([ 'node', "$top/test/http/proxy.js", 'postgresql://authenticator@' . $host =~ s{/}{%2F}gr . ":$port/postgres", $node->logfile, @bouncer_url ],
	'<', '/dev/null', '>', \$output, '2>', \$errors);
for my $line (split /\n/, $output)
{
	if ($line =~ /^(not )?ok (.*)/) { ok(!$1, $2) }
	else { diag $line }
}
is($errors, '', 'all of them ran');

# the answer that the database made has no SQLSTATE, but a line in its log
ok(slurp_file($node->logfile) =~ /^XX001 LOG:  request failed: .*\nXX001 DETAIL:  The id of the request is here-2\.$/m, 'the SQLSTATE of a 500 is in the log of the database');
# and whoever calls it can't write just anything there
my $offset = -s $node->logfile;
is($node->safe_psql('postgres', "UPDATE dbt.project_dbt_sources SET dbt_connection = 'broken';
	SELECT status FROM unnest(ARRAY['', 'a b', E'a\\nb', repeat('a', 65), repeat('a', 64)]) id,
		dbt.http_request('GET', '/api/v1/projects/11111111-1111-4111-8111-111111111111/dbt-sources/11111111-1111-4111-8111-111111111111', NULL, jsonb_build_object('X-Request-ID', id))"),
	join("\n", (500) x 5), 'requests with ids of all kinds');
my $entries = substr slurp_file($node->logfile), $offset;
is(join(' ', $entries =~ /DETAIL:  The id of the request is (.*)\.$/mg), 'a' x 64, 'only a short and plain id is logged');
is(() = $entries =~ /XX001 LOG:  request failed/g, 5, 'but each failure');

done_testing();
