# What was decrypted, and what is of a key, is wiped by who asked for it: each
# operation's list of what is.  A library that is loaded before the C library
# writes down the memory that is wiped.
use strict;
use warnings;

use Cwd qw(getcwd);
use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => "$ENV{DBT_SOURCES_WATCHED} has libraries of its own loaded, in place of the test's" if $ENV{DBT_SOURCES_WATCHED};

my $library = ($ENV{TEST_UNITS} // getcwd() . '/test/modules/test_units/test_units.so') =~ s/test_units\.so$/test_wipes.so/r;
my $wipes = PostgreSQL::Test::Utils::tempdir . '/wipes';
my $node = PostgreSQL::Test::Cluster->new('wipes');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{WIPES} = $wipes;
	$node->start;
}
my $keyring = $node->data_dir . '/dbt_sources.jwks';
my $project = '11111111-1111-4111-8111-111111111111';
my $another = '22222222-2222-4222-8222-222222222222';
my $token = 'ghp_0123456789';
my $connection = qq({"type": "gitlab", "personal_access_token": "$token", "repository": "r/s", "branch": "b", "project_sub_path": "/"});

my @keys;
sub learn_keys { @keys = map { $_->{k} } @{ decode_json(slurp_file($keyring))->{keys} } }

# initialization vectors, which nobody may know beforehand
sub ivs_now
{
	my ($database) = @_;
	return map { decode_base64url((split /\./)[2]) }
	  split /\n/, $node->safe_psql($database, 'SELECT dbt_connection FROM project_dbt_sources WHERE dbt_connection IS NOT NULL');
}

# What a piece of memory is, or nothing if it holds no secret.
sub name_of
{
	my ($bytes, @ivs) = @_;
	for my $iv (@ivs)
	{
		return 'IV' if $bytes eq $iv;
		return 'IVs' if index($bytes, $iv) >= 0;
	}
	my $is_text = $bytes =~ /": ?"/;
	return $is_text ? 'connection as text' : 'connection as jsonb' if index($bytes, $token) >= 0;
	for my $k (@keys)
	{
		my $key = decode_base64url($k);
		return $is_text ? 'keys as text' : 'keys as jsonb' if index($bytes, $k) >= 0;
		return 'key' if $bytes eq $key;
		return 'keys' if index($bytes, $key) >= 0;
		return 'MAC key' if $bytes eq substr $key, 0, 32;
		return 'encryption key' if $bytes eq substr $key, 32;
	}
	return;
}

# What a statement of a new session wipes, in whatever order.
sub wiped_by
{
	my ($database, $name, $statement, @expected) = @_;
	unlink $wipes;
	my ($status, $out, $err) = $node->psql($database, $statement);
	learn_keys() if $statement =~ /rotate/ && $status == 0;
	my @ivs = ivs_now($database);
	my @wiped = grep { defined } map { name_of(pack('H*', $_), @ivs) } -e $wipes ? split /\n/, slurp_file($wipes) : ();
	is_deeply([ sort @wiped ], [ sort @expected ], $name) or diag(join "\n", @wiped, $out, $err);
	return "$out$err";
}

# The steps that operations consist of.  Where the database isn't in UTF-8, a
# text is there twice while it is converted.
my $texts = 1;
sub parse { my ($what) = @_; return (("$what as text") x $texts, "$what as jsonb") }
sub parse_keyring { my ($nkeys) = @_; return (parse('keys'), ('key') x $nkeys, 'keys as jsonb') }
sub read_keyring { my ($nkeys) = @_; return (parse_keyring($nkeys), 'keys as text') }
sub open_envelope { return ('MAC key', 'encryption key', 'connection as text', parse('connection')) }
sub seal_envelope { return (('connection as text') x (2 * $texts - 1), 'encryption key', 'MAC key') }
my @make_key = ('key', parse('keys'), 'keys as text');
my @change_keyring = (parse('keys'), 'keys as text', 'keys', 'keys as jsonb', 'keys as jsonb', 'keys as text');
my @draw = ('IVs', 'IV');

sub create_sources
{
	my ($database) = @_;
	$node->safe_psql($database, "CREATE EXTENSION dbt_sources CASCADE;
		CREATE TABLE projects (project_uuid uuid PRIMARY KEY); SELECT enable_dbt_sources('projects');
		INSERT INTO projects VALUES ('$project'), ('$another');
		CREATE FUNCTION base64url(b bytea) RETURNS text LANGUAGE sql AS \$\$ SELECT translate(encode(b, 'base64'), E'+/=\\n', '-_') \$\$;
		CREATE FUNCTION seal(header text, plaintext text, key bytea) RETURNS text LANGUAGE sql AS \$\$
			SELECT header || '..' || base64url(iv) || '.' || base64url(ciphertext) || '.' ||
				base64url(substr(hmac(header::bytea || iv || ciphertext || int8send(length(header) * 8), substr(key, 1, 32), 'sha512'), 1, 32))
			FROM gen_random_bytes(16) iv, encrypt_iv(convert_to(plaintext, 'UTF8'), substr(key, 33), iv, 'aes') ciphertext \$\$");
}
create_sources('postgres');

# keys
wiped_by('postgres', 'the first key', 'SELECT rotate_encryption_key()', @make_key, 'keys as jsonb', 'keys as jsonb', 'keys as text');
wiped_by('postgres', 'another key', 'SELECT rotate_encryption_key()',
	@make_key, parse_keyring(1), @change_keyring, 'keys as jsonb');
wiped_by('postgres', 'a keyring that stays', 'SELECT encryption_keys(); SELECT encryption_keys()', read_keyring(2));

# connections
sub test_connections
{
	my ($database) = @_;
	my @open = open_envelope();
	my @seal = seal_envelope();
	my $created = wiped_by($database, "$database: adding one",
		"SELECT create_project_dbt_source('$project', '{\"name\": \"a\", \"dbtConnection\": $connection}') ->> 'projectDbtSourceUuid'",
		read_keyring(2), @draw, @seal);
	my ($source) = $created =~ /([0-9a-f-]{36})/;
	my $path = "'/api/v1/projects/$project/dbt-sources/$source'";
	my $without_token = $connection =~ s/"personal_access_token": "\w+", //r;

	wiped_by($database, "$database: keeping a token",
		"SELECT update_project_dbt_source('$project', '$source', '{\"dbtConnection\": $without_token}')",
		read_keyring(2), @open, @draw, @seal, 'connection as jsonb');
	wiped_by($database, "$database: sending one over HTTP", "SELECT http_request('PATCH', $path, '{\"dbtConnection\": $connection}')",
		parse('connection'), read_keyring(2), @draw, @seal, 'connection as jsonb');
	wiped_by($database, "$database: a body that can't be jsonb", "SELECT http_request('PATCH', $path, '{\"dbtConnection\": $connection, \"x\": 1e999999}')",
		('connection as text') x (2 * $texts));
	wiped_by($database, "$database: a view", "SELECT get_project_dbt_source('$project', '$source')",
		read_keyring(2), @open, 'connection as jsonb');
	wiped_by($database, "$database: a list", "SELECT list_project_dbt_sources('$project')",
		read_keyring(2), @open, 'connection as jsonb');
	wiped_by($database, "$database: for the worker", "SELECT project_dbt_connection('$project', '$source')", read_keyring(2), @open);
	wiped_by($database, "$database: a copy", "SELECT copy_project_dbt_sources('$project', '$another')",
		read_keyring(2), @open, 'connection as jsonb', @draw, @seal);

	# what others have sealed
	my $row = "project_dbt_source_uuid = '$source'";
	my ($key) = map { unpack 'H*', decode_base64url($_) } @keys;
	my $seal_it = "UPDATE project_dbt_sources SET dbt_connection = seal(split_part(dbt_connection, '.', 1), '%s', '\\x$key') WHERE $row";
	my $refused = $connection =~ s/\}$/, "environment": [{"key": "PATH", "value": "v"}]}/r;
	$node->safe_psql($database, sprintf $seal_it, $refused);
	wiped_by($database, "$database: a variable is left out", "SELECT project_dbt_connection('$project', '$source')",
		read_keyring(2), @open, 'connection as jsonb');
	$node->safe_psql($database, sprintf $seal_it, $connection =~ s/gitlab/none of them/r);
	wiped_by($database, "$database: what isn't a connection", "SELECT list_project_dbt_sources('$project')",
		read_keyring(2), @open, 'connection as jsonb');
	$node->safe_psql($database, "DELETE FROM project_dbt_sources WHERE project_uuid = '$project'");
	return;
}
test_connections('postgres');
$node->safe_psql('postgres', "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
create_sources('latin1');
$texts = 2;
test_connections('latin1');
$texts = 1;

# and their keys
wiped_by('postgres', 'a keyring that changes', 'SELECT encryption_keys(); SELECT rotate_encryption_key(); SELECT encryption_keys()',
	read_keyring(2), @make_key, parse_keyring(2), @change_keyring, 'keys as jsonb', 'keys', read_keyring(3));
wiped_by('postgres', 're-encryption', 'SELECT reencrypt_dbt_connections()', read_keyring(3), open_envelope(), 'connection as jsonb', @draw, seal_envelope());
$node->safe_psql('latin1', 'SELECT reencrypt_dbt_connections()');
wiped_by('postgres', 'removing a key', 'SELECT remove_encryption_key((SELECT kid FROM encryption_keys() OFFSET 1 LIMIT 1))',
	read_keyring(3), parse_keyring(3), @change_keyring);

# keyrings that can't be used
sub test_keyring
{
	my ($name, $text, @expected) = @_;
	my $whole = slurp_file($keyring);
	open my $fh, '>', $keyring or die $!;
	print $fh $text;
	close $fh;
	wiped_by('postgres', "$name: read", 'SELECT encryption_keys()', @expected, 'keys as text');
	wiped_by('postgres', "$name: to be changed", 'SELECT rotate_encryption_key()', @expected, 'keys as text');
	open $fh, '>', $keyring or die $!;
	print $fh $whole;
	close $fh;
	return;
}
my $jwk = qq({"kty": "oct", "kid": "a", "k": "$keys[0]"});
test_keyring('two keys of one kid', "{\"keys\": [$jwk, $jwk]}", parse_keyring(2), 'keys');
test_keyring('no array', "{\"keys\": $jwk}", parse_keyring(0));
test_keyring('no JSON', "{\"keys\": [$jwk}", 'keys as text');

done_testing();
