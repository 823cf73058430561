# Many clients on few backends, through pgbouncer in transaction mode: what is
# of one client's transaction isn't there for the next one.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

$ENV{PATH} .= ':/usr/sbin';
# psql of 19 asks for a protocol that pgbouncer doesn't know
$ENV{PGMAXPROTOCOLVERSION} = '3.0';
# a libpq of 19 asks for a later one, to which an older pgbouncer hangs up
$ENV{PGMAXPROTOCOLVERSION} = '3.0';
plan skip_all => 'there is no pgbouncer' if !grep { -x "$_/pgbouncer" } split /:/, $ENV{PATH};

my ($clients, $backends, $turns) = (20, 2, 15);
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE EXTENSION dbt_sources CASCADE;
	SELECT rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
	SELECT enable_dbt_sources('projects');

	-- each client has a project, and claims say which and as what role
	CREATE FUNCTION project_of(client integer) RETURNS uuid LANGUAGE sql
		AS $$ SELECT (lpad(client::text, 8, '0') || '-0000-4000-8000-000000000001')::uuid $$;
	CREATE ROLE authenticator LOGIN NOINHERIT;
	CREATE ROLE web_0; CREATE ROLE web_1; CREATE ROLE viewer;
	GRANT web_0, web_1, viewer TO authenticator;
	GRANT SELECT, UPDATE ON projects TO web_0, web_1;
	GRANT SELECT ON projects TO viewer;
	ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
	CREATE POLICY claims ON projects USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb
		@> jsonb_build_object('project', project_uuid, 'role', current_user));

	CREATE FUNCTION must(holds boolean, what text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF holds IS NOT TRUE THEN RAISE '%', what; END IF;
	END $$;
	-- what a call about a client's project ends with
	CREATE FUNCTION state_of(call text, client integer) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'SELECT ' || call USING project_of(client);
		RETURN '00000';
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate;
	END $$;
	CREATE TABLE turns (client integer, backend integer DEFAULT pg_backend_pid());
	GRANT INSERT ON turns TO authenticator;
});
$node->safe_psql('shop', "INSERT INTO projects SELECT project_of(i) FROM generate_series(0, $clients - 1) i;
	SELECT set_project_dbt_connection(project_uuid, '{\"type\": \"none\"}') FROM projects");

sub write_file
{
	my ($name, $content) = @_;
	append_to_file("$folder/$name", $content);
	return "$folder/$name";
}
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $users = write_file('users', qq("authenticator" ""\n"$superuser" ""\n));
my $config = write_file('pgbouncer.ini', "[databases]\nshop = host=" . $node->host . ' port=' . $node->port . "\n[pgbouncer]
pool_mode = transaction
default_pool_size = $backends
auth_type = trust
auth_file = $users
listen_port = $port
unix_socket_dir = $folder
logfile = $folder/log
");
my $pooler = IPC::Run::start([ 'pgbouncer', '-q', $config ], '<', '/dev/null', '>&', "$folder/output");
END { local $?; if ($pooler) { $pooler->signal('TERM'); $pooler->finish } }
my $as = "host=$folder port=$port dbname=shop user=";
for (1 .. 300)
{
	last if -S "$folder/.s.PGSQL.$port";
	select undef, undef, undef, 0.1;
}
is(($node->psql('shop', 'SELECT session_user', connstr => "${as}authenticator"))[1], 'authenticator', 'pgbouncer is there') or diag slurp_file("$folder/output");

# each as often as the others, by all clients at once
sub pgbench
{
	my ($user, $name, @scripts) = @_;
	my $n = 0;
	my ($out, $err) = run_command([ 'pgbench', '-n', '-c', $clients, '-t', $turns, map({ ('-f', write_file("$name" . ++$n, $_)) } @scripts), "$as$user" ]);
	is($err =~ s/^pgbench: pghost.*\n//mr, '', "$name: as it must be");
	like($out, qr{processed: (\d+)/\1$}m, "$name: all turns");
}

# what anybody is outside of a transaction: nobody
my $nobody = q{
	SELECT must(current_user = 'authenticator' AND current_setting('role') = 'none', 'a role was left behind');
	SELECT must(coalesce(current_setting('request.jwt.claims', true), '') = '', 'claims were left behind');
	SELECT must(state_of('list_project_dbt_sources($1)', :client_id) = '42501', 'nobody sees nothing');
	INSERT INTO turns VALUES (:client_id);
};
sub begin
{
	my ($role) = @_;
	return qq{
	\\set even :client_id % 2
	\\set next (:client_id + 1) % $clients
	\\set after (:client_id + 2) % $clients
	BEGIN;
	SET LOCAL ROLE $role;
	SELECT set_config('request.jwt.claims', jsonb_build_object('project', project_of(:client_id), 'role', '$role')::text, true);
	SELECT must(list_project_dbt_sources(project_of(:client_id)) #>> '{0,type}' = 'none', 'its own project');
	SELECT must(state_of('list_project_dbt_sources(\$1)', :next) = 'P0002', 'a project of another role');
	SELECT must(state_of('list_project_dbt_sources(\$1)', :after) = 'P0002', 'another project of the same role');
	};
}
my $rename = q{must(update_project_dbt_source(project_of(:client_id), project_of(:client_id), jsonb_build_object('name', };
# who goes where is up to pgbouncer, and on a busy machine can be the same for a while
my $moved = "SELECT count(DISTINCT client), count(DISTINCT backend), count(DISTINCT (client, backend)) > $clients FROM turns";
for (1 .. 5)
{
	pgbench('authenticator', 'claims',
		begin('web_:even') . "SELECT $rename 'kept :client_id')) ->> 'name' = 'kept :client_id', 'a change');\nCOMMIT;\n$nobody",
		begin('web_:even') . "SELECT $rename 'undone'::text)) ->> 'name' = 'undone', 'a change that is undone');\nROLLBACK;\n$nobody",
		begin('web_:even') . q{SELECT must(state_of('set_project_dbt_connection($1, ''{}'')', :client_id) = '22023', 'a failure');} . "\nCOMMIT;\n$nobody",
		begin('viewer') . q{SELECT must(state_of('set_project_dbt_connection($1, ''{}'')', :client_id) = '42501', 'no change by who only sees');} . "\nCOMMIT;\n$nobody");
	last if $node->safe_psql('shop', $moved) =~ /t$/;
}
is($node->safe_psql('shop', $moved), "$clients|$backends|t", 'many clients went from backend to backend');
is($node->safe_psql('shop', "SELECT count(*), count(*) FILTER (WHERE name NOT IN ('Project dbt connection', 'kept ' || i)) FROM project_dbt_sources JOIN generate_series(0, $clients - 1) i ON project_uuid = project_of(i)"),
	"$clients|0", 'each changed its own');

# who leaves in the middle, and who is canceled in the middle of a change, when it runs as the table's owner
my $change = "BEGIN; SET LOCAL ROLE web_0; SET LOCAL statement_timeout = '200ms';
	SELECT set_config('request.jwt.claims', jsonb_build_object('project', project_of(0), 'role', 'web_0')::text, true) IS NULL;
	SELECT set_project_dbt_connection(project_of(0), '{\"type\": \"dbt\"}') ->> 'type'";
my (undef, $out, $err) = $node->psql('shop', $change, connstr => "${as}authenticator");
is("$out$err", "f\ndbt", 'a client leaves in its transaction');
$node->safe_psql('shop', q{CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
		AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
	CREATE TRIGGER wait BEFORE UPDATE ON project_dbt_sources FOR EACH ROW EXECUTE FUNCTION wait()});
for my $try (1 .. $backends)
{
	$node->psql('shop', $change, connstr => "${as}authenticator", stderr => \$err, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	like($err, qr/57014/, 'another is canceled');
}
$node->safe_psql('shop', 'DROP TRIGGER wait ON project_dbt_sources');
pgbench('authenticator', 'afterwards', $nobody);

# the runbook's commands, through the pool
my ($commands) = commands('docs/runbook.md', 'Rotate the key, with standbys', 'sh');
local @ENV{ 'PGHOST', 'PGPORT', 'PGUSER', 'keyring', 'standby_keyring', 'schema' } = ($folder, $port, $superuser, $node->data_dir . '/dbt_sources.jwks', "$folder/dbt_sources.jwks", 'public');
(undef, $err) = run_command([ 'bash', '-euc', "scp() { :; }\nssh() { :; }\n$commands" ]);
is($err, '', 'the runbook for standbys');
is($node->safe_psql('shop', 'SELECT count(*) FROM encryption_keys()'), 2, 'makes a key');
pgbench($superuser, 'runbook', "SELECT must(coalesce(current_setting('dbt_sources.keyring_file', true), '') IN ('', 'dbt_sources.jwks'), 'a setting was left behind');");

$node->stop;
done_testing();
