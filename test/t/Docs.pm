# The documentation as the tests read it: headings, links, blocks of code.
package Docs;
use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(pages page parse blocks commands);

# make runs the tests in the checkout
sub page { return slurp_file($_[0]) }

# all pages whose blocks are run, the README first
sub pages
{
	return ('README.md', grep { $_ ne 'README.md' } sort glob('*.md docs/*.md proxy/*/README.md'));
}

# A page taken apart: its headings, its lines outside of blocks, and its blocks,
# each with its language, the heading that it's under, the result that is shown
# below it, and what a comment above it says of how it's tested:
#
#   <!-- run by 010_runbook -->      another test runs it
#   <!-- not run: it needs root -->  none does, and why
sub parse
{
	my ($page) = @_;
	my %parsed = (headings => [], prose => [], blocks => []);
	my ($block, $mark, $last);
	my $number = 0;
	for my $line (split /\n/, page($page))
	{
		$number++;
		if ($block)
		{
			if ($line =~ /^ *```$/) { undef $block }
			else { $block->{text} .= $line =~ s/^ {0,$block->{indent}}//r . "\n" }
		}
		elsif ($line =~ /^( *)```(\w*)$/)
		{
			$block = { page => $page, line => $number, indent => length $1, language => $2, text => '', mark => $mark,
				heading => @{ $parsed{headings} } ? $parsed{headings}[-1] : '' };
			# what follows immediately is the result
			if ($last && $2 =~ /^(json)?$/) { $last->{result} = $block }
			push @{ $parsed{blocks} }, $last = $block;
			undef $mark;
		}
		elsif ($line ne '')
		{
			undef $last;
			$mark = $line =~ /^ *<!-- ((?:not )?run\b.*) -->$/ ? $1 : undef;
			push @{ $parsed{headings} }, $1 if $line =~ /^#+ (.*)/;
			push @{ $parsed{prose} }, [ $number, $line ];
		}
	}
	return \%parsed;
}

sub blocks { return @{ parse($_[0])->{blocks} } }

# the text of the blocks of a language under a heading
sub commands
{
	my ($page, $heading, $language) = @_;
	my @texts = map { $_->{text} } grep { $_->{heading} eq $heading && $_->{language} eq $language } blocks($page);
	die "no $language under $heading of $page" if !@texts;
	return @texts;
}

1;
