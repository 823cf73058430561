# A secret that goes in comes out of project_dbt_connection() and nowhere else:
# no log, no error, no view of statistics, no file.  Every secret here has
# "sesame" in it, and nothing else has.
use strict;
use warnings;

use Cwd qw(getcwd);
use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $preview = '22222222-2222-4222-8222-222222222222';
my $seen;    # all that clients saw

my $node = PostgreSQL::Test::Cluster->new('silence');
$node->init;

# PostgreSQL::Test::Cluster logs every statement, which is not the default
my $defaults = "
log_statement = none
max_prepared_transactions = 5
deadlock_timeout = 200ms
shared_preload_libraries = 'pg_stat_statements'
";
$node->append_conf('postgresql.conf', $defaults);
$node->start;
my @psql = ('psql', '-XAt', '-d', $node->connstr('postgres'), '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always', '-f', '-');

sub run_sql
{
	my ($sql) = @_;
	my $out;
	IPC::Run::run [@psql], '<', \$sql, '>&', \$out;
	# the client quotes its own statement
	$out =~ s/^(?:LINE \d+:|\s+\^).*\n//mg;
	$seen .= $out;
	return $out;
}

sub sends
{
	my ($name, $sql, $expected) = @_;
	like(run_sql($sql), $expected, $name);
}

$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE EXTENSION pg_stat_statements;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one'), ('$preview', 'two');
	SELECT rotate_encryption_key();
	CREATE TABLE late (i integer);
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RAISE EXCEPTION USING MESSAGE = ''too late''; END';
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS
		'BEGIN RAISE EXCEPTION ''the token is \"%\"'', project_dbt_connection(NEW.project_uuid, NEW.project_dbt_source_uuid) ->> ''personal_access_token''; END';
	CREATE TRIGGER tell BEFORE UPDATE ON project_dbt_sources FOR EACH ROW WHEN (NEW.name = 'telltale') EXECUTE FUNCTION tell();
	CREATE FUNCTION slow(seconds integer) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'DECLARE t text; BEGIN t := pg_sleep(seconds)::text; RETURN t; END';
	CREATE FUNCTION says(what text, why text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%: %'', what, why; END';
	CREATE TABLE kept (i integer);
	CREATE FUNCTION store(source uuid, body jsonb) RETURNS text LANGUAGE plpgsql AS
		'BEGIN RETURN update_project_dbt_source(''$project'', source, body) ->> ''name''; END'");

sub source
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"SELECT project_dbt_source_uuid FROM project_dbt_sources WHERE project_uuid = '$project' AND name = '$name'");
}

# a body with a secret of every kind; $more is put into the connection
sub body
{
	my ($name, $more) = @_;
	$more //= '"branch": "b"';
	return qq({"name": "$name", "dbtConnection": {"type": "gitlab", "personal_access_token": "sesame-token",
		"repository": "r", "project_sub_path": "/", $more, "environment": [{"key": "DBT_ENV_SECRET_A", "value": "sesame-variable"}]}});
}

sub update
{
	my ($source, $body) = @_;
	return "update_project_dbt_source('$project', '$source', '$body')";
}

# Everything that is ours: what gets as far as one of our functions.
sub send_in_every_way
{
	my ($unknown) = @_;
	my $ok = '"branch": "b"' . $unknown;
	my $created = source('a');

	sends('create', "SELECT create_project_dbt_source('$project', '" . body('a', $ok) . "') ->> 'name'", qr/^a$|23505/) if !$created;
	my $a = source('a');
	sends('create again: unique violation', "SELECT create_project_dbt_source('$project', '" . body('a', $ok) . "')", qr/23505/);
	sends('create b', "SELECT create_project_dbt_source('$project', '" . body('b', $ok) . "') ->> 'name'", qr/^b$|23505/);
	my $b = source('b');
	sends('dbt_cloud_ide', "SELECT set_project_dbt_connection('$project', '{\"type\": \"dbt_cloud_ide\", \"environment_id\": \"1\",
		\"api_key\": \"sesame-key\", \"webhook_hmac_secret\": \"sesame-hook\"}') ->> 'type'", qr/dbt_cloud_ide/);
	sends('update', 'SELECT ' . update($a, body('a', $ok)), qr/"name": "a"/);
	sends('update: unique violation', 'SELECT ' . update($a, body('b', $ok)), qr/23505/);
	sends('update: invalid', 'SELECT ' . update($a, body('a', '"branch": 7' . $unknown)), qr/22023.*dbtConnection.branch: must be a string/s);
	sends('update: the token is no string', 'SELECT ' . update($a, '{"dbtConnection": {"type": "gitlab", "personal_access_token": ["sesame"]}}'),
		qr/22023.*personal_access_token: must be a string/s);
	sends('update: the name is a secret\'s place', 'SELECT ' . update($a, '{"name": {"personal_access_token": "sesame"}}'), qr/22023/);
	sends('update: another host', 'SELECT ' . update($a, body('a', $ok . ', "host_domain": "h"')) . '; SELECT ' .
		  update($a, '{"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "b", "project_sub_path": "/"}}'), qr/22023.*sent again/s);
	sends('validate', "SELECT * FROM validate_dbt_connection('" . body('a', '"branch": 7') . "')", qr/type/);
	sends('get', "SELECT get_project_dbt_source('$project', '$a')", qr/"dbtConnection"/);
	sends('list', "SELECT list_project_dbt_sources('$project')", qr/"name": "b"/);
	sends('copy', "SELECT copy_project_dbt_sources('$project', '$preview')", qr/^2$/);
	sends('re-encrypt', 'SELECT rotate_encryption_key() IS NULL; SELECT reencrypt_dbt_connections(); SELECT count(*) > 1 FROM encryption_keys()', qr/^f\n\d+\nt$/);
	sends('delete', "SELECT count(delete_project_dbt_source('$preview', project_dbt_source_uuid)) FROM project_dbt_sources
		WHERE project_uuid = '$preview' AND NOT is_primary", qr/^2$/);

	my $path = "/api/v1/projects/$project/dbt-sources/$a";
	sends('HTTP', "SELECT status FROM http_request('PATCH', '$path', '" . body('a', $ok) . "')", qr/^200$/);
	sends('HTTP: invalid', "SELECT * FROM http_request('PATCH', '$path', '" . body('a', '"branch": 7') . "')", qr/^400\|/);
	sends('HTTP: a broken body', "SELECT * FROM http_request('PATCH', '$path', '" . body('a', $ok) . "]')", qr/^400\|.*not valid JSON/);
	sends('HTTP: a name that is taken', "SELECT * FROM http_request('PATCH', '$path', '" . body('b', $ok) . "')", qr/^409\|/);
	sends('HTTP: an error that is not of the API', "BEGIN READ ONLY; SELECT * FROM http_request('PATCH', '$path', '" . body('a', $ok) . "')", qr/25006/);
	sends('PostgREST', "BEGIN; SELECT count(set_config('request.headers', '{\"x-original-method\": \"PATCH\", \"x-original-uri\": \"$path\"}', true));
		SELECT postgrest_request(convert_to('" . body('a', $ok) . "', 'UTF8')) -> 'status'; SELECT postgrest_request(convert_to('" . body('a', $ok) . "]', 'UTF8'));
		SET LOCAL transaction_read_only = on; SELECT postgrest_request(convert_to('" . body('a', $ok) . "', 'UTF8')); COMMIT", qr/"ok".*not valid JSON.*"statusCode": 500/s);

	sends('PL/pgSQL', "SELECT store('$a', '" . body('a', $ok) . "')", qr/^a$/);
	sends('PL/pgSQL: invalid', "SELECT store('$a', '" . body('a', '"branch": 7') . "')", qr/22023/);
	sends('a join with a temp table', "CREATE TEMP TABLE t (name text, body jsonb);\nCOPY t FROM STDIN;\n" . join('', map {
				my $line = body($_, $ok);
				$line =~ s/\s+/ /g;
				"$_\t$line\n"
			} 'a', 'b') . "\\.\nSELECT update_project_dbt_source(project_uuid, project_dbt_source_uuid, body) ->> 'name'
		FROM t JOIN project_dbt_sources USING (name) ORDER BY 1;
		SELECT update_project_dbt_source(project_uuid, project_dbt_source_uuid, jsonb_set(body, '{dbtConnection,branch}', '7'))
		FROM t JOIN project_dbt_sources USING (name)", qr/^COPY 2\na\nb\n.*22023/ms);
	sends('an error after the call', 'SELECT ' . update($a, body('a', $ok)) . ', 1 / (random() * 0)::integer', qr/22012/);
	sends('an error at commit', 'WITH i AS (INSERT INTO late VALUES (1) RETURNING i) SELECT ' . update($a, body('a', $ok)) . ' FROM i', qr/P0001: (?:too late|\*)/);
	sends('read-only', 'BEGIN READ ONLY; SELECT ' . update($a, body('a', $ok)), qr/25006/);

	# parameters of the extended protocol
	my $script = $node->basedir . '/script';
	append_to_file($script, '') if !-e $script;
	for my $case (['a', body('a', $ok), 0], ['b', body('a', $ok), 2], ['a', body('a', '"branch": 7'), 2])
	{
		my ($name, $body, $status) = @$case;
		open my $fh, '>', $script or die $!;
		print $fh "SELECT update_project_dbt_source('$project', '" . source($name) . "', :body);\n";
		close $fh;
		for my $protocol ('extended', 'prepared')
		{
			my $out;
			IPC::Run::run [ 'pgbench', '-n', '-t', '1', '-M', $protocol, '-D', "body=$body", '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], '>&', \$out;
			$out =~ s/^.*pgbench: client \d+ sending.*$//mg;
			$seen .= $out;
			like($out, $status ? qr/aborted/ : qr{1/1}, "parameters, $protocol: $name");
		}
	}

	# what waits for a lock
	run_sql("BEGIN; SELECT update_project_dbt_source('$project', '$a', '{\"name\": \"a\"}') IS NULL; PREPARE TRANSACTION 'holder'");
	sends('a lock timeout', "SET lock_timeout = '100ms'; SELECT " . update($a, body('a', $ok)), qr/55P03/);
	sends('a statement timeout', "SET statement_timeout = '100ms'; SELECT " . update($a, body('a', $ok)), qr/57014/);
	my $out = '';
	my $waiting = IPC::Run::start [ @psql[0 .. $#psql - 2], '-c', 'SELECT ' . update($a, body('a', $ok)) ], '>&', \$out;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'") or die;
	sends('pg_stat_activity, while it waits', "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'", qr/update_project_dbt_source/);
	is(run_sql("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_statements s ON queryid = query_id
		WHERE wait_event_type = 'Lock' AND s.query = 'SELECT update_project_dbt_source(\$1, \$2, \$3)'"), "1\n", 'it is known by the id of the statement that called it');
	sends('a cancel', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", qr/t/);
	$waiting->finish;
	$seen .= $out;
	like($out, qr/57014/, 'canceled');
	run_sql("COMMIT PREPARED 'holder'");

	# others come between
	sends('a serialization failure', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM projects;\n" .
		  "\\! psql -XAtq -d '" . $node->connstr('postgres') . "' -c \"SELECT update_project_dbt_source('$project', '$a', '{\\\"name\\\": \\\"a\\\"}') IS NULL\"\n" .
		  'SELECT ' . update($a, body('a', $ok)), qr/40001/);
	my $other = $node->basedir . '/other.sql';
	open my $fh, '>', $other or die $!;
	print $fh 'BEGIN; SELECT ' . update($b, body('b', $ok)) . ' IS NULL; SELECT ' . update($a, body('a', $ok)) . " IS NULL; COMMIT;\n";
	close $fh;
	sends('a deadlock', "BEGIN; SELECT " . update($a, body('a', $ok)) . " IS NULL;\n" .
		  "\\! psql -XAtq -d '" . $node->connstr('postgres') . "' -v VERBOSITY=verbose -f '$other' >'$other.out' 2>&1 &\n" .
		  "DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.05); END LOOP; END \$\$;\n" .
		  'SELECT ' . update($b, body('b', $ok)) . " IS NULL; ROLLBACK;\n" .
		  "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock') LOOP PERFORM pg_sleep(0.05); END LOOP; END \$\$;\n", qr/./);
	$seen .= slurp_file("$other.out");
	sends('pg_stat_activity, in a transaction', 'BEGIN; SELECT ' . update($a, body('a', $ok)) . " IS NULL;\n\\! psql -XAtq -d '" .
		  $node->connstr('postgres') . "' -c \"SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in%'\"\nCOMMIT", qr/update_project_dbt_source\((?:\.\.\.\)|\*)/);
}

# What ends before one of our functions is called, or doesn't end there.
sub send_in_ways_that_are_not_ours
{
	my $a = source('a');
	my $json = body('a');
	my $one_line = $json =~ s/\s+/ /gr;
	my $escaped = $one_line =~ s/"/\\"/gr;
	my $doubled = $one_line =~ s/'/''/gr;
	my $unicode = $one_line =~ s/personal_access_token/\\u0070ersonal_access_token/r;
	my $call = "update_project_dbt_source('$project', '$a',";

	sends('DO', "DO \$\$ BEGIN PERFORM $call '$one_line'); END \$\$", qr/DO/);
	sends('DO: invalid', "DO \$\$ BEGIN PERFORM $call '" . body('a', '"branch": 7') . "'); END \$\$", qr/22023/);
	# (psql before 15 prints the last result only)
	sends('one statement of several', "SELECT 1\\; DO \$\$ BEGIN PERFORM $call '$one_line'); END \$\$\\; SELECT 2", qr/^(?:1\n(?:DO\n)?)?2$/m);
	sends('PREPARE', "PREPARE p(jsonb) AS SELECT $call \$1) ->> 'name'; EXECUTE p('$json')", qr/^a$/m);
	sends('PREPARE with a literal', "PREPARE p AS SELECT $call '$json') ->> 'name'; EXECUTE p", qr/^a$/m);
	sends('a cursor', "BEGIN; DECLARE c CURSOR FOR SELECT $call '$json') ->> 'name'; FETCH c; COMMIT", qr/^a$/m);
	sends('COPY TO', "COPY (SELECT $call '$json') ->> 'name') TO STDOUT", qr/^a$/m);
	sends('EXPLAIN', "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF) SELECT $call p) FROM (SELECT '{}'::jsonb AS p OFFSET 0) s", qr/update_project_dbt_source/);
	sends('a broken body', "SELECT $call '{\"dbtConnection\": {\"personal_access_token\": \"sesame\", ]')", qr/22P02/);
	sends('a broken body that ends', "SELECT $call '{\"dbtConnection\": {\"personal_access_token\": \"sesame')", qr/22P02/);
	sends('a broken body whose error begins in the token', "SELECT $call '{\"personal_access_token\": \"" . 'sesame' x 20 . "\" ]')", qr/22P02/);
	sends('a token without quotes', "SELECT $call '{\"personal_access_token\": sesame}')", qr/22P02/);
	sends('a broken line of COPY', "CREATE TEMP TABLE t (body jsonb);\nCOPY t FROM STDIN;\n{\"personal_access_token\": \"sesame\", ]\n\\.\n", qr/22P02/);
	sends('arguments in the wrong order', "SELECT update_project_dbt_source('$one_line', '$project', '$a')", qr/22P02/);
	sends('a syntax error', "SELECT $call '$json'", qr/42601/);
	sends('a missing function', "SELECT no_$call '$json')", qr/42883/);
	sends('PostgREST: a trigger that tells', "BEGIN; SELECT count(set_config('request.headers', '{\"x-original-method\": \"PATCH\",
		\"x-original-uri\": \"/api/v1/projects/$project/dbt-sources/$a\", \"x-request-id\": \"told\"}', true));
		SELECT postgrest_request(convert_to('{\"name\": \"telltale\"}', 'UTF8')); COMMIT", qr/"statusCode": 500/);
	sends("E''", "SELECT $call E'$escaped') ->> 'name'", qr/^a$/m);
	sends("E'', broken", "SELECT $call E'$escaped}')", qr/22P02/);
	sends('dollar quotes', "SELECT $call \$x\$$json\$x\$) ->> 'name'", qr/^a$/m);
	sends('a quote in the token', "SELECT $call '" . ($json =~ s/sesame-token/sesame\\"''sesame/r) . "') ->> 'name'", qr/^a$/m);
	sends('an escaped name', "SELECT $call '$unicode') ->> 'name'", qr/^a$/m);
	sends('an escaped name, broken', "SELECT $call '$unicode}')", qr/22P02/);
	sends('quotes in quotes', "DO 'BEGIN PERFORM update_project_dbt_source(''$project'', ''$a'', ''$one_line''); END'", qr/DO/);
	sends('jsonb_build_object', "SELECT $call jsonb_build_object('dbtConnection', jsonb_build_object('type', 'gitlab', 'personal_access_token',
		'sesame', 'repository', 'r', 'branch', 'b', 'project_sub_path', '/'))) ->> 'name'", qr/^a$/m);
	sends('jsonb_set', "SELECT $call jsonb_set('$json', '{dbtConnection,personal_access_token}', '\"sesame\"')) ->> 'name'", qr/^a$/m);
	sends('json_object', "SELECT $call jsonb_build_object('dbtConnection', json_object('{type,none,personal_access_token,sesame}'))) ->> 'name'", qr/^a$/m);
	sends('a comment between', "SELECT $call '{\"dbtConnection\": {\"type\": \"none\", \"personal_access_token\":' /* of \" */\n '\"sesame\"}}') ->> 'name'", qr/^a$|42601/m);
	sends('an alias', "SELECT $call jsonb_build_object('dbtConnection', to_jsonb(c))) ->> 'name' FROM (SELECT 'none' AS type, 'sesame' AS personal_access_token) c", qr/^a$/m);
	sends('a value that begins with what is no quote', "SELECT (dbtConnection) 'sesame'", qr/42601|42703/);
	sends('RAISE', "DO \$\$ BEGIN RAISE EXCEPTION '%', 'sesame, the personal_access_token'; END \$\$", qr/P0001/);
	sends('RAISE after a call', "DO \$\$ BEGIN PERFORM $call '{}'); RAISE EXCEPTION '%', 'sesame'; END \$\$", qr/P0001/);
	sends('RAISE after an error was caught', "DO \$\$ BEGIN BEGIN PERFORM $call '{\"name\": 7}'); EXCEPTION WHEN OTHERS THEN NULL; END; RAISE EXCEPTION '%', 'sesame'; END \$\$", qr/P0001/);
	# pg_stat_statements takes these texts apart, if it doesn't know them yet
	sends('PREPARE: a quote in a comment', "PREPARE p AS SELECT /* the worker's /* own */ */ $call '$json') ->> 'name', 1; EXECUTE p", qr/^a\|1$/m);
	sends('PREPARE: a letter in a comment', "PREPARE p AS SELECT 1, /* für den Worker */ $call '$json') ->> 'name'; EXECUTE p", qr/^1\|a$/m);
	sends('PREPARE: a quotient', "PREPARE p AS SELECT /* own */ 6/(1 + count(*)), max($call '$json') ->> 'name') FROM late; EXECUTE p", qr/^6\|/m);
	sends('CREATE TABLE AS: a comment', "CREATE TEMP TABLE t AS SELECT 1 AS i, 2 AS j, /* it's */ $call '$json') ->> 'name' AS name; TABLE t", qr/^1\|2\|a$/m);
	sends('a function that is missing in PL/pgSQL', "DO \$\$ BEGIN PERFORM update_project_dbt_source('sesame'); END \$\$", qr/42883/);
	sends('a long statement', 'SELECT no_project_dbt_source(1' . ' + 1' x 300 . ')', qr/42883/);
	# what an error says tells of the statement, too
	sends('names in a message', "SELECT says('the ' || 'dbt_' || 'connection is', 'ses' || 'ame')", qr/P0001/);
	sends('pg_stat_activity, after a statement that is hidden', "SELECT 'sesame' = 'x' AS dbt_connection;\nBEGIN; SELECT count(list_project_dbt_sources(project_uuid)) FROM projects;\n\\! psql -XAtq -d '" .
		  $node->connstr('postgres') . "' -c \"SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in%'\"\nCOMMIT", qr/^SELECT list_project_dbt_sources\(\.\.\.\)$/m);
	sends('pg_stat_activity, after an error', "SELECT $call '{\"personal_access_token\": \"sesame\", ]');\n\\! psql -XAtq -d '" .
		  $node->connstr('postgres') . "' -c \"SELECT query FROM pg_stat_activity WHERE query LIKE '%personal_access_token%' AND pid <> pg_backend_pid()\"\n", qr/22P02/);
}

# pg_stat_activity of what is no function of ours, in the extended protocol
sub send_and_watch
{
	my $script = $node->basedir . '/watched';
	open my $fh, '>', $script or die $!;
	print $fh "SELECT '{\"personal_access_token\": \"sesame\"}', pg_sleep(:seconds);\n";
	close $fh;
	for my $protocol ('extended', 'prepared')
	{
		my ($in, $out) = ('', '');
		my $pgbench = IPC::Run::start [ 'pgbench', '-n', '-t', '2', '-M', $protocol, '-D', 'seconds=2', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], '>&', \$out;
		ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT *'"),
			"pg_stat_activity, while it runs, $protocol");
		$pgbench->finish;
	}
	# and before it runs: a function is called by the planner, and nothing is logged meanwhile
	open $fh, '>', $script or die $!;
	print $fh "SET log_statement = none;\nSET log_min_messages = error;\nSELECT slow(600), '{\"personal_access_token\": \"sesame\"}' = '';\n";
	close $fh;
	my $psql = IPC::Run::start [ @psql[0 .. $#psql - 1], $script ], '>', '/dev/null';
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT slow(600), *'"),
		'pg_stat_activity, while it is planned');
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT slow(600), *'");
	$psql->finish;
}

# pg_stat_activity of what is executed more than once, as for a few rows at a time
sub send_and_fetch
{
	my $call = "update_project_dbt_source('$project', '" . source('a') . "', '" . body('a') . "')";
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die $!;
	my $pid;
	my $send = sub { my ($type, $payload) = @_; print $socket $type . pack('N', 4 + length $payload) . $payload; $socket->flush };
	# reads messages up to one of these types
	my $until = sub {
		my ($types) = @_;
		while (1)
		{
			my ($header, $payload);
			read($socket, $header, 5) == 5 or die 'the server closed the connection';
			my ($type, $len) = unpack 'aN', $header;
			read $socket, $payload, $len - 4;
			$pid = unpack 'N', $payload if $type eq 'K';
			die $payload if $type eq 'E';
			return if index($types, $type) >= 0;
		}
	};
	$send->('', pack('N', 196608) . "user\0" . $node->safe_psql('postgres', 'SELECT current_user') . "\0database\0postgres\0\0");
	$until->('Z');
	# what is logged is hidden before it is shown
	$send->('Q', "SET log_statement = none; SET log_duration = off; SET log_min_duration_statement = -1; SET log_min_messages = error;\0");
	$until->('Z');
	for my $sql ("INSERT INTO kept SELECT generate_series(1, 3) RETURNING $call", "WITH i AS (INSERT INTO kept SELECT generate_series(1, 3) RETURNING i) SELECT $call FROM i",
		"EXPLAIN (VERBOSE) SELECT $call FROM kept")
	{
		$send->('Q', "BEGIN\0");
		$until->('Z');
		$send->('P', "\0$sql\0\0\0");
		$send->('B', "p\0\0\0\0\0\0\0\0");
		for my $time ('first', 'second')
		{
			$send->('E', "p\0" . pack('N', 1));
			$send->('H', '');
			$until->('s');
			my $shown = $node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $pid");
			like($shown, qr/^(?:INSERT|WITH|EXPLAIN|SELECT update_project)/, "executed for the $time time: something is shown");
			unlike($shown, qr/sesame/, 'and no secret');
		}
		$send->('S', '');
		$until->('Z');
		unlike($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $pid"), qr/sesame/, 'nor in the transaction');
		$send->('Q', "ROLLBACK\0");
		$until->('Z');
	}
	$send->('X', '');
}

# from here on, nothing was said before
sub forget
{
	$seen = '';
	$node->rotate_logfile;
	$node->restart;
	$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
}

sub is_silent
{
	my ($when) = @_;
	my $log = slurp_file($node->logfile);
	my @leaks = grep { /sesame/i } split /\n/, $log;

	unlike($seen, qr/sesame/i, "$when: what clients see");
	is(scalar @leaks, 0, "$when: the server's log") or diag(join "\n", @leaks[0 .. ($#leaks > 9 ? 9 : $#leaks)]);
	unlike($node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements'), qr/sesame/i, "$when: pg_stat_statements");
	unlike($node->safe_psql('postgres', 'SELECT query FROM pg_stat_activity'), qr/sesame/i, "$when: pg_stat_activity");
	return $log;
}

# 1. as PostgreSQL comes
forget();
send_in_every_way(', "deploy_key": "sesame-unknown"');
my $log = is_silent('at the default settings');
like($log, qr/22023|invalid dbt source/, 'the errors are logged');
like($log, qr/deadlock detected/, 'the deadlock too');
like($log, qr/too late.*STATEMENT:  SELECT update_project_dbt_source\(\.\.\.\)/s, 'with the name of the function for the statement');

# 2. preloaded, and everything is logged
my $everything = "
session_preload_libraries = 'dbt_sources'
shared_preload_libraries = 'pg_stat_statements, auto_explain'
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_lock_waits = on
log_temp_files = 0
pg_stat_statements.track = all
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
";
$node->append_conf('postgresql.conf', $everything);
forget();
send_in_every_way('');
send_in_ways_that_are_not_ours();
$log = is_silent('preloaded, with everything logged');
like($log, qr/statement: SELECT update_project_dbt_source\(\*$/m, 'the name of the function is there');
like($log, qr/execute .*: SELECT update_project_dbt_source\(\*\n.*DETAIL:  [Pp]arameters:\*$/m, 'and that there were parameters');
like($log, qr/duration: .* plan:\n\s*Query Text: SELECT update_project_dbt_source\(\*$/m, 'and how long a plan took');
like($log, qr/ERROR:  P0001: \*\n/, 'what RAISE was given to say is not');
like($log, qr/ERROR:  42883: function update_project_dbt_source\(unknown\) does not exist.*\n(?:.*\n){0,2}.*QUERY:  SELECT update_project_dbt_source\(\*\n.*CONTEXT:  PL\/pgSQL function inline_code_block line 1 at PERFORM\n/,
	'of an error there is what has no values');
my ($long) = $log =~ /STATEMENT:  (SELECT no_project_dbt_source\(.*)/;
is(length $long, 1023, 'of a long statement there is the beginning');
like($log, qr/ERROR:  P0001: \*\n(?:.*\n){0,3}.*STATEMENT:  SELECT says\(\*\n/, 'a message with a name hides the statement');
like($log, qr/LOG:  P0001: request failed: the token is \*\n.*DETAIL:  The id of the request is told\.\n/, "what a trigger's message quotes is not");
like($log, qr/ERROR:  22023: invalid dbt source\n.*DETAIL:  dbtConnection.branch: must be a string\n/, 'what is ours is there as it is');
unlike($log, qr/temporary file:/, 'nothing went to a temporary file');

# 3. preloaded for the whole server, after a library that sends the log elsewhere, too
my $other = ($ENV{TEST_UNITS} // getcwd() . '/test/modules/test_units/test_units.so') =~ s/test_units\.so$/test_log/r;
$node->append_conf('postgresql.conf', "session_preload_libraries = ''\nshared_preload_libraries = 'pg_stat_statements, auto_explain, \"$other\", dbt_sources'\n");
forget();
send_in_ways_that_are_not_ours();
send_and_watch();
send_and_fetch();
# what Citus sends to its workers is whole
my @commands = ('CREATE INDEX spare ON project_dbt_sources (project_uuid, name)', 'ALTER TABLE project_dbt_sources ADD COLUMN note varchar(10)',
	'ALTER TABLE project_dbt_sources RENAME note TO notes', 'ALTER TABLE project_dbt_sources DROP notes');
run_sql(join '; ', @commands);
is(run_sql("SELECT count(*) FROM pg_stat_statements WHERE query IN ('" . join("', '", @commands) . "')"), @commands . "\n", 'a command that changes the table keeps its text');
$log = is_silent('preloaded by the server');
like($log, qr/listening on Unix socket "/, 'what has nothing to do with it is as it is');
like($log, qr/^sent elsewhere: statement: SELECT update_project_dbt_source\(\*$/m, 'what is sent elsewhere has no values either');

# 4. the search does find what is there, and docs/security.md names the settings
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'\nlog_min_messages = warning\n");
forget();
run_sql('SELECT ' . update(source('a'), body('a')));
like(slurp_file($node->logfile), qr/sesame/, 'not preloaded, log_statement shows literals');
like(run_sql("SELECT project_dbt_connection('$project', '" . source('a') . "')"), qr/sesame-token/, 'project_dbt_connection shows them');

# 5. files: the node's whole data directory, WAL and temporary files included
my ($dump, $err) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like($dump, qr/eyJ/, 'a dump has the connections');
unlike($dump . $err, qr/sesame/i, 'but no secret');
# the statement of 4. is not what is looked for here
$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
$node->stop;
my ($found) = run_command([ 'grep', '-rlia', 'eyJ', $node->data_dir ]);
like($found, qr{/base/.*}, 'the files have the connections');
($found) = run_command([ 'grep', '-rlia', 'sesame', $node->data_dir ]);
is($found, '', 'no file of the data directory has one');

done_testing();
