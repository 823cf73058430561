# What the log shows of an entry, by the names that are in its texts.
use strict;
use warnings;

use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $module = $ENV{TEST_UNITS} // getcwd() . '/test/modules/test_units/test_units.so';
my $node = PostgreSQL::Test::Cluster->new('mask');
$node->init;
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE FUNCTION silence(VARIADIC text[]) RETURNS text[] AS '$module', 'test_silence' LANGUAGE C;
	CREATE FUNCTION is_hidden(text, integer) RETURNS boolean AS '$module', 'test_is_hidden' LANGUAGE C");

sub literal
{
	my ($text) = @_;
	return "convert_from('\\x" . unpack('H*', $text) . "', 'UTF8')";
}

# the texts of one entry, as the log shows them
sub silence
{
	my $sql = join ', ', map { literal($_) } @_;
	my $shown = $node->safe_psql('postgres', "SELECT string_agg(t, E'\\x01' ORDER BY n) FROM unnest(silence($sql)) WITH ORDINALITY u(t, n)");
	return split /\x01/, $shown, -1;
}

# what is hidden, and what is not, to the letter
my @cases = (
	['JSON', '{"personal_access_token": "sesame", "branch": "b"}', '*'],
	['a statement', q(SELECT update_project_dbt_source('5d8f', '9a11', '{"name": "sesame"}')), 'SELECT update_project_dbt_source(*'],
	['in capitals', q(SELECT UPDATE_PROJECT_DBT_SOURCE('sesame')), 'SELECT UPDATE_PROJECT_DBT_SOURCE(*'],
	['dollar quotes', 'DO $$ BEGIN PERFORM create_project_dbt_source(sesame); END $$', 'DO *'],
	['parameters of a statement', 'SELECT http_request($1, $2)', 'SELECT http_request(*'],
	['parameters', 'set_project_dbt_connection, parameters: sesame', 'set_project_dbt_connection, parameters:*'],
	['Parameters', 'set_project_dbt_connection, Parameters: sesame', 'set_project_dbt_connection, Parameters:*'],
	['an excerpt', 'dbtConnection is in JSON data, line 1: sesame ]', 'dbtConnection*'],
	['an excerpt, by itself', 'postgrest_request: JSON data, line 1: ...sesame ]', 'postgrest_request: JSON data, line *'],
	['a line of COPY', 'COPY dbt_connection, line 2: sesame', 'COPY dbt_connection, line *'],
	['pgaudit', 'AUDIT: SESSION,1,1,READ,SELECT,,,"SELECT f(\'{""personal_access_token"": ""sesame""}\')",<none>', 'AUDIT: SESSION,1,1,READ,SELECT,,,*'],
	['a record', 'row (1,sesame,DBT_ENV_SECRET_A)', 'row *'],
	['an array', '{sesame,personal_access_token}', '*'],
	['an array, of more', 'got {webhook_hmac_secret,sesame}', 'got *'],
	['a failing row', 'Failing row contains (sesame, project_dbt_connection).', 'Failing row contains *'],
	['a key', 'Key (personal_access_token)=(sesame) already exists.', 'Key *'],
	['a form', 'personal_access_token=sesame', 'personal_access_token*'],
	['a word', 'SET app.personal_access_token TO sesame', 'SET app.personal_access_token*'],
	['a variable', 'DBT_ENV_SECRET_A=sesame', 'DBT_ENV_SECRET*'],
	['bytea', '\x7b22706572736f6e616c5f6163636573735f746f6b656e223a2273657361', '*'],
	['bytea, in capitals', 'body: \x5B7B226B6579223A224442545F454E565F534543524554', 'body: *'],
	['bytea in an array', 'got {"\\\\\\\\x7b22646274436f6e6e656374696f6e22"}', 'got *'],
	['bytea, cut within a byte', 'body \x226462745f636f6e6e656374696f6e2', 'body *'],
	['bytea as escapes', 'body {\\042personal_access_token', 'body *'],
	['\u in the name', 'f {"\u0070ersonal_access_token": "sesame"}', 'f *'],
	['\u, quoted again and again', 'f {"\\\\\\\\u0070ersonal\\\\\\\\u005faccess_token": "sesame"}', 'f *'],
	['\u all over', 'f \u0064\u0062\u0074\u005F\u0065\u006e\u0076\u005f\u0073\u0065\u0063\u0072\u0065\u0074', 'f *'],
	['\U', 'f \U00000070ersonal_access_token', 'f *'],
	['\x', 'f \x70ersonal_access\x5ftok\x65n', 'f *'],
	['\u in a bytea', 'f \x5c7530303634\x62745f636f6e6e656374696f6e', 'f *'],
	["E'' of \\u", 'f \x5c\x75\x30\x30\x36\x34bt_connection', 'f *'],
	['octal', 'f \160ersonal\137access_token', 'f *'],
	["E'' of \\u in octal", 'f \134\165\060\060\066\064bt_connection', 'f *'],
	['a newline before a name', 'f \u000adbt_connection', 'f *'],
	["U&''", 'f \0070ersonal\+00005faccess_token', 'f *'],
	['a backslash before a name', '\dbt_env_secret', '*'],
	map({ [ "escaped where it begins: $_", "f $_", 'f ' . ($_ =~ /^(\w*)\\/)[0] . '*' ] } 'd\u0062t_env_secret', 'db\u0074_env_secret', 'D\x42T_ENV_SECRET', 'DB\124_ENV_SECRET', 'd\\\\142\0074_env_secret', '\x44B\x54_ENV_SECRET'),
	map({ [ "of another alphabet: $_", "f $_ open", "f $_ open" ] } '\u0164bt_env_secret', '\u1064bt_env_secret', '\U00000164bt_env_secret', '\0164bt_env_secret', '\+000164bt_env_secret', '\U10000064bt_env_secret'),
	map({ [ "no escape: $_", "f $_ open", "f $_ open" ] } '\u64bt_env_secret', '\U000064bt_env_secret', '\x6-4bt_env_secret', '\x6;bt_env_secret', '\+0064bt_env_secret', '\64bt_env_secret', '\108bt_env_secret', '\u00g4bt_env_secret'),
	['bytea, to its end', 'body \x6462745f636f6e6e656374696f6e', 'body *'],
	['bytea with a newline', 'body \x7b0a6462745f636f6e6e656374696f6e', 'body *'],
	['a name after bytea', 'body \x7b7d, dbt_connection = sesame', 'body *'],
	['a name after a byte', 'body \x7bdbt_connection = sesame', 'body *'],
	['a name after a byte and a letter', 'body \x7badbt_connection = sesame', 'body *'],
	['digits that are no bytea', '6462745f636f6e6e656374696f6e "open"', '6462745f636f6e6e656374696f6e "open"'],
	['another language', "Token \xc2\xbbsesame\xc2\xab, dbtConnection", 'Token *'],
	['a plan', '{CONST :consttype 25 :constvalue 10 [ 40 0 0 0 115 101 115 97 109 101 ]}', '*'],
	['a plan, by itself', ':constvalue 10 [ 115 101 115 97 109 101 ]', ':constvalue*'],
	['a common name', '{"api_key": "open"}', '{"api_key": "open"}'],
	['a common name in company', '{"api_key": "sesame", "environment_id": "1"}', '*'],
	['a common name in company, the other one', '{"type": "dbt_cloud_ide", "api_key": "sesame"}', '*'],
	['company before a common name', 'dbt_cloud_ide has an environment_id and api_key sesame', 'dbt_cloud_ide has an environment_id and api_key*'],
	['no company', '{"environment_id": "open", "type": "dbt_cloud_ide"}', '{"environment_id": "open", "type": "dbt_cloud_ide"}'],
	['a problem of ours', 'dbtConnection.personal_access_token: is required', 'dbtConnection*'],
	['another name', '{"access_token": "open"}', '{"access_token": "open"}'],
	['a name in pieces', 'personal_"access_token', 'personal_"access_token'],
	['a name with another beginning', 'an object_dbt_source "open"', 'an object_dbt_source "open"'],
	['half a name', '{"personal_access_toke', '{"personal_access_toke'],
	['an ordinary line', 'checkpoint complete: wrote 3 buffers \ (0.0%); \x7b22 \u0070', 'checkpoint complete: wrote 3 buffers \ (0.0%); \x7b22 \u0070'],
	['a name at the end', 'personal_access_token', 'personal_access_token'],
	['functions', 'http_request f_(1) f2(2) F(3)', 'http_request f_(1) f2(2) F(3)'],
	['rows', 'http_request_ (sesame)', 'http_request_ *'],
	['a row in brackets', 'http_request[1](sesame)', 'http_request[1]*'],
	['a row at the beginning', '(sesame) http_request', '*'],
	['parameters of others', 'execute: SELECT $1, parameters: open', 'execute: SELECT $1, parameters: open'],
	['a line of others', 'COPY t, line 2: "open"', 'COPY t, line 2: "open"'],
	['a quote at the end', 'http_request "', 'http_request *']);
is((silence($_->[1]))[0], $_->[2], $_->[0]) for @cases;

# the texts of an entry have one fate
is_deeply([ silence('relation "t" does not exist', 'SELECT update_project_dbt_source(t) FROM t') ],
	[ 'relation *', 'SELECT update_project_dbt_source(t) FROM t' ], 'the statement has the name');
is_deeply([ silence('api_key "sesame"', '{sesame}', 'dbt_cloud_ide') ], [ 'api_key*', '*', 'dbt_cloud_ide' ], 'one has the name, one the company');
is_deeply([ silence('relation "t" does not exist', "SELECT 'open'") ], [ 'relation "t" does not exist', "SELECT 'open'" ], 'none has a name');

# wherever a text is cut off: nothing beyond its end is read, nothing before it shown
for my $case (grep { $_->[2] ne $_->[1] } @cases)
{
	my ($name, $text) = @$case;
	my $texts = join ', ', map { literal(substr($text, 0, $_)) } grep { substr($text, 0, $_) !~ /[\xc2-\xf4][\x80-\xbf]*$/ } 1 .. length $text;
	unlike($node->safe_psql('postgres', "SELECT silence(t, 'http_request') FROM unnest(ARRAY[$texts]) t"), qr/ses|736573|115 101/, "$name, cut off anywhere");
}

# nor is there a name before its last letter
is($node->safe_psql('postgres', "SELECT string_agg(n::text, ' ') FROM generate_series(0, 40) n WHERE is_hidden('personal_access_token and its like, which go on', n)"),
	join(' ', 21 .. 40), 'the end of a text is where it ends');

# every function is a name, however it is written
my $functions = $node->safe_psql('postgres', "SELECT p.proname, (silence(p.proname || ' ''sesame'''))[1], (silence(encode(p.proname::bytea, 'hex'), '\\x' || encode(p.proname::bytea, 'hex')))[2]
	FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid WHERE e.extname = 'dbt_sources' AND d.deptype = 'e'");
like($functions, qr/^update_project_dbt_source\|/m, 'functions are found');
for my $format ('\x%02x', '\x%02X', '\u%04x', '\u%04X', '\U%08x', '\U%08X', '\%03o', '\%04x', '\%04X', '\+%06x', '\+%06X')
{
	my @names = map { [ $_, $_ =~ s/(.)/sprintf $format, ord $1/gesr ] } $functions =~ /^(\w+)/gm;
	is($node->safe_psql('postgres', 'SELECT name FROM (VALUES ' . join(', ', map { "('$_->[0]', " . literal($_->[1]) . ')' } @names) . ") n (name, written) WHERE (silence(written || 'sesame'))[1] <> '*'"),
		'', "each of their names in $format");
}
is($functions =~ s/^(\w+)\|\g1 \*\|\*$//mgr =~ s/\n//gr, '', 'and each is a name');

# what would take days if it weren't linear
for my $byte ("\\", "'", '"', '$', '{', '(', 'p', '\\x', '\\\\u0070', 'personal_access_toke', '\x70', "dbt_\\", '\x7', 'environment_id ', '\u005', "api_key'::")
{
	my $length = 4 * 1024 * 1024;
	is($node->safe_psql('postgres', "SELECT length(t), t = (silence(t))[1], (silence(t, 'http_request'))[1] ~ '^.{0,30}\$'
		FROM (SELECT repeat(" . literal($byte) . ", $length / length(" . literal($byte) . "))) s(t)") =~ s/^\d+\|//r, $byte =~ /^p$|^per|^env/ ? 't|f' : 't|t', "$length bytes of $byte");
}

$node->stop;
done_testing();
