# What the documentation says in tables is what the code has in its own: types
# and fields, destinations, variables that are refused, functions.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

sub code { return join ' ', sort $_[0] =~ /`([^`]+)`/g }
sub words { return join ' ', sort @_ }

# types and fields
my $variants = slurp_file('src/rules/variants.c');
my $page = page('docs/connections.md');
my ($names) = $variants =~ /variant_names\[\] = \{\s*(.*?), NULL/s;
my @types = $names =~ /"(\w+)"/g;
my @fields;
push @fields, { name => $1, type => $2, trait => $3, presence => $4, destination => $5, allowed => $6 }
  while $variants =~ /\{FIELD\("(\w+)",\s*FIELD_(\w+),\s*TRAIT_(\w+),\s*\w+,\s*"([ro.]+)",\s*"([te.]+)"\)(?:, \.allowed = (\w+))?/g;
my %marks = (STRINGS => 'ᵃ', BOOLEAN => 'ᵇ', ENVIRONMENT => 'ᵉ');
sub marked
{
	my ($field) = @_;
	return "`$field->{name}`" . ($field->{trait} eq 'SECRET' ? 'ˢ' : $field->{allowed} ? 'ᵐ' : $marks{ $field->{type} } // '');
}
is(words(grep { $_ ne 'type' } $page =~ /^\| `(\w+)` \| [^|]*\| [^|]*\|$/mg), words(@types), 'the types');
for my $i (0 .. $#types)
{
	my ($required, $optional) = $page =~ /^\| `$types[$i]` \| ([^|]*)\| ([^|]*)\|$/m;
	for ([ 'required', 'r', $required ], [ 'optional', 'o', $optional ])
	{
		my ($name, $letter, $cell) = @$_;
		is(words(split ' ', $cell), words(map { marked($_) } grep { $_->{name} ne 'type' && substr($_->{presence}, $i, 1) eq $letter } @fields),
			"fields of $types[$i], $name");
	}
}

# destinations
my ($destinations) = $page =~ /^## A secret stays with its destination\n(.*?)^## /ms;
my @rows = map { [ split /\s*\|\s*/ ] } $destinations =~ /^\|(.*)\|$/mg;
is(words(split ' ', code("$rows[2][1] $rows[3][1]") =~ s/\bbitbucket\b//r), words(map { $_->{name} } grep { $_->{destination} =~ /t/ } @fields), 'where tokens go');
is(code($rows[4][1]), words(map { $_->{name} } grep { $_->{destination} =~ /e/ } @fields), 'whose code gets the environment');
like($destinations, qr/\(`github.com`.*`\Q$_\E`/, "the service's own host: $_") for grep { $_ ne 'github.com' } $variants =~ /\[VARIANT_\w+\] = "([^"]+)"/g;

# variables
my $variables = slurp_file('src/rules/variables.c');
sub listed
{
	my ($list) = $variables =~ /\b$_[0]\[\] = \{(.*?)^\};/ms;
	return words($list =~ /NAME\("(\w+)"\)/g);
}
my ($prefixes) = $page =~ /^- by prefix: (.*)/m;
my ($variable_names) = $page =~ /^- by name: (.*)/m;
$variable_names =~ s/((?:`\w+_PROXY` ?)+)\(these four in lower case, too\)/$1 . lc $1/e;
is(code($prefixes), listed('refused_prefixes'), 'variables that are refused by prefix');
is(code($variable_names), listed('refused_names'), 'variables that are refused by name');

# functions
my ($version) = slurp_file('dbt_sources.control') =~ /^default_version = '(.*)'/m;
my $script = slurp_file("sql/dbt_sources--$version.sql");
my @signatures;
while ($script =~ /^CREATE (FUNCTION|PROCEDURE) \@extschema\@\.(\w+)\((.*?)\)(?= RETURNS|\s+(?:RETURNS|AS))/msg)
{
	my ($kind, $name, $arguments) = ($1, $2, $3);
	$arguments =~ s/, OUT .*//s;
	$arguments =~ s/\s+/ /g;
	push @signatures, ($kind eq 'PROCEDURE' ? 'CALL ' : '') . "$name(" . ($arguments =~ s/DEFAULT (\w+)/"default " . lc $1/ger) . ')';
}
my $functions = page('docs/functions.md');
is(join("\n", sort(($functions =~ /^## ((?:CALL )?\w+\(.*\))$/mg), 'postgrest_request(bytea)')), join("\n", sort @signatures), 'the functions');
like($functions, qr/^`postgrest_request\(bytea\)`/m, 'and the one for PostgREST');

done_testing();
