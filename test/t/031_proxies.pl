# What serves HTTP, set up, started and tried as the documentation says: the
# commands of docs/http.md, proxy/node/README.md and proxy/postgrest/README.md.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;
use Needs 'node', 'curl', 'jose', 'jq';

my $top = getcwd();
plan skip_all => 'proxy/node needs "npm ci"' unless -d "$top/proxy/node/node_modules";
my $folder = PostgreSQL::Test::Utils::tempdir;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $node = PostgreSQL::Test::Cluster->new('proxies');
$node->init;
$node->start;

# who they run as, in the database; there are no such users of the machine
mkdir "$folder/bin";
append_to_file("$folder/bin/sudo", "#!/bin/sh\nif [ \"\$1\" = -u ]; then [ \"\$2\" = postgres ] || export PGUSER=\"\$2\"; shift 2; fi\nexec \"\$@\"\n");
append_to_file("$folder/bin/install", "#!/bin/sh\n[ \"\$*\" = \"-d -o authenticator -m 700 $folder/etc\" ] && mkdir -m 700 $folder/etc\n");
chmod 0755, glob "$folder/bin/*";
$ENV{PATH} = "$folder/bin:$ENV{PATH}";
@ENV{ 'PGHOST', 'PGPORT', 'PGDATABASE' } = ($node->host, $node->port, 'postgres');
$ENV{DBT_PROXY_LISTEN} = "127.0.0.1:$port";

# the places of the documentation, and ours
sub here
{
	my ($text) = @_;
	my ($host, $etc) = ($node->host, "$folder/etc");
	$text =~ s{/var/run/postgresql}{$host}g;
	$text =~ s{/etc/dbt_sources}{$etc}g;
	$text =~ s{127\.0\.0\.1:8080}{127.0.0.1:$port}g;
	return $text;
}

sub runs
{
	my ($where, $text, $name) = @_;
	my ($out, $err) = run_command([ 'bash', '-euo', 'pipefail', '-c', "cd '$top/$where'\n" . here($text) ]);
	is($?, 0, $name) or diag "$out\n$err";
	return ($out, $err);
}

sub marked { return map { $_->{text} } grep { ($_->{mark} // '') eq 'run by 031_proxies' } blocks($_[0]) }

# the quick start as far as it goes without its examples
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE; SELECT dbt.rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
	SELECT dbt.enable_dbt_sources('projects')");
my $project = $node->safe_psql('shop', "INSERT INTO projects (name) VALUES ('Shop') RETURNING project_uuid");
@ENV{ 'project', 'source' } = ($project, $project);

my ($setup, $key, $try) = marked('docs/http.md');
my ($start) = marked('proxy/node/README.md');
my ($api) = marked('proxy/postgrest/README.md');
runs('.', $setup, 'the roles are made');
runs('.', $key, 'and a key');
runs('proxy/postgrest', $api, 'what PostgREST shows');
is($node->safe_psql('shop', "SELECT has_function_privilege('web_user', 'api.request(bytea)', 'EXECUTE')"), 't', 'it is shown to who requests run as');

my $proxy = IPC::Run::start([ 'bash', '-euc', "cd '$top/proxy/node'\nexec " . here($start) =~ s/^sudo -u \w+/env PGUSER=authenticator/r ],
	'<', '/dev/null', '>&', "$folder/output");
END { local $?; if ($proxy) { $proxy->signal('TERM'); $proxy->finish } }
my (undef, $waited) = run_command([ 'curl', '-qs', '--noproxy', '*', '--retry', '50', '--retry-connrefused', '--retry-delay', '1', "http://127.0.0.1:$port/readyz" ]);
is($?, 0, 'the proxy is there') or diag slurp_file("$folder/output");
$ENV{no_proxy} = '*';
my ($answer) = runs('.', $try, 'a request with a token');
like($answer, qr/"status": ?"ok".*"name": ?"Growth"/s, 'is answered');
is($node->safe_psql('shop', 'SELECT name FROM dbt.project_dbt_sources'), 'Growth', 'and done');

$node->stop;
done_testing();
