# Rotation: what keeps a key from being removed, and what happens beside a busy
# application.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('rotation');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\nmax_connections = 50\nlog_statement = none\n");
$node->start;
my $file = $node->data_dir . '/dbt_sources.jwks';

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

sub error_of
{
	my ($sql) = @_;
	my ($stdout, $stderr);
	$node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

my $install = "CREATE EXTENSION dbt_sources CASCADE; CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one')";
my $set = "SELECT set_project_dbt_connection('$project', '{\"type\": \"none\"}') ->> 'type'";
sub active { return sql('SELECT kid FROM encryption_keys() WHERE active') }

# another database needs the key, too; or one that nobody may connect to
sql($install);
my $first = sql('SELECT rotate_encryption_key()');
sql($set);
for my $database ('other', 'closed', 'without')
{
	sql("CREATE DATABASE $database");
	sql("$install; $set", $database) if $database ne 'without';
}
sql('ALTER DATABASE closed ALLOW_CONNECTIONS false');
my $second = sql('SELECT rotate_encryption_key()');
my $remove = "SELECT remove_encryption_key('$first')";
like(error_of($remove), qr/55006: encryption key "$first" is in use.*1 connection in database "postgres".*HINT/s, 'in use here');
is(sql('SELECT reencrypt_dbt_connections()'), 1, 're-encrypted here');
like(error_of($remove), qr/55006.*in database "(other|closed)"/s, 'in use in another database');
is(sql('SELECT reencrypt_dbt_connections()', 'other'), 1, 're-encrypted there');
like(error_of($remove), qr/55006.*in database "closed"/s, 'in use in a database that allows no connections');
sql('ALTER DATABASE closed ALLOW_CONNECTIONS true');
is(sql('SELECT reencrypt_dbt_connections()', 'closed'), 1, 're-encrypted there');
is(error_of($remove), '', 'not in use');
is(sql("SELECT string_agg(kid, ' ') FROM encryption_keys()"), $second, 'and gone');
unlike(slurp_file($file), qr/$first/, 'from the file');
is(sql("SELECT list_project_dbt_sources('$project') -> 0 ->> 'type'", $_), 'none', "$_ reads its connection")
  for 'postgres', 'other', 'closed';

# a prepared transaction has written with the key, and may still commit
sql("BEGIN; $set; PREPARE TRANSACTION 'writer'");
sql('SELECT rotate_encryption_key(); SELECT reencrypt_dbt_connections()', $_) for 'other', 'closed';
like(error_of("SET lock_timeout = '200ms'; SELECT remove_encryption_key('$second')"), qr/55P03/, 'the removal waits for a writer');
sql("COMMIT PREPARED 'writer'");
like(error_of("SELECT remove_encryption_key('$second')"), qr/55006.*in database "postgres"/s, 'and finds what it wrote');
sql('SELECT reencrypt_dbt_connections()');
like(error_of("BEGIN; SAVEPOINT s; $set; ROLLBACK TO s; SELECT remove_encryption_key('$second')"), qr/25001/,
	'not in a transaction that has written');

# as long as a connection doesn't say which key it needs, it may be any
my $third = sql('SELECT rotate_encryption_key()');
sql('SELECT reencrypt_dbt_connections()', $_) for 'postgres', 'other', 'closed';
my $long = sql("SELECT rtrim(translate(encode(convert_to('{\"alg\":\"dir\",\"enc\":\"A256CBC-HS512\",\"kid\":\"' || repeat('x', 4000) || '\"}', 'UTF8'), 'base64'), E'+/\\n', '-_'), '=')");
for my $case ([ 'no envelope', 'no envelope' ], [ 'an empty one', '' ], [ 'a header that is cut off', 'eyJhbGciOiJkaXIiLCJlbmMi....' ],
	[ 'a kid that is no string', 'eyJraWQiOjF9....' ], [ 'a header that is too long', "$long...." ])
{
	my ($name, $envelope) = @$case;
	for my $database ('postgres', 'closed')
	{
		sql("CREATE TABLE kept AS SELECT * FROM project_dbt_sources; UPDATE project_dbt_sources SET dbt_connection = '$envelope'", $database);
		like(error_of("SELECT remove_encryption_key('$second')"),
			qr/55006: encryption key "$second" may be in use.*DETAIL:  1 connection in database "$database", table public\.project_dbt_sources, does not say which key it needs.*HINT:.*reencrypt_all_dbt_connections/s,
			"$name in $database: no key is removed");
		sql("UPDATE project_dbt_sources s SET dbt_connection = k.dbt_connection FROM kept k
			WHERE (s.project_uuid, s.project_dbt_source_uuid) = (k.project_uuid, k.project_dbt_source_uuid); DROP TABLE kept", $database);
	}
}

# what somebody keeps in a temporary table of that name is no obstacle
my $temporary = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \my $to_temporary, '>', \my $from_temporary;
$to_temporary = "CREATE TEMP TABLE projects (project_uuid uuid PRIMARY KEY); INSERT INTO projects VALUES ('$project');
	CREATE TEMP TABLE project_dbt_sources (project_uuid uuid REFERENCES projects, dbt_connection text);
	INSERT INTO project_dbt_sources VALUES ('$project', 'no envelope');\n\\echo there\n";
$temporary->pump until $from_temporary =~ /there/;
is(sql("SELECT sum(connections) FROM encryption_keys()"), 1, "others' temporary tables are not counted");
like(error_of("SELECT remove_encryption_key('$third')"), qr/55006: cannot remove the active/, 'nor in the way');
is(error_of("SELECT remove_encryption_key('$second')"), '', 'of a removal');
$to_temporary .= "\\q\n";
$temporary->finish;
$second = $third;
$third = sql('SELECT rotate_encryption_key()');
sql('SELECT reencrypt_dbt_connections()', $_) for 'postgres', 'other', 'closed';

# a worker that waits: it goes when the removal is canceled, and without its answer nothing is removed
my $lock = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('other') ], '<', \my $to_lock, '>', \my $from_lock;
$to_lock = "BEGIN; LOCK TABLE project_dbt_sources;\n\\echo there\n";
$lock->pump until $from_lock =~ /there/;
my $worker = "FROM pg_stat_activity WHERE backend_type = 'dbt_sources key check' AND wait_event_type = 'Lock'";
for my $case ([ "pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT%' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = 'postgres'", qr/57014/ ],
	[ "pg_terminate_backend(pid) $worker", qr/55000: could not find out whether database "other" needs the encryption key.*HINT:  The server log tells why/s ])
{
	my ($end, $expected) = @$case;
	my $error = '';
	my $removal = IPC::Run::start [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', "SELECT remove_encryption_key('$second')" ], '2>', \$error;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $worker") or die;
	sql("SELECT $end");
	$removal->finish;
	like($error, $expected, "a worker that waits: $expected");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'dbt_sources key check'"), 'no worker is left');
}
$to_lock .= "\\q\n";
$lock->finish;
like(slurp_file($file), qr/$second/, 'nothing is removed then');

# a database that is copied before it is asked, and re-encrypted then
my ($locked, $copied) = grep { $_ eq 'other' || $_ eq 'closed' } split /\n/, sql('SELECT datname FROM pg_database ORDER BY ctid');
my $fourth = sql('SELECT rotate_encryption_key()');
sql('SELECT reencrypt_dbt_connections()');
$lock = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr($locked) ], '<', \$to_lock, '>', \$from_lock;
$to_lock = "BEGIN; LOCK TABLE project_dbt_sources; SELECT reencrypt_dbt_connections();\n\\echo there\n";
$from_lock = '';
$lock->pump until $from_lock =~ /there/;
my $in_copy = '';
my $removal = IPC::Run::start [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', "SELECT remove_encryption_key('$third')" ], '2>', \$in_copy;
$node->poll_query_until('postgres', "SELECT count(*) = 1 $worker") or die;
sql("CREATE DATABASE copy TEMPLATE $copied");
sql('SELECT reencrypt_dbt_connections()', $copied);
$to_lock .= "COMMIT;\n\\q\n";
$_->finish for $lock, $removal;
like($in_copy, qr/55006: encryption key "$third" is in use.*in database "copy"/s, 'a copy that is made meanwhile is asked, too');
sql('DROP DATABASE copy');
# a snapshot that may see what needed the key, wherever it is
my $reader = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('other') ], '<', \my $to_reader, '>', \my $from_reader;
$to_reader = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'there';\n";
$reader->pump until $from_reader =~ /there/;
like(error_of("SET lock_timeout = '200ms'; SELECT remove_encryption_key('$third')"), qr/55P03/, 'a snapshot in another database is waited for');
$to_reader .= "\\q\n";
$reader->finish;
is(error_of("SELECT remove_encryption_key('$third')"), '', 'and without it the key goes');
$third = $fourth;

# a server without a free worker can't find out
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
like(error_of("SELECT remove_encryption_key('$second')"), qr/53000.*HINT:.*max_worker_processes/s, 'no free background worker');
like(slurp_file($file), qr/$second/, 'nothing is removed then');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
# what an interrupted DROP DATABASE has left nobody asks
sql("CREATE DATABASE half_gone TEMPLATE other");
sql('SELECT rotate_encryption_key()');
sql('SELECT reencrypt_dbt_connections()', $_) for 'postgres', 'other', 'closed';
like(error_of("SELECT remove_encryption_key('$third')"), qr/55006.*in database "half_gone"/s, 'in use in a copy');
sql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half_gone'");
is(error_of("SELECT remove_encryption_key('$third')"), '', 'but not when that is being dropped');
sql('DROP DATABASE half_gone');
is(error_of("SELECT remove_encryption_key('$second')"), '', 'with a free worker it works');

# a kid that begins with another
my $ring = slurp_file($file);
open my $fh, '>', $file or die $!;
print $fh '{"keys": [' . join(', ', map { qq({"kty": "oct", "kid": "$_", "k": ") . 'A' x 85 . 'Q"}' } 'k12', 'k1') . ']}';
close $fh;
sql($set);
is(sql('SELECT kid, connections FROM encryption_keys()'), "k12|1\nk1|0", 'written with the longer kid');
sql('SELECT pg_sleep(0.01)');
open $fh, '>', $file or die $!;
print $fh '{"keys": [' . join(', ', map { qq({"kty": "oct", "kid": "$_", "k": ") . 'A' x 85 . 'Q"}' } 'k1', 'k12') . ']}';
close $fh;
is(sql('SELECT reencrypt_dbt_connections(); SELECT kid, connections FROM encryption_keys()'), "1\nk1|1\nk12|0", 'moved to the shorter one');
sql($set, $_) for 'other', 'closed';
sql('SELECT rotate_encryption_key()');
sql('SELECT reencrypt_dbt_connections()', $_) for 'postgres', 'other', 'closed';

# a disk that is full: the backend's limit on file sizes ends a write early, in the
# middle of a file that is longer than what a worker is asked
sql('SELECT rotate_encryption_key()') for 1 .. 5;
for my $case ([0, qr/could not (?:write keyring file|resize shared memory segment).*File too large/], [ int((-s $file) / 2), qr/53100: could not write keyring file.*No space left/])
{
	my ($limit, $reason) = @$case;
	my $before = slurp_file($file);
	my ($stdout, $stderr);
	$node->psql('postgres', "SELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n\\! prlimit --pid \$PID --fsize=$limit:\n" .
		"SELECT rotate_encryption_key();\nSELECT remove_encryption_key('k1');\nSELECT count(*) FROM encryption_keys();\n",
		stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	is(() = $stderr =~ /$reason/g, 2, "a full disk after $limit bytes: rotation and removal say so") or diag $stderr;
	is(slurp_file($file), $before, 'and change nothing');
	is($stdout, scalar(() = $before =~ /"kid"/g), 'the keyring goes on working');
	ok(!-e "$file.tmp", 'no temporary file is left');
}

# Rotate, re-encrypt and remove beside eight clients.  Each update counts in a
# table too, in the same transaction, so that a lost one would show.
sql("CREATE TABLE counters (id integer PRIMARY KEY, source uuid, n integer NOT NULL DEFAULT 0);
	INSERT INTO projects (project_uuid, name) VALUES ('22222222-2222-4222-8222-222222222222', 'two');
	CREATE FUNCTION body(branch text) RETURNS jsonb LANGUAGE sql AS \$\$
		SELECT jsonb_build_object('dbtConnection', jsonb_build_object('type', 'gitlab', 'repository', 'r', 'branch', branch,
			'project_sub_path', '/', 'personal_access_token', 'token ' || branch)) \$\$;
	INSERT INTO counters SELECT i, (create_project_dbt_source('$project', body('0') || jsonb_build_object('name', 's' || i))
		->> 'projectDbtSourceUuid')::uuid FROM generate_series(1, 40) i");
my %scripts = (
	update => "\\set id random(1, 40)
BEGIN;
UPDATE counters SET n = n + 1 WHERE id = :id RETURNING n, source \\gset
SELECT update_project_dbt_source('$project', ':source', body(':n'));
END;",
	list => "SELECT 1 / (count(*) = 0)::integer FROM jsonb_array_elements(list_project_dbt_sources('$project')) s
WHERE (s -> 'hasCredentialError')::boolean OR s ->> 'type' IS NULL;",
	read => "SELECT 1 / (count(*) = 40)::integer FROM counters, project_dbt_connection('$project', source) c
WHERE c ->> 'personal_access_token' = 'token ' || (c ->> 'branch');",
	create => "SELECT create_project_dbt_source('22222222-2222-4222-8222-222222222222',
body('x') || jsonb_build_object('name', gen_random_uuid()));");
my @files;
for my $name (sort keys %scripts)
{
	open my $fh, '>', $node->basedir . "/$name.sql" or die $!;
	print $fh "$scripts{$name}\n";
	close $fh;
	push @files, '-f', $node->basedir . "/$name.sql@" . ($name eq 'update' ? 6 : 1);
}
my $out;
my $clients = IPC::Run::start [ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', '8', @files, '-h', $node->host, '-p', $node->port, 'postgres' ], '>&', \$out;
my ($rotations, $moved, $removed, $busy) = (0, 0, 0, 0);
while ($clients->pump_nb, $clients->pumpable)
{
	$rotations += sql('SELECT count(rotate_encryption_key())');
	while ((my $batch = sql('SELECT reencrypt_dbt_connections(50)')) > 0)
	{
		$moved += $batch;
	}
	for my $kid (split /\n/, sql('SELECT kid FROM encryption_keys() WHERE NOT active'))
	{
		my $error = error_of("SELECT remove_encryption_key('$kid')");
		$error eq '' ? $removed++ : $error =~ /55006/ ? $busy++ : fail($error);
	}
}
$clients->finish;
note "$rotations rotations, $moved re-encrypted, $removed keys removed, $busy found in use";
note grep { /processed|failed/ } split /^/, $out;
unlike($out, qr/ERROR|aborted/, 'no client had an error') or diag $out;
cmp_ok($removed, '>=', 3, 'keys were rotated and removed meanwhile');
is(sql("SELECT count(*) FROM counters, project_dbt_connection('$project', source) c
	WHERE c ->> 'branch' IS DISTINCT FROM n::text OR c ->> 'personal_access_token' <> 'token ' || n"), 0, 'no update was lost');
cmp_ok(sql('SELECT sum(n) FROM counters'), '>', 100, 'and there were some');
is(sql("SELECT count(*) FROM projects, jsonb_array_elements(list_project_dbt_sources(project_uuid)) s
	WHERE (s -> 'hasCredentialError')::boolean"), 0, 'every connection decrypts');

# all of them by one call: interrupted, what it had done stays; called again, it
# does the rest and tells how far it is
my $all = sql('SELECT sum(connections) FROM encryption_keys()');
my $stale = 'SELECT sum(connections) FROM encryption_keys() WHERE NOT active';
my @held = (split /\n/, sql('SELECT source FROM counters ORDER BY source'))[0, -1];
sql('SELECT rotate_encryption_key()');
sql("BEGIN; SELECT update_project_dbt_source('$project', '$held[$_]', '{\"name\": \"held $_\"}'); PREPARE TRANSACTION 'holder $_'") for 0, 1;
my $of_first = "FROM project_dbt_sources WHERE project_dbt_source_uuid = '$held[0]'";
my $old_envelope = sql("SELECT dbt_connection $of_first");
my $waiting = "FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'";
my ($stdout, $stderr);
my $call = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET application_name = 'mine'", '-c', 'CALL reencrypt_all_dbt_connections(7)' ],
  '>', \$stdout, '2>', \$stderr;
$node->poll_query_until('postgres', "SELECT count(*) = 1 $waiting");
is(sql($stale), 2, 'a call has done all but what is locked');
is(sql("SELECT application_name $waiting"), 'mine', 'it has the name that its caller gave it');
sql("SELECT pg_terminate_backend(pid) $waiting");
$call->finish;
is(sql($stale), 2, 'what it had done stays when it is terminated');
# a table in another schema has nothing to do with it
sql("CREATE SCHEMA aside; CREATE TABLE aside.project_dbt_sources (LIKE project_dbt_sources INCLUDING DEFAULTS, FOREIGN KEY (project_uuid) REFERENCES projects);
	INSERT INTO aside.project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence, is_primary, dbt_connection) VALUES ('$project', '$project', 'aside', 0, true, 'no envelope')");
($stdout, $stderr) = ('', '');
$call = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'CALL reencrypt_all_dbt_connections(7)' ],
  '>', \$stdout, '2>', \$stderr;
$node->poll_query_until('postgres', "SELECT count(*) = 1 $waiting AND now() - query_start > '4 seconds'");
sql("COMMIT PREPARED 'holder 0'");
$node->poll_query_until('postgres', "SELECT count(*) = 1 $waiting AND (SELECT dbt_connection <> '$old_envelope' $of_first)");
sql("COMMIT PREPARED 'holder 1'");
$call->finish;
like($stderr, qr/^NOTICE:  re-encrypted 1 connections, 1 left, \d+ a second\n(?:NOTICE:  re-encrypted 2 connections, 0 left, \d+ a second\n)?NOTICE:  re-encrypted 2 connections\n\z/,
	'the next call does the rest, one after the other');
is(sql($stale), 0, 'nothing is left');
is(sql('SELECT sum(connections) FROM encryption_keys()'), $all, 'and nothing lost');

# of what can't be decrypted a hundred are named
sql("INSERT INTO project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection)
	SELECT '$project', gen_random_uuid(), 'broken ' || i, 1000 + i, 'broken' FROM generate_series(1, 101) i");
for my $case ([ 101, qr/\n\.\.\.\nHINT/ ], [ 100, qr/expected kind\.\nHINT/ ])
{
	my ($broken, $end) = @$case;
	my $warning = error_of('SELECT reencrypt_dbt_connections()');
	is(() = $warning =~ /source "broken \d+"/g, 100, "$broken connections that can not be decrypted: a hundred are named");
	like($warning, qr/$broken connections were not re-encrypted.*$end/s, 'and all are counted');
	sql("DELETE FROM project_dbt_sources WHERE name = 'broken 1'");
}

# the library is new, and the SQL still that of the version before
sql('CREATE DATABASE old');
sql("CREATE EXTENSION dbt_sources VERSION '0.2.0' CASCADE; INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one')", 'old');
($stdout, $stderr) = ('', '');
$node->psql('old', "SELECT rotate_encryption_key() IS NOT NULL; SELECT count(*) > 0 FROM encryption_keys();
	SELECT reencrypt_dbt_connections(); SELECT remove_encryption_key('x'); SELECT 'alive'", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
like($stdout, qr/^t\nt\n(.*\n)*alive$/, 'the keys work with the SQL of 0.2.0, or say why not') or diag $stderr;
sql("ALTER EXTENSION dbt_sources UPDATE; $set; SELECT rotate_encryption_key(anew => false); CALL reencrypt_all_dbt_connections()", 'old');
is(sql("SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE proname ~ 'key|crypt_.*dbt'
	AND pronamespace = 'public'::regnamespace AND probin ~ 'dbt_sources' AND has_function_privilege('public', oid, 'EXECUTE')", 'old') // '',
	'', 'and are nobody\'s after the update');

$node->stop;
done_testing();
