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

# The machine, as far as it can be had without being root: a user is there after
# adduser, and nobody else may look into the home folder with the checkout.
my $home = "$folder/home";
mkdir $_ for $home, "$folder/bin";
system('cp', '-r', "$top/proxy", $home) == 0 or die;
system('rm', '-r', "$home/proxy/node/node_modules") == 0 or die;
append_to_file("$folder/users", "root\npostgres\n");
my %programs = (
	adduser => '[ "$1 $2" = "--system --group" ] && echo "$3" >>"$users"',
	# root may look everywhere
	sudo => <<'END',
[ "$1" = -u ] || exec "$@"
grep -qx "$2" "$users" || { echo "sudo: unknown user $2" >&2; exit 1; }
[ "$2" = postgres ] || export PGUSER="$2"
shift 2
find "$home" -depth -type d -exec chmod 0 {} +
exec "$@"
END
	install => <<'END',
case $* in *"-o "*)
	owner=${*#*-o } owner=${owner%% *}
	grep -qx "$owner" "$users" || { echo "install: invalid user '$owner'" >&2; exit 1; }
	set -- $(echo " $*" | sed "s/ -o $owner / /") ;;
esac
exec /usr/bin/install "$@"
END
	# what it would fetch
	npm => '[ "$*" = "ci --omit=dev" ] && cp -r "$modules" .');
append_to_file("$folder/bin/$_", "#!/bin/sh\nusers='$folder/users' home='$home' modules='$top/proxy/node/node_modules'\n$programs{$_}\n") for keys %programs;
chmod 0755, glob "$folder/bin/*";
sub open_home { return system('chmod', '-R', 'u+rwX', $home) }
END { local $?; open_home() }
$ENV{PATH} = "$folder/bin:$ENV{PATH}";
@ENV{ 'PGHOST', 'PGPORT', 'PGDATABASE' } = ($node->host, $node->port, 'postgres');
$ENV{DBT_PROXY_LISTEN} = "127.0.0.1:$port";

# the places of the documentation, and ours
sub here
{
	my ($text) = @_;
	my ($host, $etc, $opt) = ($node->host, "$folder/etc", "$folder/opt");
	$text =~ s{/var/run/postgresql}{$host}g;
	$text =~ s{/etc/dbt_sources}{$etc}g;
	$text =~ s{/opt/}{$opt/}g;
	$text =~ s{127\.0\.0\.1:8080}{127.0.0.1:$port}g;
	return $text;
}

sub runs
{
	my ($where, $text, $name) = @_;
	open_home();
	my ($out, $err) = run_command([ 'bash', '-euo', 'pipefail', '-c', "cd '$home/$where'\n" . here($text) ]);
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
my ($move, $start) = marked('proxy/node/README.md');
my ($api, $configure) = marked('proxy/postgrest/README.md');
runs('.', $setup, 'the roles are made');
runs('.', $key, 'and a key');
runs('proxy/postgrest', $api, 'what PostgREST shows');
is($node->safe_psql('shop', "SELECT has_function_privilege('web_user', 'api.request(bytea)', 'EXECUTE')"), 't', 'it is shown to who requests run as');

runs('proxy/postgrest', $configure, 'and its configuration');
my ($configured) = run_command([ 'stat', '-c', '%a %n', "$folder/etc", "$folder/etc/postgrest.conf" ]);
is($configured, "700 $folder/etc\n600 $folder/etc/postgrest.conf", 'is for nobody else');

runs('proxy/node', $move, 'the proxy moves');
my $proxy = IPC::Run::start([ 'bash', '-euc', "cd '$folder/opt/dbt-sources-proxy'\nexec " . here($start) ],
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
