# Secrets are found in a text however a connection is quoted in it.
use strict;
use warnings;

use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
my $module = $ENV{TEST_UNITS} // "$top/test/modules/test_units/test_units.so";
my $node = PostgreSQL::Test::Cluster->new('mask');
$node->init;
$node->start;
$node->safe_psql('postgres', "CREATE FUNCTION mask(text) RETURNS text
	AS '$module', 'test_mask' LANGUAGE C STRICT");

sub mask
{
	my ($text) = @_;
	return $node->safe_psql('postgres', "SELECT mask(convert_from('\\x" . unpack('H*', $text) . "', 'UTF8'))");
}

# what is masked, and what is not, to the letter
my @cases = (
	['JSON', '{"personal_access_token": "sesame", "branch": "b"}', '{"personal_access_token": "******", "branch": "b"}'],
	['all fields', '{"api_key":"sesame","webhook_hmac_secret":"sesame"}', '{"api_key":"******","webhook_hmac_secret":"******"}'],
	['pretty-printed', qq({\n\t"api_key"\n\t:\n\t"sesame"\n}), qq({\n\t"api_key"\n\t:\n\t"******"\n})],
	['a quote in the value', '{"api_key": "ses\"ame", "b": 1}', '{"api_key": "********", "b": 1}'],
	['the value cut off', 'parameters: $1 = \'{"api_key": "sesa...', 'parameters: $1 = \'{"api_key": "*******'],
	['a quote doubled', q(SELECT f('{"api_key": "se''same"}')), q(SELECT f('{"api_key": "********"}'))],
	["E''", q(SELECT f(E'{\"api_key\": \"sesame\", \"b\": 1}')), q(SELECT f(E'{\"api_key\": \"******\", \"b\": 1}'))],
	["E'' with escaped space", q(E'{\"api_key\"\n:\t\"sesame\"}'), q(E'{\"api_key\"\n:\t\"******\"}')],
	["E'' with a quote", q(E'{\"api_key\": \"ses\\\\\"ame\", \"b\": 1}'), q(E'{\"api_key\": \"**********\", \"b\": 1}')],
	['JSON in JSON', '"{\"api_key\": \"sesame\"}"', '"{\"api_key\": \"******\"}"'],
	['\u in the name', '{"\u0070ersonal_access_token": "sesame"}', '{"\u0070ersonal_access_token": "******"}'],
	['\u all over', '{"\u0061\u0070\u0069\u005f\u006B\u0065\u0079": "sesame"}', '{"\u0061\u0070\u0069\u005f\u006B\u0065\u0079": "******"}'],
	["\\u in E''", q(E'{"\\\\u0061pi_key": "sesame"}'), q(E'{"\\\\u0061pi_key": "******"}')],
	["\\x in E''", q(E'{"\x61pi_key": "sesame"}'), q(E'{"\x61pi_key": "******"}')],
	["octal in E''", q(E'{"\160ersonal_access_token": "sesame"}'), q(E'{"\160ersonal_access_token": "******"}')],
	["U&''", q(U&'{"\0061pi_key": "sesame"}'), q(U&'{"\0061pi_key": "******"}')],
	['dollar quotes', '$x${"api_key": "sesame"}$x$', '$x${"api_key": "******"}$x$'],
	['a function\'s arguments', q(jsonb_build_object('api_key', 'sesame', 'b', 'c')), q(jsonb_build_object('api_key', '******', 'b', 'c'))],
	['the same, quoted once more', q('SELECT f(''api_key'', ''ses''''ame'', ''b'')'), q('SELECT f(''api_key'', ''**********'', ''b'')')],
	['the same with casts', q(f('api_key'::text, E'ses\'ame'::text, 'b')), q(f('api_key'::text, E'********'::text, 'b'))],
	['the same with a dollar-quoted value', q(f('api_key', $a$ses ame$a$, 'b')), q(f('api_key', $a$*******$a$, 'b'))],
	['a path', q(jsonb_set(b, '{dbtConnection,api_key}', '"sesame"')), q(jsonb_set(b, '{dbtConnection,api_key}', '********'))],
	['a path and a function', q(jsonb_set(b, '{api_key}', to_jsonb('ses ame'::text))), q(jsonb_set(b, '{api_key}', to_jsonb('*******'::text)))],
	['a comparison', q(WHERE c ->> 'api_key' = 'sesame'), q(WHERE c ->> 'api_key' = '******')],
	['a named argument', q(f(api_key => 'sesame')), q(f(api_key => '******'))],
	['a concatenation', q('{"api_key": "' || 'sesame' || '"}'), q('{"api_key": "******************"}')],
	['no string', '{"api_key": sesame}', '{"api_key": ******}'],
	['an object', '{"api_key": {"a": "sesame"}}', '{"api_key": ****************'],
	['a form', 'api_key=sesame&b=c', 'api_key=******&b=c'],
	['an environment', '[{"key": "DBT_ENV_SECRET_A", "value": "sesame"}, {"value": "sesame", "key": "B"}]',
		'[{"key": "DBT_ENV_SECRET_A", "value": "******"}, {"value": "******", "key": "B"}]'],
	['an environment, escaped', '[{"key": "\u0044BT_ENV_SECRET", "\u0076alue": "sesame"}]', '[{"key": "\u0044BT_ENV_SECRET", "\u0076alue": "******"}]'],
	['an environment without secrets', '[{"key": "A", "value": "open"}]', '[{"key": "A", "value": "open"}]'],
	['the name of a field as a value', '{"authorization_method": "personal_access_token", "branch": "b"}',
		'{"authorization_method": "personal_access_token", "branch": "b"}'],
	['a problem of ours', "dbtConnection.personal_access_token: is required\ndbtConnection.api_key: must be a string",
		"dbtConnection.personal_access_token: is required\ndbtConnection.api_key: must be a string"],
	['a column', 'column "api_key" does not exist', 'column "api_key" does not exist'],
	['columns', 'INSERT INTO t (api_key, b) VALUES ($1, $2)', 'INSERT INTO t (api_key, b) VALUES ($1, $2)'],
	['another name', '{"my_api_keys": "open"}', '{"my_api_keys": "open"}'],
	['letters of more bytes', "{\"api_key\": \"s\xc3\xa9same\xe2\x82\xac\"}", '{"api_key": "**********"}'],
	['an ordinary line', 'checkpoint complete: wrote 3 buffers \ (0.0%)', 'checkpoint complete: wrote 3 buffers \ (0.0%)'],
	['a name at the end', 'personal_access_token', 'personal_access_token'],
	['a backslash at the end', '{"api_key\\', '{"api_key\\'],
	['a colon at the end', '{"api_key":', '{"api_key":'],
	['a quote at the end', '{"api_key":"', '{"api_key":"']);
is(mask($_->[1]), $_->[2], $_->[0]) for @cases;

# whatever is cut out of a line, none of it reads beyond the end
for my $case (@cases)
{
	my ($name, $text) = @$case;
	my $sql = join ";\n", map { "SELECT mask(convert_from('\\x" . unpack('H*', substr($text, 0, $_)) . "', 'UTF8')) ~ 'sesame'" }
	  grep { substr($text, 0, $_) !~ /[\xc2-\xf4][\x80-\xbf]*$/ } 1 .. length $text;
	unlike($node->safe_psql('postgres', $sql), qr/t/, "$name, cut off anywhere");
}

$node->stop;
done_testing();
