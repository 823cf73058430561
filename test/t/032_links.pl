# Links of the documentation: each leads to a file, and to a heading in it; and
# each page can be reached from the README.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Find;
use File::Spec;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

my @pages;
find({ no_chdir => 1, wanted => sub
	{
		if (-d && m{/(node_modules|tmp_check|\.git)$}) { $File::Find::prune = 1 }
		elsif (/\.md$/) { push @pages, s{^\./}{}r }
	} }, '.');

# how a heading is named in a link: as GitHub has it
sub anchor
{
	my ($heading) = @_;
	$heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
	return lc($heading) =~ s/[^\p{Alnum}_ -]//gr =~ tr/ /-/r;
}

my %anchors;
for my $page (@pages)
{
	my %times;
	$anchors{$page} = { map { my $anchor = anchor($_); my $n = $times{$anchor}++; ($n ? "$anchor-$n" : $anchor) => 1 } @{ parse($page)->{headings} } };
}

# a path without its "folder/.."
sub tidy
{
	my ($path) = @_;
	$path = File::Spec->canonpath($path);
	1 while $path =~ s{(^|/)(?!\.\./)[^/]+/\.\./}{$1};
	return $path;
}

my (%reached, $links);
for my $page (@pages)
{
	for my $line (@{ parse($page)->{prose} })
	{
		my ($number, $text) = @$line;
		# code isn't a link, but a link may hold code
		(my $plain = $text) =~ s/(?<!\[)`[^`]*`(?!\])//g;
		for my $target ($plain =~ /\]\(([^)\s]+)\)/g)
		{
			next if $target =~ /^\w+:/;
			my ($path, $anchor) = $target =~ /^([^#]*)(?:#(.*))?$/;
			my $file = $path eq '' ? $page : tidy(dirname($page) . "/$path");
			$links++;
			$reached{$page}{$file} = 1;
			if (!-e $file) { fail("$page, line $number: $target is there") }
			elsif (defined $anchor) { ok($anchors{$file}{$anchor}, "$page, line $number: $target is there") }
		}
	}
}
cmp_ok($links, '>', 0, 'links were found');

# from the README on
my @next = ('README.md');
my %seen;
while (defined(my $page = shift @next))
{
	next if $seen{$page}++;
	push @next, sort keys %{ $reached{$page} // {} };
}
ok($seen{$_}, "$_ is linked") for grep { $_ ne 'README.md' && !/^\./ } @pages;

# comments and messages name pages, too
my %named;
find({ no_chdir => 1, wanted => sub
	{
		if (-d && m{/(node_modules|tmp_check|\.git)$}) { $File::Find::prune = 1 }
		elsif (-f && m{^\./(src|sql|proxy|test|bench|debian|\.ci|Makefile)} && !/\.(o|so|bc|md|json)$/)
		{
			$named{$_} = $File::Find::name for slurp_file($_) =~ m{\b((?:docs|proxy/\w+|bench|src)/[\w-]+\.md)\b}g;
		}
	} }, '.');
ok(-e $_, "$named{$_}: $_ is there") for sort keys %named;

done_testing();
