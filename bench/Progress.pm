# How far a long run is: on a terminal a line that moves, in a log a line for
# each thing that begins, and each minute.
package Progress;
use strict;
use warnings;

use Exporter qw(import);
our @EXPORT = qw(progress clear_progress);

my $width = ($ENV{COLUMNS} || 80) - 1;
my ($last, $told) = ('', 0);

# progress(WHAT, DONE, OF); the last two may be left out
sub progress
{
	my ($what, $done, $of) = @_;
	my $line = $of ? "$what: $done of $of" : $what;
	if (-t STDERR)
	{
		print STDERR "\r\e[K", substr $line, 0, $width;
	}
	elsif ($what ne $last || time - $told >= 60)
	{
		print STDERR scalar(localtime), "  $line\n";
		$told = time;
	}
	$last = $what;
}

# before something else is printed
sub clear_progress { print STDERR "\r\e[K" if -t STDERR }

END { clear_progress() }

1;
