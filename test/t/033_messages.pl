# docs/errors.md has every message of src/ that a user can see, and no other.
use strict;
use warnings;

use File::Find;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

# a string in C, perhaps in parts, with what psprintf() puts into it
my $part = qr/"(?:[^"\\]|\\.)*"|INT64_FORMAT/;
my $string = qr/$part(?:\s*$part)*/;

# where messages are, and what comes before one as it is shown
my @places = (
	[ qr/\berrmsg\(($string)/ ],
	[ qr/\berrmsg_plural\(($string)/ ],
	[ qr/\berrmsg_plural\($string,\s*($string)/ ],
	[ qr/\binvalid_source\[\] = ($string)/ ],
	[ qr/\bParameterError\((?:psprintf\()?($string)/ ],
	# over HTTP
	[ qr/\bFailure\(\d+, $string,\s*(?:is_json \? )?($string)/ ],
	[ qr/\bFailure\(\d+, $string,\s*is_json \? $string : ($string)/ ],
	[ qr/\bBadRequest\(($string)/ ],
	# problems of a body
	[ qr/("(?:must|cannot) (?:[^"\\]|\\.)*")/ ],
	[ qr/("is required(?: and )?")/ ],
	[ qr/\bpsprintf\(("%d more")/ ],
	[ qr/\bMUST_BE\(&?\w+, ($string)\)/, 'must be ' ],
	# of the keyring file, and of a stored connection
	[ qr/\bRefuse\(&?why,\s*(?:why->missing \? )?($string)/ ],
	[ qr/\bpsprintf\(("could not be read: %s")/ ],
	[ qr/\bwhy = ($string)/ ],
);

sub shown
{
	my ($message) = @_;
	$message =~ s/\\(["\\])/$1/g;
	# a name, a number, an error, and what is appended
	$message =~ s/(?:%(?:\.\d+)?[a-z])+|(?<= )$/…/g;
	return $message;
}

my %in_source;
find({ no_chdir => 1, wanted => sub
	{
		return if !/\.[ch]$/;
		my $text = slurp_file($_);
		$text =~ s{/\*.*?\*/}{}gs;
		# how a problem begins, whatever the field should be
		$text =~ s/"must be " what "/"must be %s/;
		for my $place (@places)
		{
			my ($pattern, $before) = @$place;
			while ($text =~ /$pattern/g)
			{
				my $message = join '', map { /^"(.*)"$/s ? $1 : '%d' } $1 =~ /$part/g;
				next if $message =~ /^(%s|must be )$/;
				$in_source{ shown(($before // '') . $message) } = $_;
			}
		}
	} }, 'src');

# the first column of the tables under "Troubleshooting"
my ($troubleshooting) = page('docs/errors.md') =~ /^## Troubleshooting\n(.*?)(?=^## |\z)/ms;
my %in_page;
for my $cell ($troubleshooting =~ /^\| (`.*?`) \|/mg)
{
	$in_page{$_}++ for $cell =~ /`([^`]+)`/g;
}

ok(delete $in_page{$_}, "$in_source{$_}: $_") for sort keys %in_source;
is(join("\n", sort keys %in_page), '', 'nothing is listed that is not in src/');

done_testing();
