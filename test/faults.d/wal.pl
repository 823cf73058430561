# A full disk under the write-ahead log: the server goes down in the middle of an
# update, and is started again when there is room.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Faults;
use Test::More;

my $small = $ENV{FAULTS_SMALL};
plan skip_all => 'no small file system' if !$small;

sub server { return !system "pg_ctl -D $work/data -l $work/log -w $_[0] >/dev/null 2>&1" }

# all that broken() complains of, but for the server's going down
sub lost
{
	my ($broken, $log) = broken();
	return (join("\n", grep { !/^in the log: .*PANIC|^in the log: .*was terminated by signal 6/ } split /\n/, $broken), $log);
}

set_up();
my ($free) = `df --output=avail -m $small` =~ /(\d+)\s*$/ or die;
open my $filler, '>', "$small/filler" or die $!;
for (1 .. $free - 48) { syswrite $filler, 'x' x 1_048_576 or die $! }
close $filler;

my ($dbh, $done) = (session(), 0);
my $large = large(1_000_000);
my ($state, $said) = ('', '');
while ($state eq '')
{
	($state, $said) = update($dbh, $large);
	die 'the disk does not get full' if ++$done > 1000;
}
ok(!$dbh->ping, "a disk that is full after $done updates: the session is gone") or diag "$state $said";
unlike($said, qr/sesame|xxxx/, 'and was told nothing');
# it may be trying to come up by itself
server('stop -m immediate');
unlink "$small/filler" or die $!;
ok(server('restart'), 'with room the server comes up');
my ($lost, $log) = lost();
is($lost, '', 'and has all that was acknowledged');
like($log, qr/PANIC:  could not write to .*: No space left on device/, 'the log says why');
is(join(' ', update(session()), (lost())[0]), '  ', 'it goes on');
done_testing();
