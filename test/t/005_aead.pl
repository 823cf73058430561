# The composition of AES-256-CBC and HMAC-SHA-512 against the published vector:
# RFC 7518, appendix B.3.  And base64url: one text for each string of bytes, RFC
# 7515, section 2.
use strict;
use warnings;

use Cwd qw(getcwd);
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
my $module = $ENV{TEST_UNITS} // "$top/test/modules/test_units/test_units.so";

my $key = join '', map { sprintf '%02x', $_ } 0 .. 63;
my $iv = '1af38c2dc2b96ffdd86694092341bc04';
my $plaintext = unpack 'H*',
	'A cipher system must not be required to be secret, and it must be able to'
  . ' fall into the hands of the enemy without inconvenience';
my $aad = unpack 'H*', 'The second principle of Auguste Kerckhoffs';
my $ciphertext = '4affaaadb78c31c5da4b1b590d10ffbd3dd8d5d302423526912da037ecbcc7bd'
  . '822c301dd67c373bccb584ad3e9279c2e6d12a1374b77f077553df829410446b'
  . '36ebd97066296ae6427ea75c2e0846a11a09ccf5370dc80bfecbad28c73f09b3'
  . 'a3b75e662a2594410ae496b2e2e6609e31e6e02cc837f053d21f37ff4f51950b'
  . 'be2638d09dd7a4930930806d0703b1f6';
my $tag = '4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5';

my $node = PostgreSQL::Test::Cluster->new('aead');
$node->init;
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION pgcrypto;
	CREATE FUNCTION aead_encrypt(bytea, bytea, bytea, bytea) RETURNS bytea
		AS '$module', 'test_aead_encrypt' LANGUAGE C STRICT;
	CREATE FUNCTION aead_decrypt(bytea, bytea, bytea, bytea, bytea) RETURNS bytea
		AS '$module', 'test_aead_decrypt' LANGUAGE C STRICT;
});

sub decrypt
{
	return $node->safe_psql('postgres',
		'SELECT encode(aead_decrypt(' . join(', ', map { "'\\x$_'" } @_) . "), 'hex')");
}

is( $node->safe_psql(
		'postgres',
		"SELECT encode(aead_encrypt('\\x$key', '\\x$iv', '\\x$aad', '\\x$plaintext'), 'hex')"),
	$ciphertext . $tag,
	'encrypts to the ciphertext and tag of RFC 7518, B.3');
is(decrypt($key, $iv, $aad, $ciphertext, $tag), $plaintext, 'and decrypts');

my @vector = ($key, $iv, $aad, $ciphertext, $tag);
my @names = ('key', 'IV', 'additional data', 'ciphertext', 'tag');
for my $i (0 .. $#vector)
{
	my @changed = @vector;
	substr($changed[$i], 0, 1) =~ tr/0-9a-f/1-9a-f0/;
	is(decrypt(@changed), '', "not with another $names[$i]");
}
is(decrypt($key, $iv, $aad, '', $tag), '', 'not an empty ciphertext');
is(decrypt($key, $iv, $aad, substr($ciphertext, 2), $tag), '', 'not a part of a block');

# who has the key can make a right tag for anything
sub decrypt_padded
{
	my ($padded) = @_;
	return decrypt(split /\|/, $node->safe_psql('postgres', "SELECT '$key', '$iv', '$aad', encode(c, 'hex'), encode(substr(hmac(
		'\\x$aad'::bytea || '\\x$iv' || c || int8send(8 * length('\\x$aad'::bytea)), substr('\\x$key'::bytea, 1, 32), 'sha512'), 1, 32), 'hex')
		FROM encrypt_iv('\\x$padded', substr('\\x$key'::bytea, 33), '\\x$iv', 'aes-cbc/pad:none') c"));
}
is(decrypt_padded('aa' x 15 . '01'), 'aa' x 15, 'a byte of padding');
is(decrypt_padded('aa' x 14 . '0202'), 'aa' x 14, 'two of it');
is(decrypt_padded('aa' x 16 . '10' x 16), 'aa' x 16, 'a block of it');
is(decrypt_padded($_->[1]), '', "not $_->[0]")
  for ['none at all', 'aa' x 16], ['a padding of zeros', 'aa' x 15 . '00'], ['one of more than a block', 'aa' x 15 . '11' x 17],
	['one that begins with another byte', 'aa' x 12 . '05040404'], ['one that is longer than the text', 'ff' x 16];

# what comes out, in a line each
$node->safe_psql('postgres', "CREATE FUNCTION base64url(text) RETURNS bytea AS '$module', 'test_base64url' LANGUAGE C STRICT");
sub decode
{
	my @texts = @_;
	return split /\n/, $node->safe_psql('postgres', 'SELECT coalesce(encode(base64url(t), \'hex\'), \'refused\') FROM unnest(ARRAY['
		  . join(', ', map { "'" . s/'/''/gr . "'" } @texts) . ']) WITH ORDINALITY u (t, n) ORDER BY n'), -1;
}
my @bytes = map { my $start = $_; map { pack 'C*', map { ($start + 41 * $_) % 256 } 1 .. $_ } 0 .. 9 } 0 .. 63;
is_deeply([ decode(map { encode_base64url($_) } @bytes) ], [ map { unpack 'H*', $_ } @bytes ], 'base64url is decoded');

my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my %value = map { $alphabet[$_] => $_ } 0 .. 63;
my @others = grep { !exists $value{$_} } map { chr } 1 .. 127;
for my $length (2, 3, 4, 7)
{
	my @changed = map { my $place = $_; map { my $text = 'A' x $length; substr($text, $place, 1) = $_; $text } @others } 0 .. $length - 1;
	is_deeply([ grep { $_ ne 'refused' } decode(@changed) ], [], "each place of $length refuses what isn't in the alphabet");
}
is_deeply([ decode('A', 'AAAAA', 'AA==', 'AAAA=') ], [ ('refused') x 4 ], 'no length that nothing has, and no padding');
for my $case ([ 2, 0x0F ], [ 3, 0x03 ])
{
	my ($length, $spare) = @$case;
	is_deeply([ map { $_ ne 'refused' } decode(map { 'A' x ($length - 1) . $_ } @alphabet) ], [ map { ($value{$_} & $spare) == 0 } @alphabet ],
		"the last of $length has no bits to spare");
}

$node->stop;
done_testing();
