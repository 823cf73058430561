# Each system call on the keyring, its folder and its temporary file fails in turn,
# with each error that it may fail with, while the keyring is read, added to, and
# taken from.
use strict;
use warnings;

use Errno;
use FindBin;
use lib $FindBin::RealBin;
use Faults;
use POSIX qw(:errno_h strerror);
use Test::More;

my %errors = (
	open => [ EIO, ENOSPC, EROFS, EACCES, EMFILE ], stat => [ EIO, EACCES ], fstat => [EIO], read => [EIO],
	# 0 is half a write
	write => [ EIO, ENOSPC, EDQUOT, 0 ], fsync => [ EIO, ENOSPC ], close => [EIO], rename => [ EIO, ENOSPC, EROFS ],
	unlink => [ EIO, EROFS ], readlink => [ EIO, EACCES ],);

# what each may be told as: its own SQLSTATE, or 55000 (no usable keyring)
my %states = (
	EIO, '58030', ENOSPC, '53100', EDQUOT, '53100', EROFS, '42501', EACCES, '42501', EMFILE, '53000', 0, '53100');

my $old;
my @operations = (
	[ 'reading', sub { return ('SELECT project_dbt_connection(?, project_dbt_source_uuid) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL LIMIT 1', $project) } ],
	[ 'rotation', sub { return 'SELECT rotate_encryption_key()' } ],
	[ 'removal', sub { return ('SELECT remove_encryption_key(?)', $old) } ]);

set_up();
$old = rotate_out();
for my $operation (@operations)
{
	my ($name, $statement) = @$operation;
	for my $call (sort keys %errors)
	{
		my ($faults, @broken) = (0);
		for my $error (@{ $errors{$call} })
		{
			my $word = $error ? strerror($error) : strerror(ENOSPC);
			for (my $nth = 1; ; $nth++)
			{
				my $dbh = session();
				$old = rotate_out() if $name eq 'removal' && !sql('SELECT count(*) FROM encryption_keys() WHERE kid = ?', $old);
				my %before = map { $_ => 1 } keyring_keys();
				arm(call => $call, nth => $nth, error => $error, pid => $dbh->{pg_pid});
				my ($state, $said, $value) = try_sql($dbh, $statement->());
				my ($hits) = disarm();
				my $again = $dbh->ping;
				$dbh->disconnect;
				last if !$hits;
				$faults++;
				my $case = "$nth. $call, $word";
				shows("$name: $case");
				my ($broken, $log) = broken($said);
				# what is left behind goes with the next rotation
				$broken = '' if $call eq 'unlink' && $broken =~ /^the keyring's folder has: keyring keyring.jwks keyring.jwks.tmp$/;
				push @broken, "$case: $broken" if $broken;
				push @broken, "$case: the session is lost" if !$again;
				my %now = map { $_ => 1 } keyring_keys();
				if ($state ne '')
				{
					push @broken, "$case: SQLSTATE $state, $said" if $state !~ /^(?:$states{$error}|55000)$/ && !($call =~ /^(?:rename|open|fsync)$/ && $state eq '58030');
					push @broken, "$case: nothing tells why: $said" if "$said$log" !~ /\Q$word\E/i;
					push @broken, "$case: a key is gone" if $name ne 'removal' && grep { !$now{$_} } keys %before;
				}
				elsif ($name eq 'rotation')
				{
					push @broken, "$case: no key was added" if keys %now != 1 + keys %before;
				}
				elsif ($name eq 'removal')
				{
					push @broken, "$case: no key was removed" if keys %now != keys(%before) - 1;
				}
			}
		}
		shows('');
		is(join("\n", @broken), '', "$name: $faults times $call fails") if $faults;
	}
}

my $dbh = session();
is(join(' ', update($dbh)), ' ', 'it all works again');
is((broken())[0], '', 'and nothing is lost');
done_testing();
