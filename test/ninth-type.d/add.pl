# Adds gitea to the table of facts, in the steps of CONTRIBUTING.md: from src/,
# perl add.pl [forgotten row's field ...]
#
# Gitea is gitlab without a service of its own, so that the host is required.
use strict;
use warnings;

my %presence = ((map { $_ => 'r' } qw(type personal_access_token repository branch project_sub_path host_domain)),
	(map { $_ => 'o' } qw(target environment selector)));
my %destination = (repository => 'e', host_domain => 't');
my %forgotten = map { $_ => 1 } @ARGV;

sub edit
{
	my ($file, $change) = @_;
	open my $in, '<', $file or die "$file: $!";
	local ($_, $/) = (scalar do { local $/; <$in> });
	$change->() or die "$file isn't as expected";
	open my $out, '>', $file or die "$file: $!";
	print $out $_;
}

edit('rules/variants.h', sub { s/^(?=\tNUM_VARIANTS$)/\tVARIANT_GITEA,\n/m });
edit('rules/variants.c', sub {
	s/(?=, NULL\n\};\n\nStaticAssertDecl\(lengthof\(variant_names\))/, "gitea"/ &&
	s{\{FIELD\("(\w+)",.*?"\K([a-z.]+)", "([a-z.]+)"}{
		$forgotten{$1} ? qq($2", "$3") : $2 . ($presence{$1} // '.') . qq(", ") . $3 . ($destination{$1} // '.') . '"'}ge;
});
