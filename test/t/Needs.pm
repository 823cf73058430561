# "use Needs 'jose', 'JSON::PP'": without one of these programs and modules a
# test file is skipped, in words.
package Needs;
use strict;
use warnings;

use Test::More;

sub import
{
	my ($class, @needed) = @_;
	for my $name (@needed)
	{
		my $there =
		  $name =~ /::/
		  ? eval "require $name"
		  : grep { -x "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin';
		plan skip_all => "$name is not installed" unless $there;
	}
	return;
}

1;
