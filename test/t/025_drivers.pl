# docs/clients.md: its code, driver by driver, as it stands there; the trap that
# each has; a view for the worker; policies by auth.uid().
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
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
# sends literals.
my ($includedir) = run_command([ 'pg_config', '--includedir' ]);
my ($libdir) = run_command([ 'pg_config', '--libdir' ]);
my @drivers = (
	{ name => 'node-postgres', missing => no_node('pg'), run => [ 'node', 'node-postgres.test.js' ] },
	{ name => 'postgres.js', missing => no_node('postgres'), run => [ 'node', 'postgres.test.js' ] },
	{ name => 'knex', missing => no_node('knex'), run => [ 'node', 'knex.test.js' ] },
	{ name => 'drizzle', missing => no_node('drizzle-orm'), run => [ 'node', 'drizzle.test.js' ] },
	{ name => 'TypeORM', missing => no_node('typeorm', 20.19), run => [ 'node', 'typeorm.test.js' ] },
	{ name => 'Prisma', missing => no_node('prisma', 20.19), run => [ 'node', 'prisma.test.js' ],
		build => [ 'node_modules/.bin/prisma', 'generate', '--schema', 'prisma.schema' ] },
	{ name => 'psycopg', missing => no_python('psycopg'), run => [ 'python3', 'psycopg_test.py' ] },
	{ name => 'psycopg2', missing => no_python('psycopg2'), run => [ 'python3', 'psycopg2_test.py' ], literals => 1 },
	{ name => 'SQLAlchemy', missing => no_python('psycopg2, sqlalchemy'), run => [ 'python3', 'sqlalchemy_test.py' ], literals => 1 },
	{ name => 'JDBC', missing => no_program('javac') || (-e $jar ? '' : "there is no $jar"), run => [ 'java', '-cp', "$jar:.", 'JdbcTest' ],
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
	ok($node->poll_query_until('postgres', 'SELECT true', 't', connstr => "host=$folder port=$pool_port dbname=shop user=web"), 'pgbouncer is there')
	  or diag slurp_file("$folder/pgbouncer.out");
}
END { local $?; if ($pooler) { $pooler->signal('TERM'); $pooler->finish } }

# Runs a client's tests; returns what the server logged meanwhile.
sub try_driver
{
	my ($driver, $mode, $host, $port) = @_;
	my $offset = -s $node->logfile;
	local @ENV{ 'PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'JDBC_URL' } = ($host, $port, 'web', 'shop', "jdbc:postgresql://127.0.0.1:$port/shop?user=web&password=open");
	my $output = '';
	my $ok = IPC::Run::run([ @{ $driver->{run} }, $mode, $project, $source ], '<', '/dev/null', '>&', \$output, init => sub { chdir $folder or die $! }, IPC::Run::timeout(300));
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
			# Prisma's packages are 300 MB
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
		my $log = try_driver($driver, 'direct', $node->host, $node->port);
		if ($driver->{literals}) { like($log, qr/^.*STATEMENT: .*sesame/m, "$driver->{name}: the body is a literal in the log") }
		else { unlike($log, qr/^.*STATEMENT: .*sesame/m, "$driver->{name}: the statement in the log has no body") }

		# and with the library preloaded
		$node->safe_psql('postgres', "ALTER DATABASE shop SET session_preload_libraries = 'dbt_sources'");
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'web'");
		$log = try_driver($driver, 'pooled', $pooler ? ($folder, $pool_port) : ($node->host, $node->port));
		like($log, qr/STATEMENT: .*update_project_dbt_source/, "$driver->{name}: with the library preloaded it is logged what failed");
		unlike($log, qr/sesame/, "$driver->{name}: and without the body");
		$node->safe_psql('postgres', 'ALTER DATABASE shop RESET session_preload_libraries');
	}
}
is($files, 13, 'all files of the page were there');

$node->stop;
done_testing();
