# The keyring file: what is refused, what is noticed, how it is written.
use strict;
use warnings;

use File::Basename;
use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('keyring');
$node->init;
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one')");
my $file = $node->data_dir . '/dbt_sources.jwks';

my $set = "SELECT set_project_dbt_connection('$project', '{\"type\": \"none\"}')";
my $get = "SELECT get_project_dbt_source('$project', '$project')";

sub error_of
{
	my ($sql) = @_;
	my ($stdout, $stderr);
	$node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

sub write_keyring
{
	my ($content, $mode) = @_;
	unlink $file;
	open my $fh, '>', $file or die $!;
	print $fh $content;
	close $fh;
	chmod $mode, $file;
}

like(error_of($set), qr/55000: no usable keyring.*does not exist.*HINT:.*rotate_encryption_key/s,
	'missing: the hint says how to create it');

my $kid = $node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
is((stat $file)[2] & 07777, 0600, 'created for the server alone');
my $good = slurp_file($file);
like($good, qr/"kid": "$kid"/, 'holds the key of that kid');
ok(!-e "$file.tmp", 'no temporary file is left');
is(error_of($set), '', 'and works');

# what is wrong with a file, and the reason that is given
my %broken = (
	'not JSON' => ['{"keys": [', qr/is not JSON/],
	'empty' => ['', qr/is not JSON/],
	'no set' => ['{"kty": "oct"}', qr/is not a JWK Set/],
	'no keys' => ['{"keys": []}', qr/is not a JWK Set/],
	'keys no array' => ['{"keys": {"a": 1}}', qr/is not a JWK Set/],
	'array' => ['[]', qr/is not a JWK Set/],
	'key no object' => ['{"keys": [7]}', qr/key that is not an object/],
	'RSA' => ['{"keys": [{"kty": "RSA", "kid": "a"}]}', qr/"kty" is not "oct"/],
	'no kid' => ['{"keys": [{"kty": "oct", "k": "AAAA"}]}', qr/without "kid"/],
	'empty kid' => ['{"keys": [{"kty": "oct", "kid": "", "k": "AAAA"}]}', qr/"kid" is not 1 to 255 bytes of printable ASCII/],
	'long kid' => ['{"keys": [{"kty": "oct", "kid": "' . 'x' x 256 . '", "k": "AAAA"}]}', qr/"kid" is not 1 to 255 bytes/],
	'kid with a control character' => ['{"keys": [{"kty": "oct", "kid": "a\\nb", "k": "AAAA"}]}', qr/"kid" is not 1 to 255 bytes/],
	'kid that begins with a control character' => ['{"keys": [{"kty": "oct", "kid": "\\u001fa", "k": "AAAA"}]}', qr/"kid" is not 1 to 255 bytes/],
	'kid with DEL' => ["{\"keys\": [{\"kty\": \"oct\", \"kid\": \"a\x7f\", \"k\": \"AAAA\"}]}", qr/"kid" is not 1 to 255 bytes/],
	'kid in UTF-8' => ["{\"keys\": [{\"kty\": \"oct\", \"kid\": \"cl\xc3\xa9\", \"k\": \"AAAA\"}]}", qr/"kid" is not 1 to 255 bytes/],
	'escaped kid in UTF-8' => ['{"keys": [{"kty": "oct", "kid": "cl\u00e9", "k": "AAAA"}]}', qr/"kid" is not 1 to 255 bytes/],
	'not base64url' => ['{"keys": [{"kty": "oct", "kid": "a", "k": "sesame+/"}]}', qr/not base64url/],
	'short' => ['{"keys": [{"kty": "oct", "kid": "a", "k": "' . 'A' x 84 . '"}]}', qr/not 64 bytes long/],
	'long' => ['{"keys": [{"kty": "oct", "kid": "a", "k": "' . 'A' x 87 . '"}]}', qr/not 64 bytes long/],
	'duplicate' => ['{"keys": [' . join(', ', ('{"kty": "oct", "kid": "a", "k": "' . 'A' x 86 . '"}') x 2) . ']}',
		qr/two keys with one "kid"/],
	'too large' => [' ' x (1024 * 1024 + 1), qr/is too large/]);
for my $case (sort keys %broken)
{
	my ($content, $reason) = @{ $broken{$case} };
	write_keyring($content, 0600);
	my $error = error_of($set);
	like($error, qr/55000: no usable keyring.*$reason.*HINT:/s, "$case: refused");
	unlike($error, qr/sesame|AAAA/, "$case: no key in the error");
	like(error_of('SELECT rotate_encryption_key()'), qr/55000.*$reason/s, "$case: not rotated");
	is(slurp_file($file), $content, "$case: left as it is");
}

# a kid of all that is allowed, and as long as it may be: what it encrypts is read
# back when another key is active
my $longest = join('', map { chr } 0x20 .. 0x7e);
$longest .= 'x' x (255 - length $longest);
(my $escaped = $longest) =~ s/(["\\])/\\$1/g;
for my $kid ([ 'a', 'a' ], [ $longest, $escaped ])
{
	my $jwk = '{"kty": "oct", "kid": "' . $kid->[1] . '", "k": "' . 'A' x 86 . '"}';
	write_keyring("{\"keys\": [$jwk]}", 0600);
	is(error_of($set), '', 'a kid of ' . length($kid->[0]) . ' bytes encrypts');
	$node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
	like($node->safe_psql('postgres', $get), qr/"type": "none"/, 'decrypts when another is active');
	is($node->safe_psql('postgres', 'SELECT kid, connections FROM encryption_keys() WHERE NOT active'),
		"$kid->[0]|1", 'and is counted');
}
write_keyring($good . ' ' x (1024 * 1024 - length $good), 0600);
$node->safe_psql('postgres', $set);
# and no larger one is written, as would be with the blanks of jsonb
my $many = '{"keys":[' . join(',', map { '{"kty":"oct","kid":"' . $_ . '","k":"' . 'A' x 86 . '"}' } 1 .. 8500) . ']}';
write_keyring($many, 0600);
$node->safe_psql('postgres', $set);
like(error_of('SELECT rotate_encryption_key()'), qr/54000: the keyring would be too large.*DETAIL:  .*at most 1048576 bytes.*HINT:/s, 'too many keys: not rotated');
ok(slurp_file($file) eq $many, 'left as it is');
write_keyring($good, 0600);
$node->safe_psql('postgres', $set);

for my $mode (0640, 0604, 0620, 0601)
{
	write_keyring($good, $mode);
	like(error_of($set), qr/55000.*group or world access.*HINT:.*0600/s, sprintf '%04o: refused', $mode);
}
# what root owns may be readable for a group, as a mounted secret is, and not for the world
for my $case ([ '/etc/shadow', 0, 0640, qr/could not be read: Permission denied.*HINT:.*chmod 0600/s ], [ '/etc/passwd', 0, 0644, qr/has group or world access/ ],
	[ '/var/cache/man/index.db', undef, 0644, qr/belongs to another operating system user/ ])
{
	my ($other, $owner, $mode, $reason) = @$case;
	my @stat = stat $other;
  SKIP:
	{
		skip "$other is another one here", 1
		  if !@stat || ($stat[2] & 07777) != $mode || (defined $owner ? $stat[4] != $owner : $stat[4] == 0 || $stat[4] == $>);
		like(error_of("SET dbt_sources.keyring_file = '$other'; $set"), qr/55000: no usable keyring.*$reason/s, "$other: refused");
	}
}

unlink $file;
mkdir $file;
chmod 0700, $file;
like(error_of($set), qr/55000.*not a regular file/s, 'a folder: refused');
rmdir $file;

# without a usable keyring views and renames work
$node->safe_psql('postgres', "LOAD 'dbt_sources'; ALTER SYSTEM SET dbt_sources.keyring_file = 'elsewhere.jwks'");
$node->reload;
like(error_of($get), qr/55000/, 'get needs the keyring');
is($node->safe_psql('postgres', "SELECT list_project_dbt_sources('$project') -> 0 -> 'type'"),
	'null', 'list does not');
is($node->safe_psql('postgres',
		"SELECT update_project_dbt_source('$project', '$project', '{\"name\": \"x\"}') ->> 'name'"),
	'x', 'nor does a rename');
$node->safe_psql('postgres', "LOAD 'dbt_sources'; ALTER SYSTEM RESET dbt_sources.keyring_file");
$node->reload;

# one session notices each change of the file
write_keyring($good, 0600);
my $copy = "$file.copy";
my $out = $node->safe_psql('postgres', qq{
	SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
	\\! mv '$file' '$copy'
	SELECT coalesce(list_project_dbt_sources('$project') -> 0 ->> 'type', 'gone');
	SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'dbt_sources keyring';
	\\! mv '$copy' '$file'
	SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
	SELECT rotate_encryption_key() IS NOT NULL;
	SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
	$set ->> 'type';
});
is($out, join("\n", 'none', 'gone', 0, 'none', 't', 'none', 'none'), 'a session notices each change, and keeps no key that is gone');
# also of the same file, as long as it was and with its old time
my $changed = slurp_file($file) =~ s/"k": "(.)/'"k": "' . ($1 eq 'A' ? 'B' : 'A')/er;
open my $fh, '>', "$file.changed" or die $!;
print $fh $changed;
close $fh;
$out = $node->safe_psql('postgres', qq{
	SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
	\\! cp -p '$file' '$copy'; cat '$file.changed' >'$file'; touch -r '$copy' '$file'
	SELECT coalesce(list_project_dbt_sources('$project') -> 0 ->> 'type', 'another key');
	\\! cat '$copy' >'$file'; touch -r '$copy' '$file'
	SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
});
is($out, join("\n", 'none', 'another key', 'none'), 'even one that is written over');

my $rotated = slurp_file($file);
my ($first) = $rotated =~ /"kid": "([^"]+)"/;
isnt($first, $kid, 'the new key comes first');
like($rotated, qr/"kid": "$kid"/, 'the old one stays');
is((stat $file)[2] & 07777, 0600, 'still for the server alone');

# a missing keyring isn't replaced by a new one while connections need it
unlink $file;
my $refused = error_of('SELECT rotate_encryption_key()');
like($refused, qr/55000: the keyring is missing.*DETAIL:  Table public\.project_dbt_sources has 1 connection .*HINT:  Bring the keyring file back.*anew => true/s,
	'a rotation does not replace a missing keyring');
unlike($refused, qr/\.jwks/, 'and does not say where it was');
ok(!-e $file, 'nothing is written');
like(error_of($set), qr/55000: no usable keyring.*HINT:  Bring it back/s, 'an update advises to bring it back');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION dbt_sources CASCADE');
$node->safe_psql('other', "SET dbt_sources.keyring_file = 'other.jwks'; SELECT rotate_encryption_key()");
ok(-e $node->data_dir . '/other.jwks', 'where there are no connections, it creates one');
my $anew = $node->safe_psql('postgres', 'SELECT rotate_encryption_key(anew => true)');
is($node->safe_psql('postgres', 'SELECT kid, active FROM encryption_keys()'), "$anew|t", 'told to, it begins anew');
like($node->safe_psql('postgres', 'SELECT rotate_encryption_key() IS NOT NULL'), qr/t/, 'and then rotates as ever');
is($node->safe_psql('postgres', 'SELECT count(*) FROM encryption_keys()'), 2, 'without losing a key');

# members that we don't know are kept
write_keyring('{"note": "ours", "keys": [{"kty": "oct", "kid": "own", "use": "enc", "k": "' . 'A' x 86 . '"}]}', 0600);
$node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
like(slurp_file($file), qr/"note": "ours"/, 'a set keeps what else is in it');
like(slurp_file($file), qr/"use": "enc"/, 'so does a key');

# callers at once: each key is there
unlink $file;
$node->safe_psql('postgres', 'DELETE FROM project_dbt_sources');
$node->pgbench('-c 8 -t 5 -n', 0, [qr{40/40}], [qr{^$}],
	'rotate at once', { 'rotate' => 'SELECT rotate_encryption_key();' });
is($node->safe_psql('postgres', "SELECT count(DISTINCT k ->> 'kid')
	FROM jsonb_array_elements(pg_read_file('dbt_sources.jwks')::jsonb -> 'keys') k"), 40, 'no key is lost');

# a folder that can't be written
my $folder = $node->basedir . '/readonly';
mkdir $folder;
$node->safe_psql('postgres', "SET dbt_sources.keyring_file = '$folder/keys'; SELECT rotate_encryption_key()");
my $before = slurp_file("$folder/keys");
chmod 0500, $folder;
like(error_of("SET dbt_sources.keyring_file = '$folder/keys'; SELECT rotate_encryption_key()"),
	qr/42501: could not create keyring file: Permission denied.*HINT:.*mounted secret/s, 'an unwritable folder is an error');
unlike(error_of("SET dbt_sources.keyring_file = '$folder/keys'; SELECT rotate_encryption_key()"),
	qr/\Q$folder/, 'which does not say where it is');
like(slurp_file($node->logfile), qr{DETAIL:  The file is "\Q$folder\E/keys.tmp"}, 'but in the log');
is(slurp_file("$folder/keys"), $before, 'and changes nothing');
chmod 0700, $folder;

# a symbolic link leads to the file, which is replaced where it is
my $elsewhere = $node->basedir . '/elsewhere';
mkdir $elsewhere;
for my $case ([ 'absolute', "$elsewhere/keys" ], [ 'relative', '../elsewhere/keys' ],
	[ 'of a link', 'first' ], [ 'to nothing yet', "$elsewhere/new" ])
{
	my ($name, $to) = @$case;
	my $target = $name eq 'to nothing yet' ? "$elsewhere/new" : "$elsewhere/keys";
	unlink $file;
	if ($target eq "$elsewhere/keys")
	{
		write_keyring($good, 0600);
		rename $file, $target;
	}
	symlink "$elsewhere/keys", $node->data_dir . '/first';
	symlink $to, $file;
	my $new = $node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
	is(readlink $file, $to, "a symbolic link, $name: stays one");
	like(slurp_file($target), qr/"kid": "$new"/, 'and the key is where it leads');
	is((stat $target)[2] & 07777, 0600, 'for the server alone');
	is(join(' ', map { basename($_) } glob "$elsewhere/*.tmp"), '', 'without a temporary file');
	is($node->safe_psql('postgres', 'SELECT kid FROM encryption_keys() WHERE active'), $new, 'it is the active one');
}
# as many links as Linux follows
unlink $file, glob "$elsewhere/*";
write_keyring($good, 0600);
rename $file, "$elsewhere/0";
symlink "$elsewhere/" . ($_ - 1), "$elsewhere/$_" for 1 .. 39;
symlink "$elsewhere/39", $file;
my $behind = $node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
like(slurp_file("$elsewhere/0"), qr/"kid": "$behind"/, 'forty links lead to the file, too');
# a mounted secret: a link in a folder that can't be written, whose folder is replaced
my $secret = $node->basedir . '/secret';
mkdir $_ for $secret, "$secret/..1", "$secret/..2";
for my $version (1, 2)
{
	my $jwk = '{"kty": "oct", "kid": "version ' . $version . '", "k": "' . 'A' x 86 . '"}';
	write_keyring("{\"keys\": [$jwk]}", 0400);
	rename $file, "$secret/..$version/keyring.jwks";
	chmod 0500, "$secret/..$version";
}
symlink '..1', "$secret/..data";
symlink '..data/keyring.jwks', "$secret/keyring.jwks";
like($node->safe_psql('postgres', qq{SET dbt_sources.keyring_file = '$secret/keyring.jwks';
	SELECT kid FROM encryption_keys();
	\\! ln -s ..2 '$secret/..next' && mv -T '$secret/..next' '$secret/..data'
	SELECT kid FROM encryption_keys()}), qr/^version 1\nversion 2$/, 'a new version of a secret is noticed');
like(error_of("SET dbt_sources.keyring_file = '$secret/keyring.jwks'; SELECT rotate_encryption_key()"),
	qr/could not create keyring file: Permission denied.*HINT:.*mounted secret, change it there/s, 'and a rotation says that it can not write');
chmod 0700, "$secret/..1", "$secret/..2";

unlink $file;
symlink 'dbt_sources.jwks', $file;
like(error_of('SELECT rotate_encryption_key()'), qr/55000: no usable keyring.*Too many levels of symbolic links.*HINT:  Nothing that is stored is lost/s,
	'a link to itself is refused');
unlink $file;

# a cancel while it is parsed leaves nothing behind: the document, its copies, and
# those of the keys that have been read are wiped
my $module = $ENV{TEST_UNITS} // getcwd() . '/test/modules/test_units/test_units.so';
my $jwks = '{"keys": [' . join(', ', map { '{"kty": "oct", "kid": "' . $_ . '", "k": "' . 'A' x 86 . '"}' } 1 .. 3) . ']}';
my @wiped = split /\|/, $node->safe_psql('postgres', "CREATE FUNCTION test_canceled_keyring(text, integer) RETURNS integer AS '$module' LANGUAGE C STRICT;
	SELECT test_canceled_keyring('$jwks', 1), test_canceled_keyring('$jwks', 2), test_canceled_keyring('$jwks', 4),
		coalesce(test_canceled_keyring('$jwks', 5), 0),
		(SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'dbt_sources keyring')");
# of each key what base64url was decoded to, and the key
cmp_ok($wiped[1] - $wiped[0], '>=', 64 + 64, 'a cancel after the first key wipes it');
cmp_ok($wiped[2] - $wiped[0], '>=', 3 * (64 + 64), 'and after the third all three');
cmp_ok($wiped[0], '>', 2 * length $jwks, 'and the document');
is($wiped[3], 0, 'there is no later one');
is($wiped[4], 0, 'nothing of it stays in memory');

# writing is writing
like(error_of('BEGIN READ ONLY; SELECT rotate_encryption_key()'), qr/25006/, 'not in a read-only transaction');

$node->stop;
done_testing();
