# The scripts that set a database up for HTTP: proxy/setup.sql and
# proxy/postgrest/api.sql.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
my $mine = '11111111-1111-4111-8111-111111111111';
my $theirs = '22222222-2222-4222-8222-222222222222';
my $node = PostgreSQL::Test::Cluster->new('setup');
$node->init;
$node->start;

# A database with the extension in a schema, and two projects in a table.
sub database
{
	my ($name, $schema, $table) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, qq(CREATE SCHEMA "$schema"; CREATE EXTENSION dbt_sources SCHEMA "$schema" CASCADE)
		  . ($table ? "; CREATE TABLE $table (project_uuid uuid PRIMARY KEY, name text); SELECT \"$schema\".enable_dbt_sources('$table');
		INSERT INTO $table VALUES ('$mine', 'mine'), ('$theirs', 'theirs')" : ''));
	return;
}

sub runs
{
	my ($script, $expected, $name, $database, @variables) = @_;
	my ($status, undef, $err) = $node->psql($database, slurp_file("$top/proxy/$script"), extra_params => [ map { ('-v', $_) } @variables ]);
	is($status, $expected eq qr/^$/ ? 0 : 3, "$script $name");
	like($err, $expected, "$script $name: in words");
	return;
}
sub sets_up { return runs('setup.sql', @_) }

# What one who may see $mine, or manage it, gets: a list and a change of each
# project.  As who connects, and then as the role of a token.
sub statuses
{
	my ($database, $claims, %as) = @_;
	my ($schema, $login, $role) = ($as{schema} // 'dbt', $as{authenticator} // 'authenticator', $as{web_user} // 'web_user');
	return $node->safe_psql($database, qq(BEGIN; SET LOCAL ROLE "$role"; SET LOCAL "request.jwt.claims" = '$claims';
		SELECT string_agg(status::text, ' ' ORDER BY n) FROM (VALUES (1, 'GET', '', NULL, '$mine'), (2, 'PATCH', '/$mine', '{"name": "new"}', '$mine'),
			(3, 'GET', '', NULL, '$theirs'), (4, 'PATCH', '/$theirs', '{"name": "new"}', '$theirs')) r (n, method, source, body, project),
			"$schema".http_request(method, '/api/v1/projects/' || project || '/dbt-sources' || source, body)),
		connstr => $node->connstr($database) . " user='" . ($login =~ s/(['\\])/\\$1/gr) . "'");
}
my ($none, $view, $manage) = ('{"projects": [], "manages": []}', qq({"projects": ["$mine"]}), qq({"projects": ["$mine"], "manages": ["$mine"]}));
sub is_bound
{
	my ($name, $database, %as) = @_;
	is(join(', ', map { statuses($database, $_, %as) } $none, $view, $manage),
		'404 404 404 404, 200 403 404 404, 200 200 404 404', "$name: the claims decide");
	return;
}

# all or nothing
$node->safe_psql('postgres', 'CREATE ROLE root LOGIN SUPERUSER');
database('shop', 'dbt', 'projects');
$node->safe_psql('shop', 'SELECT dbt.rotate_encryption_key()');
my $roles = "SELECT coalesce(string_agg(rolname, ' ' ORDER BY rolname), '') FROM pg_roles WHERE rolname IN ('authenticator', 'web_user', 'root')";
sets_up(qr/dbt sources are not enabled in schema nowhere .*-v schema=/s, 'where there is no such schema', 'shop', 'schema=nowhere');
sets_up(qr/must not be a superuser/, 'refuses a superuser who connects', 'shop', 'authenticator=root');
is($node->safe_psql('shop', $roles), 'root', 'no role is left');

# where the authenticator of something else is, and again
$node->safe_psql('postgres', "CREATE ROLE authenticator LOGIN NOINHERIT CONNECTION LIMIT 77; ALTER ROLE authenticator SET statement_timeout = '8s'");
sets_up(qr/^$/, "runs the $_ time", 'shop') for 'first', 'second';
is_bound('at its defaults', 'shop');
is($node->safe_psql('shop', "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'authenticator'"), 77, 'an authenticator stays as it is');
my $timeouts = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')";
is($node->safe_psql('shop', $timeouts, connstr => $node->connstr('shop') . ' user=authenticator'), '5s|8s', 'and keeps its timeout');
is($node->safe_psql('shop', "SELECT string_agg(polname, ' ' ORDER BY polname) FROM pg_policy WHERE polrelid = 'projects'::regclass"),
	'claims_manage claims_view', 'each policy once');
is($node->safe_psql('shop', "SELECT string_agg(DISTINCT a.attname || ' ' || privilege_type, ', ') FROM pg_attribute a, aclexplode(attacl) WHERE attrelid = 'projects'::regclass"),
	'project_uuid SELECT, project_uuid UPDATE', 'what is granted on the projects');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET lock_timeout = '1s'; CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY); SELECT dbt.enable_dbt_sources('projects')");
sets_up(qr/^$/, 'where the database has a timeout', 'postgres', 'authenticator=new');
is($node->safe_psql('postgres', $timeouts, connstr => $node->connstr('postgres') . ' user=new'), '1s|1min', 'which counts');

# whom policies don't bind
$node->safe_psql('shop', 'CREATE ROLE app; CREATE ROLE app_member NOINHERIT IN ROLE app; CREATE ROLE bypass BYPASSRLS; CREATE ROLE bypass_member IN ROLE bypass;
	CREATE ROLE root_member NOINHERIT IN ROLE root; ALTER TABLE projects OWNER TO app');
my $unbound = 'policies must bind who requests run as';
sets_up(qr/$unbound.*\n.*It $_->[1]/, "refuses $_->[0]", 'shop', "web_user=$_->[0]")
  for [ 'root', 'is a superuser' ], [ 'bypass', 'has BYPASSRLS' ], [ 'app', 'owns table public.projects' ];
sets_up(qr/$unbound.*\n.*Role $_->[1], which it can become, $_->[2]/, "refuses $_->[0]", 'shop', "web_user=$_->[0]")
  for [ 'root_member', 'root', 'is a superuser' ], [ 'bypass_member', 'bypass', 'has BYPASSRLS' ], [ 'app_member', 'app', 'owns table public.projects' ];
is($node->safe_psql('shop', "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE NOT rolsuper AND pg_has_role('authenticator', oid, 'MEMBER') AND rolname <> 'authenticator'"),
	'web_user', 'who connects may become none of them');
$node->safe_psql('shop', 'ALTER TABLE projects FORCE ROW LEVEL SECURITY');
sets_up(qr/^$/, 'takes an owner whom they bind', 'shop', 'web_user=app');
is_bound('the owner', 'shop', web_user => 'app');
# what is in the sources is reached by the projects only
$node->safe_psql('shop', 'CREATE ROLE keeper; ALTER TABLE dbt.project_dbt_sources OWNER TO keeper; GRANT SELECT, REFERENCES ON projects TO keeper');
sets_up(qr/^$/, 'takes the owner of the sources', 'shop', 'web_user=keeper');
is_bound('the owner of the sources', 'shop', web_user => 'keeper');

# it goes on from enable_dbt_sources()
database('bare', 'dbt');
sets_up(qr/dbt sources are not enabled in schema dbt .*Call enable_dbt_sources\(\)/s, 'where that was not called', 'bare');
$node->safe_psql('bare', "CREATE TABLE a (id uuid PRIMARY KEY); CREATE TABLE b (id uuid PRIMARY KEY); SELECT dbt.enable_dbt_sources('a');
	ALTER TABLE dbt.project_dbt_sources ADD FOREIGN KEY (project_uuid) REFERENCES b");
sets_up(qr/not clear which table/, 'where there are two tables', 'bare');

# names of all kinds, and nothing else in the table
my %odd = (schema => q(My "dbt's" %s), authenticator => q(who "connects"), web_user => q(o'visitor \1));
my $s = $odd{schema} =~ s/"/""/gr;
database('odd', 'plain');
$node->safe_psql('odd', qq(ALTER SCHEMA plain RENAME TO "$s"; CREATE SCHEMA "The app"; CREATE TABLE "The app"."o'things" (id serial PRIMARY KEY, "the "" uuid" uuid UNIQUE, title text);
	SELECT "$s".enable_dbt_sources('"The app"."o''things"', 'the " uuid'); INSERT INTO "The app"."o'things" ("the "" uuid") VALUES ('$mine'), ('$theirs')));
runs($_, qr/^$/, 'with other names', 'odd', map { "$_=$odd{$_}" } keys %odd) for ('setup.sql', 'postgrest/api.sql') x 2;
is_bound('other names', 'odd', %odd{ 'authenticator', 'web_user' }, schema => $s, map { $_ => $odd{$_} =~ s/"/""/gr } 'web_user');

# where 0.1.0 was once, whose projects are in the extension's schema
$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('old', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt VERSION '0.1.0' CASCADE;
	ALTER EXTENSION dbt_sources UPDATE; INSERT INTO dbt.projects (project_uuid, name) VALUES ('$mine', 'mine'), ('$theirs', 'theirs')");
sets_up(qr/^$/, 'after an upgrade from 0.1.0', 'old');
is_bound('after an upgrade', 'old');

# names that stand in for PostgreSQL's own
$node->safe_psql('old', "CREATE FUNCTION public.format(text, name) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END';
	CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END';
	CREATE FUNCTION public.starts_with(text, name) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END'");
runs($_, qr/^$/, "calls nobody else's functions", 'old', 'authenticator=another') for 'setup.sql', 'postgrest/api.sql';

# two at once, in two databases: the second waits for the first
{
	my $text = slurp_file("$top/proxy/setup.sql") =~ s/^COMMIT;$//mr;
	my ($in, $out) = ("\\set authenticator shared\n\\set web_user shared_user\n$text\n\\echo told\n", '');
	my $first = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('shop') ], '<', \$in, '>', \$out, '2>&1');
	$first->pump until $out =~ /told/;
	my ($err, $output) = ('', '');
	my $second = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'authenticator=shared', '-v', 'web_user=shared_user', '-d', $node->connstr('old'), '-f', "$top/proxy/setup.sql" ],
		'<', '/dev/null', '>', \$output, '2>', \$err);
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'old' AND wait_event_type = 'Lock'"), 'a second run waits');
	$in .= "COMMIT;\n";
	$first->pump_nb;
	$first->finish;
	$second->finish;
	is("$out$output$err", "told\n", 'and both succeed');
}

# PostgREST's functions in a schema that has others, and after a renaming
$node->safe_psql('shop', 'CREATE SCHEMA api; CREATE FUNCTION api.ours() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$; CREATE FUNCTION api.closed() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$;
	REVOKE ALL ON FUNCTION api.closed FROM PUBLIC');
runs('postgrest/api.sql', qr/^$/, 'runs', 'shop');
is($node->safe_psql('shop', "SELECT string_agg(proname || ' ' || has_function_privilege('public', oid, 'EXECUTE') || ' ' || has_function_privilege('web_user', oid, 'EXECUTE'), ', ' ORDER BY proname)
	FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND proname IN ('ours', 'closed', 'request')"), 'closed false false, ours true true, request false true', 'what others have stays theirs');
$node->safe_psql('shop', 'ALTER SCHEMA dbt RENAME TO sources');
runs('postgrest/api.sql', qr/^$/, 'runs after the schema was renamed', 'shop', 'schema=sources');
my $call = "BEGIN; SET LOCAL ROLE web_user; SELECT jsonb_typeof(api.request('x'))";
is($node->safe_psql('shop', $call), 'object', 'and its functions find it');
sets_up(qr/^$/, 'as well', 'shop', 'schema=sources');
is_bound('after the schema was renamed', 'shop', schema => 'sources');

$node->stop;
done_testing();
