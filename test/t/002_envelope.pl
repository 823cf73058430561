# The envelope: a stranger's implementation reads and writes it, and nothing
# that was tampered with is taken for a connection.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Needs 'jose';

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('envelope');
$node->init;
$node->start;
my $kid = $node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
	SELECT enable_dbt_sources('projects') \\gset
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one');
	SELECT rotate_encryption_key()");
my $keyring = $node->data_dir . '/dbt_sources.jwks';
my $source = $node->safe_psql('postgres', qq{SELECT create_project_dbt_source('$project', '{"name": "a",
	"dbtConnection": {"type": "gitlab", "personal_access_token": "sesame", "repository": "r", "branch": "b",
	"project_sub_path": "/"}}') ->> 'projectDbtSourceUuid'});
my $row = "project_dbt_source_uuid = '$source'";
my $stored = $node->safe_psql('postgres', "SELECT dbt_connection FROM project_dbt_sources WHERE $row");

# jose reads what we wrote
my $folder = PostgreSQL::Test::Utils::tempdir;
sub write_file
{
	my ($name, $content) = @_;
	open my $fh, '>', "$folder/$name" or die $!;
	print $fh $content;
	close $fh;
	return "$folder/$name";
}
my $jwe = write_file('row.jwe', $stored);
my ($out, $err) = run_command([ 'jose', 'jwe', 'dec', '-i', $jwe, '-k', $keyring, '-O', '-' ]);
like($out, qr/"personal_access_token": "sesame"/, 'jose decrypts a stored row with the key file');

# and we read what it wrote
sub jose_encrypt
{
	my ($plaintext, $header) = @_;
	my $text = write_file('plaintext', $plaintext);
	my ($out, $err) = run_command([ 'jose', 'jwe', 'enc', '-I', $text, '-i', "{\"protected\": {$header}}",
			'-k', $keyring, '-c', '-o', '-' ]);
	die $err if $out eq '';
	chomp $out;
	return $out;
}
sub header
{
	my ($subject) = @_;
	return qq{"alg": "dir", "enc": "A256CBC-HS512", "kid": "$kid", "sub": "$subject"};
}
sub store
{
	my ($envelope) = @_;
	$node->safe_psql('postgres', "UPDATE project_dbt_sources SET dbt_connection = '$envelope' WHERE $row");
	return $node->safe_psql('postgres', "SELECT e -> 'hasCredentialError', e -> 'branch'
		FROM jsonb_array_elements(list_project_dbt_sources('$project')) e
		WHERE e ->> 'projectDbtSourceUuid' = '$source'");
}
my $connection = '{"type":"gitlab","personal_access_token":"by jose","repository":"r","branch":"jose","project_sub_path":"/"}';
is(store(jose_encrypt($connection, header("$project/$source"))), 'false|"jose"', 'a row that jose wrote is read');
is($node->safe_psql('postgres', "SELECT project_dbt_connection('$project', '$source') ->> 'personal_access_token'"),
	'by jose', 'whole');

# what would be refused today, but was stored before, is kept
store(jose_encrypt('{"type":"gitlab","personal_access_token":"before\n","repository":"r","branch":"b","project_sub_path":"/",
	"x":1e999,"environment":[{"key":"GIT_DIR","value":"/tmp"}]}', header("$project/$source")));
my $kept = '{"type": "gitlab", "repository": "r", "branch": "c", "project_sub_path": "/"}';
$node->safe_psql('postgres', qq{SELECT update_project_dbt_source('$project', '$source', '{"dbtConnection": $kept}')});
is($node->safe_psql('postgres', "SELECT c ->> 'branch', c ->> 'personal_access_token' = E'before\\n', c -> 'x' = '1e999'
	FROM project_dbt_connection('$project', '$source') c"), 'c|t|t', 'an update keeps a secret that would be refused today');
my (undef, undef, $refused) = $node->psql('postgres', qq{SELECT update_project_dbt_source('$project', '$source', '{"dbtConnection":
	$kept}'::jsonb || '{"dbtConnection": {"type": "gitlab", "personal_access_token": "again\\n", "repository": "r", "branch": "c",
	"project_sub_path": "/"}}')});
like($refused, qr/dbtConnection\.personal_access_token: must not contain control or invisible characters/, 'and refuses it when it is sent');

# so are blanks around a host; what is nothing else isn't the host that is stored behind it
for my $case ([ ' Own.example  ', 'r', 'b' ], map { [ ' ', 'r' x ($_ / 2), 'refused', ' ' x ($_ % 2) ] } 2 .. 9)
{
	my ($host, $repository, $expected, $blank) = (@$case, '');
	my $same = qq("type": "gitlab", "repository": "$repository", "project_sub_path": "/");
	store(jose_encrypt(qq({$same, "branch": "a", "personal_access_token": "t", "host_domain": "$host", "host_domain2": "${blank}own.example", "host_domain_3": 1}), header("$project/$source")));
	my (undef, $branch, $said) = $node->psql('postgres', qq{SELECT update_project_dbt_source('$project', '$source', '{"dbtConnection": {$same, "branch": "b", "host_domain": "own.example"}}') ->> 'branch'});
	is($branch || ($said =~ /personal_access_token: must be sent again/ ? 'refused' : $said), $expected, qq("$host" is stored, and own.example sent));
}

is(store(jose_encrypt($connection, header("$project/$project"))), 'true|null', 'for another row: refused');
is(store(jose_encrypt($connection, header("$project/$source") . ', "zip": "DEF"')), 'true|null', 'compressed: refused');
is(store(jose_encrypt($_->[1], header("$project/$source"))), 'true|null', "$_->[0]: refused")
  for ['not JSON', 'sesame'], ['no object', '[]'], ['no type', '{}'], ['unknown type', '{"type": "svn"}'],
	['number out of range', '{"type": "none", "x": 1e999999}'], ['NUL', '{"type": "none", "x": "\u0000"}'],
	['not UTF-8', "{\"type\": \"none\", \"x\": \"\xff\"}"];

# every byte counts
$node->safe_psql('postgres', "UPDATE project_dbt_sources SET dbt_connection = '$stored' WHERE $row");
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION broken(project uuid, source uuid, envelope text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	UPDATE project_dbt_sources SET dbt_connection = envelope WHERE project_dbt_source_uuid = source;
	RETURN (SELECT e -> 'hasCredentialError' = 'true' AND e -> 'type' = 'null'
		FROM jsonb_array_elements(list_project_dbt_sources(project)) e
		WHERE e ->> 'projectDbtSourceUuid' = source::text);
END $$;
SQL
my $each = "generate_series(1, length('$stored')) i";
# the neighbour in the alphabet differs in the last bit, which the end of a
# base64url text may not use
is($node->safe_psql('postgres', "SELECT count(*) FROM $each, unnest(ARRAY['bits', '.', '=', ' ', '+', 'é']) change
	WHERE NOT broken('$project', '$source', overlay('$stored' PLACING CASE WHEN change <> 'bits' THEN change
		ELSE translate(substr('$stored', i, 1), 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.',
			'BADCFEHGJILKNMPORQTSVUXWZYbadcfehgjilknmporqtsvuxwzy1032547698_-A') END FROM i FOR 1))
		AND substr('$stored', i, 1) <> change"), 0, 'a change of any byte is noticed');
is($node->safe_psql('postgres', "SELECT count(*) FROM $each
	WHERE NOT broken('$project', '$source', left('$stored', i - 1))"), 0, 'so is a cut at any place');
is($node->safe_psql('postgres', "SELECT count(*) FROM unnest(ARRAY['', '....', '.....', 'e30....', '$stored' || '.', '$stored' || 'A',
		'$stored' || E'\\n', repeat('A', 10000) || '....', repeat('.', 100000)]) e
	WHERE NOT broken('$project', '$source', e)"), 0, 'and anything else');
is($node->safe_psql('postgres', "SELECT broken('$project', '$source', NULL)"), 't', 'or nothing');

# an unknown kid, and what the errors say
$node->safe_psql('postgres', "SELECT broken('$project', '$source', '$stored')");
rename $keyring, "$keyring.old";
$node->safe_psql('postgres', 'SELECT rotate_encryption_key(anew => true)');
my $stderr;
$node->psql('postgres', "SELECT get_project_dbt_source('$project', '$source')", stderr => \$stderr,
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($stderr, qr/XX001: connection of dbt source "a" \($source\) of project $project cannot be decrypted\nDETAIL:  The keyring does not have its key\./,
	'an unknown key is named as the reason');
my $before = $node->safe_psql('postgres', "SELECT md5(dbt_connection) FROM project_dbt_sources WHERE $row");
is($node->safe_psql('postgres', "SELECT update_project_dbt_source('$project', '$source', '{\"name\": \"b\"}') -> 'hasCredentialError'"),
	'true', 'it can be renamed');
is($node->safe_psql('postgres', "SELECT md5(dbt_connection) FROM project_dbt_sources WHERE $row"), $before,
	'and the ciphertext stays');
is($node->safe_psql('postgres', "SELECT update_project_dbt_source('$project', '$source',
	'{\"dbtConnection\": {\"type\": \"dbt\"}}') -> 'hasCredentialError'"), 'false', 'a new connection heals it');

$node->stop;
done_testing();
