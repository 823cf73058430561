# Thousands of log entries, each with a token of its own in a connection, quoted
# in every way, through everything of the server that writes text, at the
# settings that log most.  Without the library each token is found, which shows
# that the search works; with it none is, nor a part of one.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $libdir = `pg_config --pkglibdir`;
chomp $libdir;
my $major = `pg_config --version` =~ /(\d+)/ ? $1 : die;
plan skip_all => "pgaudit is not installed: postgresql-$major-pgaudit" if !-e "$libdir/pgaudit.so";
plan skip_all => 'DBD::Pg, which sends parameters, is not installed: libdbd-pg-perl' if !eval { require DBD::Pg };

my $node = PostgreSQL::Test::Cluster->new('entries');
$node->init;
my $destinations = $major >= 15 ? 'stderr, csvlog, jsonlog' : 'stderr, csvlog';
$node->append_conf('postgresql.conf', "
logging_collector = on
log_destination = '$destinations'
log_directory = 'log'
log_filename = 'entries.log'
log_rotation_size = 0
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_min_messages = debug1
log_min_error_statement = debug1
log_error_verbosity = verbose
log_lock_waits = on
log_temp_files = 0
pg_stat_statements.track = all
pg_stat_statements.max = 50000
track_activity_query_size = 1024
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
pgaudit.log = all
pgaudit.log_parameter = on
pgaudit.log_catalog = on
pgaudit.log_relation = on
restart_after_crash = on
");

# a token: letters that are nowhere else, and its number
my $ntokens = 0;
sub token { return sprintf 'qZ%05dZq', ++$ntokens }

# a connection in a text; every secret there is, and every order of name and value
my %bodies = (
	body => sub { qq({"name": "a", "dbtConnection": {"type": "gitlab", "personal_access_token": "$_[0]", "repository": "r"}}) },
	connection => sub { qq({\n\t"type" : "github",\n\t"personal_access_token" : "it's \\"\$a\$ $_[0]"\n}) },
	cloud => sub { qq({"api_key": "$_[0]", "type": "dbt_cloud_ide", "environment_id": "1"}) },
	hook => sub { qq({"webhook_hmac_secret":"$_[0]"}) },
	environment => sub { qq([{"value": "$_[0]", "key": "DBT_ENV_SECRET_A"}]) },
	'JSON in JSON' => sub { qq({"body": "{\\"dbtConnection\\": {\\"personal_access_token\\": \\"$_[0]\\"}}"}) },
	'JSON in JSON in JSON' => sub { qq("{\\"body\\": \\"{\\\\\\"personal_access_token\\\\\\": \\\\\\"$_[0]\\\\\\"}\\"}") },
	'escaped JSON' => sub { qq({"\\u0070ersonal_access\\u005ftoken": "$_[0]"}) },
	CSV => sub { qq(1,"{""personal_access_token"": ""$_[0]""}") },
	record => sub { qq((1,$_[0],DBT_ENV_SECRET_A)) },
	array => sub { qq({personal_access_token,$_[0]}) },
	form => sub { qq(personal_access_token=$_[0]&branch=b) },
);

sub quoted { return "'" . ($_[0] =~ s/'/''/gr) . "'" }
sub spelled { my ($text, $format) = @_; return $text =~ s/(.)/sprintf $format, ord $1/gesr }

# an SQL expression for a text
my %quotings = (
	plain => sub { quoted($_[0]) },
	"E''" => sub { "E'" . ($_[0] =~ s/(["'\\])/\\$1/gr) . "'" },
	"E'' with \\x" => sub { "E'" . spelled($_[0], '\x%02x') . "'" },
	"E'' with \\u" => sub { "E'" . spelled($_[0], '\u%04X') . "'" },
	"E'' with octals" => sub { "E'" . spelled($_[0], '\%03o') . "'" },
	"U&''" => sub { "U&'" . spelled($_[0], '\%04x') . "'" },
	"U&'' with +" => sub { "U&'" . spelled($_[0], '\+%06x') . "'" },
	dollars => sub { "\$x\$$_[0]\$x\$" },
	continued => sub { my ($text) = @_; $text =~ s/'/''/g; $text =~ s/(token|secret|key)(\W)/$1'\n'$2/; "'$text'" },
	bytea => sub { "convert_from('\\x" . unpack('H*', $_[0]) . "', 'UTF8')" },
	commented => sub { "/* ' */ " . quoted($_[0]) . " -- '\n" },
	concatenated => sub { my $text = quoted($_[0]); $text =~ s/(qZ\d)/' || '$1/r },
);
# where a token is in a log: as it is, or in such an escape
my @spellings = (
	[ qr/qZ(\d{5})Zq/, sub { $_[0] } ],
	[ qr/715a((?:3\d){5})5a71/, sub { pack 'H*', $_[0] } ],
	[ qr/\\x71\\x5a((?:\\x3\d){5})/, sub { $_[0] =~ s/\\x3//gr } ],
	[ qr/\\u0071\\u005A((?:\\u003\d){5})/, sub { $_[0] =~ s/\\u003//gr } ],
	[ qr/\\161\\132((?:\\0[67]\d){5})/, sub { $_[0] =~ s/\\(0\d\d)/chr oct $1/ger } ],
	[ qr/\\0071\\005a((?:\\003\d){5})/, sub { $_[0] =~ s/\\003//gr } ],
	[ qr/\\\+000071\\\+00005a((?:\\\+00003\d){5})/, sub { $_[0] =~ s/\\\+00003//gr } ]);
my $bytes_of_token = qr/\b113 90 48|\b90 113 34/;
my $part_of_token = qr/$bytes_of_token|qZ|Z\d|\dZ|Zq|715a3|3\d5a71|\\x71\\x5a|\\u0071\\u005A|\\161\\132|\\0071\\005a|\\\+000071\\\+00005a/;

# statements that bring an expression into the log
my %carriers = (
	'a query' => sub { "SELECT length($_[0])" },
	'one of our functions' => sub { "SELECT update_project_dbt_source('11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111112', ($_[0])::jsonb)" },
	'a missing function' => sub { "SELECT no_such_function($_[0])" },
	'a syntax error' => sub { "SELECT FROM FROM $_[0]" },
	'JSON that is broken' => sub { "SELECT ($_[0] || ']')::json" },
	'not a number' => sub { "SELECT ($_[0])::text::integer" },
	'not a uuid' => sub { "SELECT get_project_dbt_source($_[0], ($_[0])::text::uuid)" },
	'an error of others' => sub { "SELECT 1 / (random() * 0)::integer, $_[0]" },
	'a filter' => sub { "SELECT FROM texts WHERE t <> $_[0]" },
	'a failing row' => sub { "INSERT INTO checked VALUES ($_[0], 1)" },
	'a key' => sub { "INSERT INTO keys VALUES ($_[0]), ($_[0])" },
	RAISE => sub { "DO \$do\$ BEGIN RAISE LOG '%', $_[0]; END \$do\$" },
	'RAISE with a row' => sub { "DO \$do\$ BEGIN RAISE LOG 'row %', ROW(1, $_[0]); END \$do\$" },
	'RAISE with an array' => sub { "DO \$do\$ BEGIN RAISE LOG '% %', ARRAY[$_[0]], ARRAY[ROW(ARRAY[$_[0]])::text]; END \$do\$" },
	'RAISE with bytea' => sub { "DO \$do\$ BEGIN RAISE LOG '%', convert_to($_[0], 'UTF8'); END \$do\$" },
	'RAISE with a detail' => sub { "DO \$do\$ BEGIN RAISE EXCEPTION 'failed' USING DETAIL = $_[0], HINT = $_[0]; END \$do\$" },
	'dynamic SQL' => sub { "DO \$do\$ BEGIN EXECUTE 'SELECT no_such_function(' || quote_literal($_[0]) || ')'; END \$do\$" },
	'a function that logs' => sub { "SELECT logs($_[0])" },
	'a function that fails' => sub { "SELECT fails($_[0])" },
	PREPARE => sub { "PREPARE p AS SELECT $_[0]; EXECUTE p; DEALLOCATE p" },
	EXECUTE => sub { "EXECUTE given($_[0])" },
	'a cursor' => sub { "BEGIN; DECLARE c CURSOR FOR SELECT $_[0]; FETCH c; COMMIT" },
	'CREATE TABLE AS' => sub { "CREATE TEMP TABLE made AS SELECT $_[0] AS t; DROP TABLE made" },
	'CREATE FUNCTION' => sub { "CREATE OR REPLACE FUNCTION made(t text DEFAULT $_[0]) RETURNS text LANGUAGE sql AS \$do\$ SELECT $_[0] \$do\$" },
	'set_config' => sub { "SELECT set_config('search_path', $_[0], false); RESET search_path" },
	'a statement of several' => sub { "SELECT 1\\; DO \$do\$ BEGIN PERFORM $_[0]; END \$do\$\\; SELECT 2" },
	'a path of JSON' => sub { "SELECT jsonb_path_query('{}', ($_[0])::jsonpath)" },
);

my (@statements, %meant, @outputs);
for my $body (sort keys %bodies)
{
	for my $quoting (sort keys %quotings)
	{
		for my $carrier (sort keys %carriers)
		{
			my $token = token();
			$meant{$ntokens} = "$carrier, $quoting, $body";
			push @statements, $carriers{$carrier}->($quotings{$quoting}->($bodies{$body}->($token)));
		}
	}
}
# data of COPY
for my $body (sort keys %bodies)
{
	my $text = $bodies{$body}->(token()) =~ s/\s/ /gr;
	$meant{$ntokens} = "COPY, CSV, $body";
	push @statements, "COPY numbers FROM STDIN (FORMAT csv);\n\"" . ($text =~ s/"/""/gr) . "\"\n\\.\n";
	$text = $bodies{$body}->(token()) =~ s/\s/ /gr =~ s/\\/\\\\/gr;
	$meant{$ntokens} = "COPY, text, $body";
	push @statements, "COPY numbers FROM STDIN;\n$text\n\\.\n";
}
# a bare word has no quote
for my $statement ('SET app.personal_access_token TO %s', 'SET app.dbtConnection = %s, a', 'SET api_key.x TO environment_id, %s', 'COMMENT ON COLUMN texts.personal_access_token IS %s')
{
	my $token = token();
	$meant{$ntokens} = $statement;
	push @statements, sprintf $statement, $token;
}
my $count = @statements;

# Cut off at every byte; which part of the token is left, nobody knows.
my @cut;
for my $quoting ('plain', "E''", "E'' with \\u", "U&''", 'dollars', 'bytea')
{
	my $before = "SELECT update_project_dbt_source(";
	my $text = $quotings{$quoting}->($bodies{environment}->(token()));
	push @cut, map { $before . substr($text, 0, $_) . ';' } 1 .. length $text;
	my $expression = $quotings{$quoting}->($bodies{body}->(token()));
	push @cut, "DO \$do\$ BEGIN FOR n IN 1 .. 200 LOOP RAISE LOG '%', left($expression, n); RAISE LOG '%', substr(convert_to($expression, 'UTF8'), n); RAISE LOG '%', right($expression, n); END LOOP; END \$do\$;";
}
sub connect_db
{
	my $db = DBI->connect('dbi:Pg:' . $node->connstr('postgres') =~ s/'//gr, '', '', { PrintError => 0, PrintWarn => 0 }) or die DBI->errstr;
	$db->{HandleError} = sub { push @outputs, $_[0] =~ s/^(?:LINE \d+:|\s+\^).*\n?//mgr; return 1 };
	return $db;
}

# a plan has the bytes of a constant, by number
push @cut, 'SET debug_print_parse = on', 'SET debug_print_rewritten = on', 'SET debug_print_plan = on';
push @cut, map { my $body = $_; map { 'SELECT upper(' . $quotings{$_}->($bodies{$body}->(token())) . '), NULL' } 'plain', "U&''", 'bytea' } sort keys %bodies;
push @cut, 'SET debug_pretty_print = off', @cut[-5 .. -1], 'RESET ALL';

# parameters, of a function of ours and of others
sub send_parameters
{
	my ($meant) = @_;
	my $db = connect_db();
	for my $body (sort keys %bodies)
	{
		for my $call ('wrapper(?::text)', 'wrapper(?::bytea)', 'wrapper(?::text[])', 'fails(?)', '?::json', '?::integer', "http_request('PATCH', '/', ?)")
		{
			my $token = token();
			my $text = $bodies{$body}->($token);
			$meant->{$ntokens} = "a parameter of $call, $body";
			my $sth = $db->prepare("SELECT $call");
			my $value = $call =~ /\[\]/ ? [ $text, $text ] : $text;
			$sth->bind_param(1, $value, $call =~ /bytea/ ? { pg_type => DBD::Pg::PG_BYTEA() } : undef);
			$sth->execute;
		}
		my $text = $bodies{$body}->(token());
		for my $length (1 .. length $text)
		{
			$db->do("SET log_parameter_max_length = $length; SET log_parameter_max_length_on_error = $length");
			for my $call ("http_request('PATCH', '/', ?)", 'validate_dbt_connection(?)')
			{
				my $sth = $db->prepare("SELECT $call");
				$sth->execute($text);
			}
		}
		$db->do('RESET ALL');
	}
	$db->disconnect;
}

# What the server's own process tells of one that died, it takes from pg_stat_activity, which
# has the beginning of the statement only, before the name.
sub crash
{
	my ($meant) = @_;
	my $token = token();
	$meant->{$ntokens} = 'a crash';
	my ($in, $out) = ("SELECT pg_backend_pid();\nSELECT pg_sleep(1000), '[{\"value\": \"$token\", \"key\": \"" . 'A' x 1100 . "\"}, {\"key\": \"DBT_ENV_SECRET_A\"}]';\n", '');
	my $psql = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', '/dev/null';
	$psql->pump until $out =~ /(\d+)\n/;
	my $pid = $1;
	$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid") or die;
	kill 'ABRT', $pid;
	$psql->finish;
	$node->poll_query_until('postgres', 'SELECT true') or die;
}

sub logs
{
	return join '', map { slurp_file($_) } glob $node->data_dir . '/log/entries.*';
}

# all that is said of it, with and without the library
sub run_all
{
	my ($libraries) = @_;
	my %found_here = %meant;

	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'\n");
	unlink glob $node->data_dir . '/log/entries.*';
	$node->restart;
	@outputs = ();
	my $script = $node->basedir . '/entries.sql';
	open my $fh, '>', $script or die $!;
	print $fh "PREPARE given(text) AS SELECT \$1;\n", map { /\n\\\.\n$/ ? $_ : "$_;\n" } @statements;
	close $fh;
	my $messages;
	local $ENV{PGOPTIONS} = '-c client_min_messages=debug1';
	IPC::Run::run [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always', '-f', $script ], '>', '/dev/null', '2>', \$messages;
	# psql quotes its own statement
	push @outputs, $messages =~ s/^(?:LINE \d+:|\s+\^).*\n//mgr;
	# psql would take a quote that isn't closed for the beginning of more
	my $db = connect_db();
	$db->do($_) for @cut;
	$db->disconnect;
	send_parameters(\%found_here);
	delete local $ENV{PGOPTIONS};
	# who is asked for it sees statements, too
	push @outputs, $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements') if $libraries =~ /dbt_sources/;
	crash(\%found_here);
	$node->stop;
	return (\%found_here, logs());
}

$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY); SELECT enable_dbt_sources('projects');
	CREATE TABLE texts (t text, personal_access_token text);
	CREATE TABLE checked (personal_access_token text, i integer, CHECK (i > 1));
	CREATE TABLE keys (personal_access_token text UNIQUE);
	CREATE TABLE numbers (i integer);
	CREATE FUNCTION logs(t text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE LOG ''%'', t; END';
	CREATE FUNCTION fails(t text) RETURNS void LANGUAGE plpgsql AS 'DECLARE i integer; BEGIN i := t; END';
	CREATE FUNCTION wrapper(t text) RETURNS text LANGUAGE sql AS 'SELECT t';
	CREATE FUNCTION wrapper(b bytea) RETURNS bytea LANGUAGE sql AS 'SELECT b';
	CREATE FUNCTION wrapper(a text[]) RETURNS text[] LANGUAGE sql AS 'SELECT a'");
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'\n");
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');

# 1. without the library
my ($expected, $log) = run_all('pg_stat_statements, auto_explain, pgaudit');
my %found;
for my $spelling (@spellings)
{
	my ($pattern, $decode) = @$spelling;
	$found{ $decode->($1) + 0 } = 1 while $log =~ /$pattern/g;
}
my @missing = grep { !$found{$_} } sort { $a <=> $b } keys %$expected;
cmp_ok($count, '>', 3000, "$count statements");
is(scalar @missing, 0, 'without the library, each token is in the log') or diag(join "\n", map { $expected->{$_} } @missing[0 .. ($#missing > 19 ? 19 : $#missing)]);

like($log, $bytes_of_token, 'and some as bytes in a plan');

# 2. with it
(my $silent, $log) = run_all('pg_stat_statements, auto_explain, pgaudit, dbt_sources');
# (folders have names at random, in which such a part may be, too)
my $folders = join '|', map { quotemeta } $node->host, getcwd();
my @leaks = grep { s/(?:$folders)[\w.\/-]*//gr =~ /$part_of_token/ } split /\n/, $log;
is(scalar @leaks, 0, 'with it, none, and no part of one') or diag(join "\n", map { /(.{0,200}$part_of_token.{0,60})/ ? $1 : $_ } @leaks[0 .. ($#leaks > 29 ? 29 : $#leaks)]);
@leaks = grep { s/(?:$folders)[\w.\/-]*//gr =~ /$part_of_token/ } map { split /\n/ } @outputs;
is(scalar @leaks, 0, 'nor in what clients are told') or diag(join "\n", @leaks[0 .. ($#leaks > 19 ? 19 : $#leaks)]);
like($log, qr/statement: SELECT update_project_dbt_source\(\*$/m, 'but the names are there');
like($log, qr/AUDIT: SESSION,\d+,\d+,READ,SELECT,/, 'and what pgaudit says of a statement');
like($log, qr/Failed process was running: SELECT pg_sleep\(1000\), \*/, 'and what ran when the server crashed');

done_testing();
