# What isn't ours is logged as it is: with the library preloaded, the log of
# pgbench, and of statements with quotes, JSON and errors of their own, is the
# same, byte for byte.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $statements = <<'EOF';
SELECT 'it''s', "relname", $$dollars$$, E'\u0041\x42\103', U&'d\0061t\+000061' FROM pg_class WHERE relname = 'none';
SELECT '{"api_key": "open", "environment": [{"key": "DBT_SCHEMA", "value": "open"}], "access_token": "open"}'::jsonb;
SELECT '{"token": "open", ]'::json;
SELECT '{"api_key": open}'::json;
SELECT '\x7b22746f6b656e223a226f70656e227d'::bytea, '\x6170695f6b6579'::bytea;
SELECT 'open'::integer;
SELECT no_such_function('open', "none") FROM nowhere;
SELECT FROM FROM;
CREATE TABLE t (token text UNIQUE, i integer CHECK (i > 1));
INSERT INTO t VALUES ('open', 2);
INSERT INTO t VALUES ('open', 3);
INSERT INTO t VALUES ('{"token": "open"}', 1);
COPY t FROM STDIN (FORMAT csv);
"{""token"": ""open""}",x
\.
DO $$ BEGIN RAISE LOG 'row %', (SELECT t FROM t); RAISE WARNING 'open' USING DETAIL = '{"token": "open"}', HINT = 'none'; END $$;
DO $$ BEGIN EXECUTE 'SELECT ' || quote_literal('open') || '::integer'; END $$;
PREPARE p AS SELECT $1::text, 'open'; EXECUTE p('{"token": "open"}');
SET app.token = 'open';
BEGIN; DECLARE c CURSOR FOR SELECT 'open'; FETCH c; COMMIT;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE token = '{"token": "open"}';
DROP TABLE t;
SELECT query ~ 'open' FROM pg_stat_activity WHERE pid = pg_backend_pid() AND 'open' <> '';
SELECT query FROM pg_stat_statements WHERE query ~ 'open' ORDER BY query COLLATE "C";
EOF

# the log, and what a client saw
sub run_with
{
	my ($libraries) = @_;
	my $node = PostgreSQL::Test::Cluster->new($libraries =~ /dbt_sources/ ? 'with' : 'without');
	$node->init;
	$node->append_conf('postgresql.conf', "
shared_preload_libraries = '$libraries'
log_line_prefix = ''
log_statement = all
log_min_messages = info
log_error_verbosity = verbose
log_parameter_max_length_on_error = -1
autovacuum = off
");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
	$node->restart;
	my $offset = -s $node->logfile;
	my @where = ('-h', $node->host, '-p', $node->port, 'postgres');
	my $seen;
	IPC::Run::run [ 'psql', '-XAt', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', '-' ], '<', \$statements, '>&', \$seen;
	system_or_bail('pgbench', '-i', '-q', @where);
	system_or_bail('pgbench', '-n', '-t', '50', '-M', $_, '--random-seed=1', @where) for 'simple', 'extended', 'prepared';
	# when the server stops, some say so in any order
	my $log = slurp_file($node->logfile, $offset);
	$node->stop;
	return ($log, $seen);
}

sub first_difference
{
	my ($expected, $got) = map { [ split /\n/ ] } @_;
	for my $i (0 .. $#$expected)
	{
		return "$expected->[$i]\n$got->[$i]" if $expected->[$i] ne ($got->[$i] // '');
	}
	return "$#$expected lines and $#$got";
}

my ($log, $seen) = run_with('pg_stat_statements');
my ($log_with, $seen_with) = run_with('pg_stat_statements, dbt_sources');
like($log, qr/UPDATE pgbench_accounts SET abalance = abalance \+ \$1.*\n.*DETAIL:  [Pp]arameters: \$1 = '/, 'the log has statements and parameters');
like($log, qr/JSON data, line 1: \{"api_key": open/, 'and errors');
ok($log eq $log_with, 'the log is the same with the library preloaded') or diag(first_difference($log, $log_with));
is($seen_with, $seen, 'and so is what a client sees');

done_testing();
