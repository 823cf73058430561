# docs/clients.md: its code, driver by driver, as it stands there; the trap that
# each has; a view for the worker; policies by auth.uid().
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
my $clients = "$top/test/clients";
my $folder = PostgreSQL::Test::Utils::tempdir;
my $page = slurp_file("$top/docs/clients.md");
my ($project, $other) = ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');
my $jar = '/usr/share/java/postgresql.jar';
$ENV{PATH} .= ':/usr/sbin';
# libpq of 19 asks for a protocol that pgbouncer doesn't know
$ENV{PGMAXPROTOCOLVERSION} = '3.0';

# the files of the page, and those that try them
my $files = 0;
while ($page =~ m{^```\w+\n((?://|\#|/\*) (\S+\.\w+)(?: \*/)?\n.*?)^```}msg)
{
	append_to_file("$folder/$2", $1);
	$files++;
}
append_to_file("$folder/$_", slurp_file("$clients/drivers/$_")) for map { s{.*/}{}r } glob "$clients/drivers/*";
append_to_file("$folder/package.json", slurp_file("$clients/package.json"));
symlink "$clients/node_modules", "$folder/node_modules" or die $!;

sub sql_of
{
	my ($title) = @_;
	my ($section) = $page =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms or die "no section $title";
	return $section =~ /^```sql\n(.*?)^```/msg;
}

# why a client can't be tried, or nothing
sub no_program
{
	my ($name) = @_;
	return (grep { -x "$_/$name" } split /:/, $ENV{PATH}) ? '' : "there is no $name";
}

sub no_python
{
	my ($module) = @_;
	return no_program('python3') || (IPC::Run::run([ 'python3', '-c', "import $module" ], '>&', \my $output) ? '' : "Python has no $module");
}

sub no_node
{
	my ($module, $from) = @_;
	my $missing = no_program('node') || (-d "$clients/node_modules/$module" ? '' : "test/clients/node_modules has no $module");
	return $missing if $missing || !$from;
	my ($version) = run_command([ 'node', '-p', 'process.versions.node' ]);
	my ($major, $minor) = split /\./, $version;
	return $major + $minor / 100 < $from ? "it needs Node.js $from, and this is $version" : '';
}

# Each driver: why not, how it is built, how it is run.  What binds on the client
# sends literals; of what prepares by itself the page says how to keep it from that.
my ($includedir) = run_command([ 'pg_config', '--includedir' ]);
my ($libdir) = run_command([ 'pg_config', '--libdir' ]);
my @drivers = (
	{ name => 'node-postgres', missing => no_node('pg'), run => [ 'node', 'node-postgres.test.js' ] },
	{ name => 'postgres.js', missing => no_node('postgres'), run => [ 'node', 'postgres.test.js' ], prepares => 1 },
	{ name => 'knex', missing => no_node('knex'), run => [ 'node', 'knex.test.js' ] },
	{ name => 'drizzle', missing => no_node('drizzle-orm'), run => [ 'node', 'drizzle.test.js' ] },
	{ name => 'TypeORM', missing => no_node('typeorm', 20.19), run => [ 'node', 'typeorm.test.js' ] },
	{ name => 'Prisma', missing => no_node('prisma', 20.19), run => [ 'node', 'prisma.test.js' ],
		build => [ "$folder/node_modules/.bin/prisma", 'generate', '--schema', 'prisma.schema' ] },
	{ name => 'psycopg', missing => no_python('psycopg'), run => [ 'python3', 'psycopg_test.py' ], prepares => 1 },
	{ name => 'psycopg2', missing => no_python('psycopg2'), run => [ 'python3', 'psycopg2_test.py' ], literals => 1 },
	{ name => 'SQLAlchemy', missing => no_python('psycopg2, sqlalchemy'), run => [ 'python3', 'sqlalchemy_test.py' ], literals => 1 },
	{ name => 'JDBC', missing => no_program('javac') || (-e $jar ? '' : "there is no $jar"), run => [ 'java', '-cp', "$jar:.", 'JdbcTest' ], prepares => 1,
		build => [ 'javac', '-cp', $jar, 'DbtSources.java', 'JdbcTest.java' ] },
	{ name => 'libpq', missing => -e "$includedir/libpq-fe.h" ? '' : 'there is no libpq-fe.h', run => ["$folder/libpq_test"],
		build => [ 'gcc', '-Wall', '-Wextra', '-Werror', "-I$includedir", '-o', 'libpq_test', 'libpq_test.c', "-L$libdir", "-Wl,-rpath,$libdir", '-lpq' ] });

# the server, by its socket, and for Java with a password
my $node = PostgreSQL::Test::Cluster->new('drivers');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nlisten_addresses = '127.0.0.1'\npassword_encryption = 'scram-sha-256'\ntrack_functions = all");
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', "local all all trust\nhost shop web 127.0.0.1/32 scram-sha-256");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', qq(
	CREATE SCHEMA dbt;
	CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT dbt.rotate_encryption_key();
	CREATE ROLE app; GRANT USAGE, CREATE ON SCHEMA dbt TO app; GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text);
	SELECT dbt.enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('$project', 'Shop'), ('$other', 'Other');
	RESET ROLE;
	CREATE ROLE web LOGIN PASSWORD 'open';
	GRANT USAGE ON SCHEMA dbt TO web;
	GRANT SELECT, UPDATE ON projects TO web;
	ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
	CREATE POLICY claims_view ON projects FOR SELECT TO web
	  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'projects' ? project_uuid::text);
	CREATE POLICY claims_manage ON projects FOR UPDATE TO web
	  USING (nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'manages' ? project_uuid::text)));
my ($source) = map
{
	$node->safe_psql('shop', qq(SELECT dbt.create_project_dbt_source('$project', '{"name": "$_", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid'))
} 'changed', 'taken';

# few servers behind many clients, and nothing is prepared on the right one
my ($pooler, $pool_port) = (undef, PostgreSQL::Test::Cluster::get_free_port());
my $pool = "host=$folder port=$pool_port dbname=shop user=web";
if (!no_program('pgbouncer'))
{
	my ($version) = run_command([ 'pgbouncer', '--version' ]);
	my ($minor) = $version =~ /PgBouncer 1\.(\d+)/;
	my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
	append_to_file("$folder/users", qq("web" "open"\n"$superuser" ""\n));
	append_to_file("$folder/hba", "local all all trust\nhost shop web 127.0.0.1/32 scram-sha-256\n");
	append_to_file("$folder/pgbouncer.ini", "[databases]\nshop = host=" . $node->host . ' port=' . $node->port . "\n[pgbouncer]
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
auth_type = hba
auth_file = $folder/users
auth_hba_file = $folder/hba
listen_addr = 127.0.0.1
listen_port = $pool_port
unix_socket_dir = $folder
logfile = $folder/pgbouncer.log
" . ($minor >= 21 ? "max_prepared_statements = 0\n" : ''));
	$pooler = IPC::Run::start([ 'pgbouncer', '-q', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>&', "$folder/pgbouncer.out");
	for (1 .. 300)
	{
		last if -S "$folder/.s.PGSQL.$pool_port";
		select undef, undef, undef, 0.1;
	}
	is(($node->psql('shop', 'SELECT session_user', connstr => $pool))[1], 'web', 'pgbouncer is there') or diag slurp_file("$folder/pgbouncer.out");
}
END { local $?; if ($pooler) { $pooler->signal('TERM'); $pooler->finish } }

# Runs a client's tests; returns what the server logged meanwhile.
sub try_driver
{
	my ($driver, $mode, $host, $port) = @_;
	my $offset = -s $node->logfile;
	local @ENV{ 'PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'JDBC_URL' } = ($host, $port, 'web', 'shop', "jdbc:postgresql://127.0.0.1:$port/shop?user=web&password=open");
	my $output = '';
	my $ok = eval { IPC::Run::run([ @{ $driver->{run} }, $mode, $project, $source ], '<', '/dev/null', '>&', \$output, init => sub { chdir $folder or die $! }, IPC::Run::timeout(120)) };
	diag $@ if $@;
	my $done = ($output =~ s/^done\n\z//m);
	ok($ok && $done, "$driver->{name}, $mode: to the end") or diag $output;
	while ($output =~ /\G((?:not )?ok) - (.*)\n((?:(?!(?:not )?ok - ).*\n)*)/g)
	{
		my ($result, $name, $more) = ($1, $2, $3);
		ok($result eq 'ok', "$driver->{name}, $mode: $name") or diag $more;
	}
	return slurp_file($node->logfile, $offset);
}

for my $driver (@drivers)
{
	SKIP:
	{
		if ($driver->{missing})
		{
			# Prisma's packages are 300 MB; in a checkout that has them it is tried by
			# make installcheck
			ok(0, "$driver->{name} is there") if $ENV{CI} && $driver->{missing} !~ /Node\.js|prisma$/;
			skip "$driver->{name}: $driver->{missing}", 1;
		}
		if ($driver->{build})
		{
			# it would have the one for migrations from elsewhere
			local ($ENV{PRISMA_SCHEMA_ENGINE_BINARY}, $ENV{CHECKPOINT_DISABLE}) = ('/bin/true', '1');
			my $output = '';
			ok(IPC::Run::run($driver->{build}, '<', '/dev/null', '>&', \$output, init => sub { chdir $folder or die $! }), "$driver->{name} is built") or diag $output;
		}

		# as the server is by default: what fails before the function is called is logged
		$node->safe_psql('postgres', 'ALTER DATABASE shop RESET session_preload_libraries');
		my $log = try_driver($driver, 'direct', $node->host, $node->port);
		if ($driver->{literals}) { like($log, qr/^.*STATEMENT: .*sesame/m, "$driver->{name}: the body is a literal in the log") }
		else { unlike($log, qr/^.*STATEMENT: .*sesame/m, "$driver->{name}: the statement in the log has no body") }

		# and with the library preloaded
		$node->safe_psql('postgres', "ALTER DATABASE shop SET session_preload_libraries = 'dbt_sources'");
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'web'");
		$log = try_driver($driver, 'pooled', $pooler ? ($folder, $pool_port) : ($node->host, $node->port));
		like($log, qr/STATEMENT: .*update_project_dbt_source/, "$driver->{name}: with the library preloaded it is logged what failed");
		unlike($log, qr/sesame/, "$driver->{name}: and without the body");
		if ($pooler && !$driver->{prepares})
		{
			is($node->safe_psql('shop', 'SELECT count(*) FROM pg_prepared_statements', connstr => $pool), 0, "$driver->{name}: it prepares nothing by itself");
		}
	}
}
$node->safe_psql('postgres', 'ALTER DATABASE shop RESET session_preload_libraries');
is($files, 13, 'all files of the page were there');

# A worker's view: two projects, and in each a source that can't be decrypted.
sub answer
{
	my ($server, $role, $sql) = @_;
	my (undef, $out, $err) = $server->psql('postgres', $sql, connstr => $server->connstr($server == $node ? 'shop' : 'postgres') . " user=$role",
		extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err ne '' ? $err =~ s/^.*?ERROR: +//sr : $out;
}
my $secret = '{"type": "gitlab", "personal_access_token": "sesame", "repository": "r", "branch": "b", "project_sub_path": "/"}';
$node->safe_psql('shop', qq(
	SELECT dbt.create_project_dbt_source('$project', '{"name": "broken", "dbtConnection": {"type": "dbt"}}');
	SELECT dbt.set_project_dbt_connection('$project', '$secret'), dbt.set_project_dbt_connection('$other', '{"type": "dbt"}');
	UPDATE dbt.project_dbt_sources SET dbt_connection = overlay(dbt_connection PLACING 'AAAA' FROM length(dbt_connection) - 10) WHERE name = 'broken' OR project_uuid = '$other';
	CREATE ROLE worker LOGIN;
	CREATE ROLE worker_of_one LOGIN;
	CREATE ROLE auditor LOGIN;
	GRANT USAGE ON SCHEMA dbt TO worker, worker_of_one, auditor;
	GRANT SELECT ON projects TO worker, worker_of_one, auditor;
	GRANT EXECUTE ON FUNCTION dbt.project_dbt_connection TO worker, worker_of_one;
	CREATE POLICY worker_view ON projects FOR SELECT TO worker, auditor USING (true);
	CREATE POLICY worker_of_one_view ON projects FOR SELECT TO worker_of_one USING (project_uuid = '$project')));
my ($view) = sql_of("A worker's view");
my $invoker = $node->safe_psql('shop', 'SHOW server_version_num') >= 150000;
my $without = $view =~ s/ WITH \(security_invoker\)//r;
$node->safe_psql('shop', 'SET ROLE app; ' . ($invoker ? $view : $without));
$node->safe_psql('shop', 'ALTER VIEW worker_connections OWNER TO worker') if !$invoker;
$node->safe_psql('shop', 'GRANT SELECT ON worker_connections TO worker_of_one, auditor');

my $columns = q(SELECT project_uuid = '11111111-1111-4111-8111-111111111111', name, type, dbt_connection ->> 'personal_access_token' FROM worker_connections ORDER BY 1, 2);
my @mine = ('t|Project dbt connection|gitlab|sesame', 't|broken||', 't|changed|gitlab|sesame', 't|taken|none|');
is(answer($node, 'worker', $columns), join("\n", 'f|Project dbt connection||', @mine), 'the worker reads what can be decrypted, and sees what can not');
is(answer($node, 'worker', 'SELECT dbt.project_dbt_connection(project_uuid, project_dbt_source_uuid) FROM worker_connections'), 'XX001',
	'where the function alone would end the query');
is(answer($node, 'auditor', 'SELECT count(*), count(type) FROM worker_connections'), '5|3', 'the list is for whoever sees the projects');
is(answer($node, 'auditor', 'SELECT * FROM worker_connections'), '42501', 'the connections are not');
SKIP:
{
	skip 'there is no security_invoker', 1 if !$invoker;
	is(answer($node, 'worker_of_one', $columns), join("\n", @mine), 'a worker for one project sees that one');
}
is(answer($node, 'worker', "BEGIN; SELECT count(dbt_connection) FROM worker_connections WHERE project_uuid = '$project';
	SELECT funcname, calls FROM pg_stat_xact_user_functions WHERE funcname ~ 'dbt' ORDER BY 1"), "3\nlist_project_dbt_sources|1\nproject_dbt_connection|3",
	'of one project only that one is decrypted');

# as its owner the view reads all projects
$node->safe_psql('shop', "DROP VIEW worker_connections; SET ROLE app; $without; GRANT SELECT ON worker_connections TO worker_of_one");
is(answer($node, 'worker_of_one', $columns), 'P0002', 'without security_invoker a project that only the owner sees ends the query');
$node->safe_psql('shop', 'ALTER VIEW worker_connections OWNER TO worker_of_one');
is(answer($node, 'worker_of_one', $columns), join("\n", @mine), 'unless it is the worker\'s own');
$node->stop;

# Supabase: its superuser is called supabase_admin
my $supabase = PostgreSQL::Test::Cluster->new('supabase');
$supabase->init(extra => ['--username=supabase_admin']);
$supabase->append_conf('postgresql.conf', 'log_statement = none');
$supabase->start;
sub as
{
	my ($role, $sql) = @_;
	local $ENV{PGUSER} = $role;
	return $supabase->safe_psql('postgres', $sql);
}
my ($alice, $bob, $carol) = map { "$_$_$_$_$_$_$_$_-0000-4000-8000-000000000000" } 'a' .. 'c';
as('supabase_admin', slurp_file("$clients/supabase.sql"));
my ($install, $policies) = sql_of('Policies with auth.uid()');
as('supabase_admin', $install);
as('postgres', $policies);
as('postgres', qq(INSERT INTO auth.users (id, aud) SELECT unnest('{$alice, $bob, $carol}'::uuid[]), 'authenticated';
	INSERT INTO projects VALUES ('$project', 'Shop'), ('$other', 'Other');
	INSERT INTO project_members VALUES ('$project', '$alice', true), ('$project', '$bob', false), ('$other', '$carol', true)));

# a statement as PostgREST runs it, for the role and the subject of a token
sub request
{
	my ($role, $user, $sql) = @_;
	my $claims = encode_json({ role => $role, aud => 'authenticated', $user ? (sub => $user) : () });
	return answer($supabase, 'authenticator', qq(BEGIN;
		SELECT set_config('search_path', '"public", "extensions"', true), set_config('role', '$role', true), set_config('request.jwt.claims', '$claims', true),
		  set_config('request.method', 'POST', true), set_config('request.path', '/rpc', true), set_config('request.headers', '{}', true) \\g /dev/null
		$sql;
		COMMIT));
}

# a call of a function: its arguments, by name, and what is wanted of the result
sub call
{
	my ($function, $result, %arguments) = @_;
	my @names = sort keys %arguments;
	my $columns = join ', ', map { qq("$_") } @names;
	my $types = join ', ', map { qq("$_" ) . ($_ eq 'body' ? 'jsonb' : 'uuid') } @names;
	my $named = join ', ', map { qq("$_" := pgrst_body."$_") } @names;
	return sprintf 'WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM (SELECT %s::json AS json_data) pgrst_payload,
		LATERAL (SELECT %s FROM json_to_record(pgrst_payload.json_data) AS _(%s) LIMIT 1) pgrst_body,
		LATERAL (SELECT "dbt"."%s"(%s) pgrst_scalar) pgrst_call) SELECT pgrst_scalar::jsonb %s FROM pgrst_source',
	  "'" . encode_json(\%arguments) . "'", $columns, $types, $function, $named, $result;
}
my $create = call('create_project_dbt_source', q(->> 'projectDbtSourceUuid'), project => $project, body => decode_json(qq({"name": "a", "dbtConnection": $secret})));
my $created = request('authenticated', $alice, $create);
like($created, qr/^[0-9a-f-]{36}$/, 'who manages a project adds a source');
my $update = call('update_project_dbt_source', q(->> 'name'), project => $project, source => $created, body => { name => 'b' });
my $list = call('list_project_dbt_sources', q(-> 1 ->> 'name'), project => $project);
my $read = call('project_dbt_connection', q(->> 'personal_access_token'), project => $project, source => $created);
is(request('authenticated', $alice, $update), 'b', 'and changes it');
is(request('authenticated', $bob, $list), 'b', 'a member lists');
is(request('authenticated', $bob, $update), '42501', 'and changes nothing');
is(request('authenticated', $carol, $_), 'P0002', 'for who is not a member there is no such project') for $list, $update, $create;
is(request('authenticated', undef, $list), 'P0002', 'nor without a subject');
is(request('anon', undef, $list), '42501', 'and not without a token');
is(request('authenticated', $alice, $read), '42501', 'a user reads no secrets');
is(request('service_role', undef, $read), 'sesame', 'the worker does');
is(request('authenticated', $bob, "INSERT INTO project_members VALUES ('$other', '$bob', true)"), '42501', 'nobody makes themselves a member');
is(request('authenticated', $bob, 'UPDATE project_members SET manages = true; SELECT count(*) FROM project_members WHERE manages'), '0', 'or a manager');
is(request('authenticated', $bob, 'SELECT count(*) FROM dbt.project_dbt_sources'), '42501', 'or reads the table');
is(request('authenticated', $bob, 'SELECT count(*) FROM projects'), '1', 'a member sees one project');

# who has what
my $granted = "SELECT has_function_privilege('anon', '%1\$s.project_dbt_connection(uuid, uuid)', 'EXECUTE'), has_function_privilege('anon', '%1\$s.rotate_encryption_key(boolean)', 'EXECUTE'),
	has_table_privilege('anon', '%1\$s.project_dbt_sources', 'SELECT')";
is(as('supabase_admin', sprintf $granted, 'dbt'), 'f|f|f', 'in a schema of its own nothing is granted to everybody');
as('supabase_admin', 'DROP EXTENSION dbt_sources; CREATE EXTENSION dbt_sources SCHEMA public');
as('postgres', "SELECT enable_dbt_sources('projects')");
is(as('supabase_admin', sprintf $granted, 'public'), 'f|f|f', 'nor in public, where default privileges give everything to everybody');
is(as('supabase_admin', "SELECT has_function_privilege('anon', 'public.list_project_dbt_sources(uuid)', 'EXECUTE'), has_table_privilege('anon', 'projects', 'DELETE')"),
	't|t', 'as they do');
as('supabase_admin', "DROP EXTENSION dbt_sources; DROP TABLE project_dbt_sources; ALTER TABLE projects RENAME TO before;
	CREATE EXTENSION dbt_sources SCHEMA public VERSION '0.2.0'; GRANT EXECUTE ON FUNCTION project_dbt_connection TO postgres;
	ALTER EXTENSION dbt_sources UPDATE");
is(as('supabase_admin', "SELECT has_function_privilege('anon', 'rotate_encryption_key(boolean)', 'EXECUTE'), has_function_privilege('anon', 'reencrypt_all_dbt_connections(integer)', 'EXECUTE'),
	has_function_privilege('postgres', 'project_dbt_connection(uuid, uuid)', 'EXECUTE')"), 'f|f|t', 'an upgrade adds nothing for everybody, and takes nothing that was granted');

$supabase->stop;
done_testing();
