# A full disk: under the table of sources, and under the keyring.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Faults;
use POSIX qw(:errno_h);
use Test::More;

my $small = $ENV{FAULTS_SMALL};

my $large = large(1_000_000);

# Update until it is refused, and a while longer.
sub update_until_full
{
	my ($dbh) = @_;
	my ($done, $refused, @wrong) = (0, 0);
	while ($refused < 10)
	{
		my ($state, $said) = update($dbh, $large);
		$state eq '' ? $done++ : $refused++;
		push @wrong, "$state: $said" if $state ne '' && ($state ne '53100' || $said !~ /No space left on device|wrote only \d+ of \d+ bytes/);
		die 'the disk does not get full' if $done > 1000;
	}
	return ($done, @wrong);
}

set_up();

# without privileges: what extends or writes the tables' files
my $dbh = session();
arm(call => 'pwrite pwritev posix_fallocate', error => ENOSPC, pid => $dbh->{pg_pid}, path => "$work/data/base");
my ($done, @wrong) = update_until_full($dbh);
my ($hits) = disarm();
is(join("\n", @wrong), '', "no write to the tables' files: each update that needs one is refused ($done didn't)");
cmp_ok($hits, '>', 0, 'and some did');
is(join(' ', update($dbh)), ' ', 'the session goes on');
is((broken())[0], '', 'and nothing is lost');

SKIP:
{
	skip 'no small file system', 6 if !$small;

	mkdir "$small/$_", 0700 or die $! for 'tables', 'keys';
	open my $in, '<', $keyring or die $!;
	local $/;
	my $ring = <$in>;
	open my $out, '>', "$small/keys/keyring.jwks" or die $!;
	print $out $ring;
	close $out or die $!;
	chmod 0600, "$small/keys/keyring.jwks";

	$dbh->do("CREATE TABLESPACE small LOCATION '$small/tables'") or die $dbh->errstr;
	$dbh->do('ALTER TABLE project_dbt_sources SET TABLESPACE small') or die $dbh->errstr;
	($done, @wrong) = update_until_full($dbh);
	is(join("\n", @wrong), '', "a disk that is full after $done updates: no more, in words");
	is((broken())[0], '', 'and nothing is lost');

	# to the last byte: what is written beside the keyring has no room
	open my $filler, '>', "$small/filler" or die $!;
	1 while syswrite $filler, 'x' x 4096;
	$dbh->do("SET dbt_sources.keyring_file = '$small/keys/keyring.jwks'");
	my ($state, $said) = try_sql($dbh, 'SELECT rotate_encryption_key()');
	like("$state $said", qr/^53100 ERROR:  could not write keyring file: No space left on device/, 'a rotation says so');
	is(join(' ', map { s{.*/}{}r } glob "$small/keys/*"), 'keyring.jwks', 'and leaves nothing beside the keyring');
	open my $again, '<', "$small/keys/keyring.jwks" or die $!;
	is(<$again>, $ring, 'which is as it was');
	unlink "$small/filler";
	$dbh->do('RESET dbt_sources.keyring_file');
	$dbh->do('ALTER TABLE project_dbt_sources SET TABLESPACE pg_default') or die $dbh->errstr;
	$dbh->do('DROP TABLESPACE small') or die $dbh->errstr;
	is(join(' ', update($dbh), (broken())[0]), '  ', 'with room again it all works');
}
done_testing();
