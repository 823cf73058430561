# The keyring on a file system that can only be read.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Faults;
use Test::More;

plan skip_all => 'no file system of our own' if !$ENV{FAULTS_SMALL};
my $file = "$ENV{FAULTS_SMALL}/keyring.jwks";

set_up();
my $dbh = session();
$dbh->do("SET dbt_sources.keyring_file = '$file'");
my $old = (try_sql($dbh, 'SELECT kid FROM encryption_keys() WHERE NOT active AND connections = 0'))[2];
is(join(' ', update($dbh)), ' ', 'an update needs to read the keyring only');
for my $case ([ 'rotation', 'SELECT rotate_encryption_key()' ], [ 'removal', 'SELECT remove_encryption_key(?)', $old ])
{
	my ($name, @statement) = @$case;
	my ($state, $said) = try_sql($dbh, @statement);
	like("$state $said", qr/^42501 ERROR:  could not create keyring file: Read-only file system.*HINT:.*needs to write to its folder/s, "$name: says why not");
	is((broken($said))[0], '', 'and nothing is lost');
}
done_testing();
