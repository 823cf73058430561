# docs/errors.md has every message of src/ that a user can see, with its SQLSTATE,
# and no other.
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

# as it is shown
sub text_of
{
	my ($literal) = @_;
	my $message = join '', map { /^"(.*)"$/s ? $1 : '%d' } $literal =~ /$part/g;
	$message =~ s/\\(["\\])/$1/g;
	# a name, a number, an error, and what is appended
	$message =~ s/(?:%(?:\.\d+)?[a-z])+|(?<= )$/…/g;
	return $message;
}

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
my %sqlstates = map { /^(\w{5}) +\w +(ERRCODE_\w+)/ ? ($2 => $1) : () } split /\n/, slurp_file("$sharedir/errcodes.txt");

my (%in_source, %raised_as);
find({ no_chdir => 1, wanted => sub
	{
		return if !/\.[ch]$/;
		my $text = slurp_file($_);
		$text =~ s{/\*.*?\*/}{}gs;
		# how a problem begins, whatever the field should be
		$text =~ s/"must be " what "/"must be %s/;
		while ($text =~ /\berrcode\(([^;]*?)\),\s*errmsg\w*\(($string)/g)
		{
			my ($codes, $message) = ($1, text_of($2));
			$raised_as{$message}{ $sqlstates{$_} } = 1 for $codes =~ /ERRCODE_\w+/g;
		}
		$raised_as{ text_of($1) }{22023} = 1 while $text =~ /\bParameterError\((?:psprintf\()?($string)/g;
		for my $place (@places)
		{
			my ($pattern, $before) = @$place;
			while ($text =~ /$pattern/g)
			{
				my $message = ($before // '') . text_of($1);
				$in_source{$message} = $_ if $message !~ /^(…|must be …)$/;
			}
		}
	} }, 'src');

# the first column of the tables under "Troubleshooting"
my ($troubleshooting) = page('docs/errors.md') =~ /^## Troubleshooting\n(.*?)(?=^## |\z)/ms;
my %in_page;
while ($troubleshooting =~ /^\| (`.*?`) \| (.*?) \|/mg)
{
	my ($messages, $next) = ($1, $2);
	my %row;
	for my $message ($messages =~ /`([^`]+)`/g)
	{
		$in_page{$message}++;
		%row = (%row, %{ $raised_as{$message} // {} });
	}
	my ($codes) = $next =~ /^((?:`\w{5}`(?:, )?)+)$/;
	is($codes // '', join(', ', map { "`$_`" } sort keys %row), "SQLSTATE of $messages") if %row && $next =~ /^$|^`/;
}

ok(delete $in_page{$_}, "$in_source{$_}: $_") for sort keys %in_source;
is(join("\n", sort keys %in_page), '', 'nothing is listed that is not in src/');

done_testing();
