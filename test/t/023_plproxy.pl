# Projects spread over four databases, as proxy/plproxy/README.md says.
use strict;
use warnings;

use Cwd qw(getcwd);
use JSON::PP;
use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
plan skip_all => 'this PostgreSQL has no PL/Proxy' if !-f "$sharedir/extension/plproxy.control";

my $folder = getcwd() . '/proxy/plproxy';
my $page = 'proxy/plproxy/README.md';
my ($on_partition) = commands($page, 'On each partition', 'sql');
my ($on_proxy, $after) = commands($page, 'On the proxy', 'sql');
my ($install) = commands($page, 'On the proxy', 'sh');
my ($as_ever) = commands($page, 'What is as ever', 'sql');
my ($draw) = commands($page, 'What differs', 'sql');
my $partitions = 4;
my $secret = 'not-to-be-seen';

# the proxy in a cluster of its own, as keys are removed when nobody has a snapshot
my ($data, $proxy) = map { PostgreSQL::Test::Cluster->new($_) } 'partitions', 'proxy';
for my $node ($data, $proxy)
{
	$node->init;
	$node->append_conf('postgresql.conf', "session_preload_libraries = 'dbt_sources'") if $node == $data;
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE web_user LOGIN; CREATE ROLE worker LOGIN');
}
for my $n (0 .. $partitions - 1)
{
	$data->safe_psql('postgres', "CREATE DATABASE shop$n");
	$data->safe_psql('postgres', "ALTER DATABASE shop$n SET dbt_sources.keyring_file = 'shop$n.jwks'");
	$data->safe_psql("shop$n", $on_partition =~ s/ & 3 = 0/ & 3 = $n/r . '
		GRANT USAGE ON SCHEMA dbt TO worker;
		GRANT SELECT ON projects TO worker;
		CREATE POLICY worker ON projects FOR SELECT TO worker USING (true);
		GRANT EXECUTE ON FUNCTION dbt.project_dbt_connection TO worker');
}
my $where = 'host=' . $data->host . ' port=' . $data->port;
$proxy->safe_psql('postgres', 'CREATE DATABASE shop');
$proxy->safe_psql('shop', $on_proxy =~ s/host=db(\d) dbname=shop sslmode=verify-full/$where dbname=shop$1/gr);
sub install
{
	my ($database) = @_;
	my ($host, $port) = ($proxy->host, $proxy->port);
	return [ 'env', "PGHOST=$host", "PGPORT=$port", 'bash', '-euc', "cd '$folder'\nsudo() { shift 2; \"\$@\"; }\n" . $install =~ s/\bshop\b/$database/r ];
}
# a name that stands in for PostgreSQL's own isn't called
$proxy->safe_psql('shop', "CREATE FUNCTION format(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END'");
command_ok(install('shop'), 'the functions are made');
$proxy->safe_psql('shop', 'DROP FUNCTION public.format');
# nothing is made for partitions without any
$proxy->safe_psql('postgres', 'CREATE DATABASE bare');
$proxy->safe_psql('bare', "CREATE EXTENSION plproxy; CREATE SERVER dbt_sources FOREIGN DATA WRAPPER plproxy OPTIONS (p0 '$where dbname=postgres');
	CREATE USER MAPPING FOR CURRENT_USER SERVER dbt_sources");
command_fails_like(install('bare'), qr/the partitions have no extension dbt_sources in a schema dbt/, 'partitions without the extension are told');
is($proxy->safe_psql('bare', "SELECT count(*) FROM pg_namespace WHERE nspname = 'dbt'"), 0, 'and nothing is made');
$proxy->safe_psql('shop', "$after
	CREATE USER MAPPING FOR worker SERVER dbt_sources;
	GRANT USAGE ON FOREIGN SERVER dbt_sources TO worker;
	GRANT USAGE ON SCHEMA dbt TO worker;
	GRANT EXECUTE ON FUNCTION dbt.project_dbt_connection TO worker");

# what the extension has, and what the proxy has of it
my $functions = sub {
	my ($node, $database, $arguments) = @_;
	return $node->safe_psql($database, "SELECT proname, $arguments, pg_get_function_result(oid), has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc
		WHERE pronamespace = 'dbt'::regnamespace AND prokind = 'f' AND (proargnames[1] IN ('project', 'source_project') AND proname LIKE '%dbt%' OR proname IN ('http_request', 'validate_dbt_connection'))
		ORDER BY proname");
};
my $extension = $functions->($data, 'shop0', 'pg_get_function_arguments(oid)');
is($functions->($proxy, 'shop', q{regexp_replace(pg_get_function_arguments(oid), ', claims text DEFAULT current_setting\(''request.jwt.claims''::text, true\)$', '')}) =~ s/^copy_on_partition.*\n//mr,
	$extension, 'the proxy has every function of a project');
is(scalar(() = $extension =~ /^/mg), 10, 'ten of them');

sub as_user
{
	my ($claims, $sql, $user) = @_;
	my (undef, $out, $err) = $proxy->psql('shop', "\\set VERBOSITY verbose\nSET request.jwt.claims = '" . encode_json($claims) . "';\n$sql",
		connstr => $proxy->connstr('shop') . ' user=' . ($user // 'web_user'), on_error_stop => 0);
	return ($out, $err);
}
sub claims { return { projects => [@_], manages => [@_] } }
sub uuid { return sprintf '%08d-0000-4000-8000-0000000000ab', $_[0] }

my @projects = map { uuid($_) } 1 .. 12;
my ($out, $err) = as_user({}, join '', map { "SELECT add_project('$_', 'p');\n" } @projects);
is($err, '', 'projects are added');
my @counts = map { $data->safe_psql("shop$_", 'SELECT count(*) FROM projects') } 0 .. $partitions - 1;
is(sum(@counts), 12, 'each once');
is(scalar(grep { $_ == 0 } @counts), 0, 'and every partition has some');

is($proxy->safe_psql('shop', 'SELECT count(*) FROM dbt.rotate_encryption_key()'), 4, 'a key for each partition');

# each function, on each project
for my $project (@projects)
{
	my ($made, $errors) = as_user(claims($project), "
		SELECT dbt.create_project_dbt_source('$project', '{\"name\": \"a\", \"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"$secret\",
			\"repository\": \"r\", \"branch\": \"b\", \"project_sub_path\": \"/\"}}') ->> 'projectDbtSourceUuid' AS source \\gset
		SELECT dbt.update_project_dbt_source('$project', :'source', '{\"name\": \"c\"}') ->> 'name';
		SELECT dbt.get_project_dbt_source('$project', :'source') -> 'dbtConnection' ->> 'branch';
		SELECT dbt.set_project_dbt_connection('$project', '{\"type\": \"none\"}') ->> 'type';
		SELECT jsonb_array_length(dbt.list_project_dbt_sources('$project'));
		SELECT status, body #>> '{results,name}' FROM dbt.http_request('PATCH', '/api/v1/projects/' || upper('$project') || '/dbt-sources/' || :'source', '{\"name\": \"d\"}');
		SELECT status, body #>> '{results,0,projectDbtSourceUuid}' FROM dbt.http_request('GET', '/api/v1/projects/$project/dbt-sources?x=1');
		SELECT dbt.create_project_dbt_source('$project', '{\"name\": \"e\", \"dbtConnection\": {\"type\": \"none\"}}') ->> 'projectDbtSourceUuid' AS other \\gset
		SELECT dbt.delete_project_dbt_source('$project', :'other');
		SELECT jsonb_array_length(dbt.list_project_dbt_sources('$project'))");
	is("$made$errors", "c\nb\nnone\n2\n200|d\n200|$project\n\n2", "all functions for $project");
}
my $project = $projects[0];
my ($source) = as_user(claims($project), "SELECT dbt.list_project_dbt_sources('$project') -> 1 ->> 'projectDbtSourceUuid'");
is((as_user({}, "SELECT dbt.project_dbt_connection('$project', '$source') ->> 'personal_access_token'", 'worker'))[0], $secret, 'the worker gets the secret');
is((as_user({}, "SELECT path FROM dbt.validate_dbt_connection('{\"type\": \"dbt\", \"target\": 1}')"))[0], 'dbtConnection.target', 'a connection is validated');
is($proxy->safe_psql('shop', "SELECT dbt.project_of_path('/%61pi/v1/projects/ABCDEF00%2d0000%2D4000-8000-0000000000aB/dbt-sources?x')"),
	'abcdef00-0000-4000-8000-0000000000ab', 'a path in capitals, and percent-encoded');
is((as_user({}, "SELECT status FROM dbt.http_request('GET', '/%00'), dbt.project_of_path('%00')"))[0], 404, 'and one that is of no project');

like($proxy->safe_psql('shop', $as_ever =~ s/5d8f…/$project/gr =~ s/c0a8…/$source/r =~ s/Growth/d/r), qr/"name": "d"/, 'a transaction with claims');

# errors keep their SQLSTATE and DETAIL
my $gitlab = '{"dbtConnection": {"type": "gitlab", "branch": 1}}';
for my $case (
	[ claims($project), "update_project_dbt_source('$project', '$source', '$gitlab')", '22023', qr/REMOTE ERROR: invalid dbt source\nDETAIL:  Remote detail: dbtConnection.repository: is required\n.*dbtConnection.branch: must be a string/s, 'a bad body' ],
	[ claims($project), "update_project_dbt_source('$project', '$project', '{\"name\": \"d\"}')", '23505', qr/REMOTE ERROR: /, 'a name twice' ],
	[ claims($project), "update_project_dbt_source(NULL, '$source', '{}')", '22023', qr/project must not be null/, 'a NULL project' ],
	[ claims($project), "get_project_dbt_source('$project', '" . uuid(99) . "')", 'P0002', qr/dbt source not found/, 'no such source' ],
	[ {}, "get_project_dbt_source('$project', '$source')", 'P0002', qr/project not found/, 'no claims' ],
	[ claims($projects[1]), "get_project_dbt_source('$project', '$source')", 'P0002', qr/project not found/, "another project's claims" ],
	[ { projects => [$project] }, "update_project_dbt_source('$project', '$source', '{}')", '42501', qr/permission denied for project/, 'claims to view alone' ],
	[ claims($project), "project_dbt_connection('$project', '$source')", '42501', qr/permission denied for function/, 'the secrets are not for everybody' ],
	[ claims($project), 'encryption_keys()', '42501', qr/permission denied for function/, 'nor are the keys' ],
	[ claims($project), "copy_project_dbt_sources(NULL, '$project')", '22023', qr/source_project must not be null/, 'a NULL to copy from' ],
	[ claims($project), 'copy_project_dbt_sources(NULL, NULL)', '22023', qr/source_project must not be null/, 'and to' ])
{
	my ($claims, $call, $sqlstate, $message, $name) = @$case;
	($out, $err) = as_user($claims, "SELECT dbt.$call");
	like($err, qr/ERROR:  $sqlstate: /, "$name: $sqlstate");
	like($err, $message, "$name: in words");
	is($out, '', "$name: nothing else");
}

# claims are those of the call: the connection to the partition is kept
($out, $err) = as_user({}, "
	BEGIN; SELECT set_config('request.jwt.claims', '" . encode_json(claims($project)) . "', true) IS NULL;
	SELECT dbt.list_project_dbt_sources('$project') IS NOT NULL; COMMIT;
	SELECT dbt.list_project_dbt_sources('$project')");
is($out, "f\nt", 'claims of a transaction');
like($err, qr/P0002/, 'and not of the next');
($out, $err) = as_user(claims($project), "
	SELECT dbt.update_project_dbt_source('$project', '$source', '$gitlab');
	SELECT dbt.list_project_dbt_sources('$project') IS NOT NULL;
	RESET request.jwt.claims;
	SELECT dbt.list_project_dbt_sources('$project')");
like("$out$err", qr/^t.*22023.*P0002/s, 'nor after an error');
$proxy->safe_psql('shop', q{CREATE FUNCTION claims_left(project uuid) RETURNS text LANGUAGE plproxy AS $$
		CLUSTER 'dbt_sources'; RUN ON hashtext(project::text); SELECT current_setting('request.jwt.claims', true); $$});
is((as_user(claims($project), "SELECT dbt.get_project_dbt_source('$project', '$source') IS NOT NULL; SELECT claims_left('$project')"))[0], "t\n", 'none is left behind');

# a copy stays on its partition
my ($elsewhere) = grep { (as_user({}, "SELECT dbt.on_same_partition('$project', '$_')"))[0] eq 'f' } @projects;
($out, $err) = as_user(claims($project, $elsewhere), "SELECT dbt.copy_project_dbt_sources('$project', '$elsewhere')");
like($err, qr/ERROR:  0A000: dbt sources cannot be copied from one partition to another\nHINT:  Give the target/, 'not to another partition');
my ($preview) = as_user({}, $draw =~ s/'5d8f\W+'/'$project'/r);
($out, $err) = as_user(claims($project, $preview), "
	SELECT add_project('$preview', 'preview');
	SELECT dbt.copy_project_dbt_sources('$project', '$preview');
	SELECT dbt.list_project_dbt_sources('$preview') -> 1 ->> 'name'");
is("$out$err", "\n1\nd", 'but within its own');
my ($home) = grep { $data->safe_psql("shop$_", "SELECT count(*) FROM projects WHERE project_uuid = '$project'") } 0 .. $partitions - 1;
$data->psql('shop' . ($home + 1) % $partitions, "INSERT INTO projects VALUES ('$project', 'stray')", stderr => \$err);
like($err, qr/violates check constraint/, 'no partition takes a project of another');

# keys, on all partitions
my $keys = 'SELECT count(*), count(*) FILTER (WHERE active), sum(connections) FILTER (WHERE active), sum(connections) FROM dbt.encryption_keys()';
is($proxy->safe_psql('shop', $keys), '4|4|25|25', 'the keys of all partitions');
my $old = $proxy->safe_psql('shop', "SELECT string_agg(quote_literal(kid), ', ') FROM dbt.encryption_keys()");
is($proxy->safe_psql('shop', "SELECT count(*) FROM dbt.rotate_encryption_key(); $keys"), "4\n8|4|0|25", 'rotated');
is($proxy->safe_psql('shop', 'SELECT sum(moved) FROM dbt.reencrypt_dbt_connections() moved; SELECT sum(moved) FROM dbt.reencrypt_dbt_connections() moved'), "25\n0", 're-encrypted');
is($proxy->safe_psql('shop', "SELECT dbt.remove_encryption_key(kid) = kid FROM unnest(ARRAY[$old]) kid"), "t\nt\nt\nt", 'removed where they were');
is($proxy->safe_psql('shop', $keys), '4|4|25|25', 'one for each is left');
($out, $err) = as_user(claims($project), "SELECT dbt.list_project_dbt_sources('$project') -> 1 ->> 'type'");
is($out, 'gitlab', 'and decrypts');

# with the library preloaded there, the proxy's log shows who failed, but no secret
$proxy->append_conf('postgresql.conf', "session_preload_libraries = 'dbt_sources'");
$proxy->reload;
my $logged = -s $proxy->logfile;
as_user(claims($project), "SELECT dbt.update_project_dbt_source('$project', '$source', '{\"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"$secret\"}}')");
my $log = slurp_file($proxy->logfile, $logged);
like($log, qr/ERROR:  dbt\.update_project_dbt_source\(4\): \[shop\d\] REMOTE ERROR: invalid dbt source/, 'an error is logged');
unlike($log . slurp_file($data->logfile), qr/\Q$secret\E/, 'no secret is');

$proxy->stop;
$data->stop;
done_testing();
