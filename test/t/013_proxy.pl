# What the thin proxy does by itself, see test/http/proxy.js.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
plan skip_all => 'proxy/node needs "npm ci"' unless -d "$top/proxy/node/node_modules";
my $node = PostgreSQL::Test::Cluster->new('proxy');
$node->init;
$node->append_conf('postgresql.conf', 'max_connections = 100');
$node->start;
$node->safe_psql('postgres', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT dbt.rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text);
	SELECT dbt.enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('11111111-1111-4111-8111-111111111111', 'one')");
$node->psql('postgres', slurp_file("$top/proxy/setup.sql"));
$node->safe_psql('postgres', "SELECT dbt.update_project_dbt_source('11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111', '{\"name\": \"one\"}')");

# the ports from the first on
my ($host, $port) = ($node->host, $node->port);
local %ENV = (%ENV, PGHOST => $host, PGPORT => $port, PGUSER => 'postgres', PGDATABASE => 'postgres', FIRST_PORT => PostgreSQL::Test::Cluster::get_free_port() + 1000);
my ($output, $errors) = ('', '');
IPC::Run::run([ 'node', "$top/test/http/proxy.js", 'postgresql://authenticator@' . $host =~ s{/}{%2F}gr . ":$port/postgres" ],
	'<', '/dev/null', '>', \$output, '2>', \$errors);
for my $line (split /\n/, $output)
{
	if ($line =~ /^(not )?ok (.*)/) { ok(!$1, $2) }
	else { diag $line }
}
is($errors, '', 'all of them ran');

done_testing();
