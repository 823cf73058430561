# The documentation, block by block: every sql and sh block runs as it stands,
# and what comes out is the result that is shown below it.  A block that runs in
# another test, or in none, says so in a comment above it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;
use Needs 'jose', 'jq';

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->start;

# who calls is root's, or the server's, user already
mkdir "$folder/bin";
append_to_file("$folder/bin/sudo", "#!/bin/sh\n[ \"\$1\" != -u ] || shift 2\nexec \"\$@\"\n");
chmod 0755, "$folder/bin/sudo";
$ENV{PATH} = "$folder/bin:$ENV{PATH}";
@ENV{ 'PGHOST', 'PGPORT', 'PGDATABASE', 'keyring' } = ($node->host, $node->port, 'postgres', $node->data_dir . '/dbt_sources.jwks');

my $tested = 0;

sub is_run { return $_[0]{language} =~ /^(sql|sh)$/ && !defined $_[0]{mark} }

# what psql is to do for a block; its results go to one file, and the rest after
# a line that says which block
sub script
{
	my ($block) = @_;
	my $output = "$folder/$block->{line}";
	my $script = "\\warn \@ $block->{line}\n";
	if ($block->{language} eq 'sql')
	{
		my $heads = $block->{result} && $block->{result}{text} =~ /^-+(\+-+)*$/m ? 'off' : 'on';
		return "$script\\pset tuples_only $heads\n\\o $output\n$block->{text}\\o\n";
	}
	unlink "$output.sh";
	append_to_file("$output.sh", $block->{text});
	$script .= "\\! cd '$folder/cwd' && bash -euo pipefail '$output.sh' >'$output' || echo ERROR: status \$? >&2\n";
	# the README goes on in the database that it makes
	return $script . ($block->{text} =~ /\bcreatedb (shop)$/m ? "\\connect $1\n" : '');
}

# what differs from one run to the next
sub normalize
{
	my ($text) = @_;
	$text =~ s/^psql:\S+: //mg;
	$text =~ s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/01234567-89ab-4cde-8fab-0123456789ab/g;
	$text =~ s/\d{4}-\d\d-\d\d-[0-9a-f]{12}/2026-11-25-0123456789ab/g;
	# psql goes on in the next line
	$text =~ s/ *\+$//mg;
	return join "\n", grep { $_ ne '' } map { s/^\s+|\s+$//gr } split /\n/, $text;
}

# Runs blocks in one session, and returns for each what came out.
sub run_blocks
{
	my ($name, @blocks) = @_;
	my $file = "$folder/$name.sql";
	unlink $file;
	append_to_file($file, join '', "\\pset footer off\n\\pset pager off\n", map { script($_) } @blocks);
	my (undef, $warned) = run_command([ 'psql', '-XAq', '-P', 'format=aligned', '-f', $file ]);
	my (undef, @warned) = split /^\@ \w+\n/m, "$warned\n", -1;
	return map { (-e "$folder/$_->{line}" ? slurp_file("$folder/$_->{line}") : '') . (shift(@warned) // '') } @blocks;
}

# Starts over: databases and roles that pages have made are gone.
sub begin_anew
{
	system('rm', '-rf', "$folder/cwd");
	mkdir "$folder/cwd";
	unlink grep { m{/\d+(\.sh)?$} } glob "$folder/*";
	for my $database (split /\n/, $node->safe_psql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'shop%'"))
	{
		$node->safe_psql('postgres', "DROP DATABASE $database");
	}
	for my $role (split /\n/, $node->safe_psql('postgres', "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND NOT rolsuper"))
	{
		$node->safe_psql('postgres', "DROP ROLE $role");
	}
	unlink $node->data_dir . '/dbt_sources.jwks';
}

# Runs a page after the README's quick start, on which the others go on.
sub test_page
{
	my ($page) = @_;
	my @blocks = grep { is_run($_) } blocks($page);
	return if !@blocks;
	begin_anew();
	my @before = map { { %$_, line => "before$_->{line}" } } grep { is_run($_) } $page eq 'README.md' ? () : blocks('README.md');
	my @outputs = run_blocks($page =~ s{/}{-}gr, @before, @blocks);
	splice @outputs, 0, @before;
	for my $block (@blocks)
	{
		my $output = normalize(shift @outputs);
		my $name = "$page, line $block->{line}, $block->{heading}";
		$tested++;
		if ($block->{result}) { is($output, normalize($block->{result}{text}), $name) }
		else { unlike($output, qr/^(ERROR|WARNING|FATAL)|rror:/m, $name) }
	}
}

for my $page (pages())
{
	test_page($page);

	# what isn't run here is run elsewhere, or there's a reason
	for my $block (grep { $_->{language} =~ /^(sql|sh)$/ && defined $_->{mark} } blocks($page))
	{
		my $name = "$page, line $block->{line}: $block->{mark}";
		if ($block->{mark} =~ /^run by (\w+)$/)
		{
			like(slurp_file("test/t/$1.pl"), qr/\Q$block->{page}\E/, $name);
		}
		else { like($block->{mark}, qr/^not run: .+ .+/, $name) }
	}
}
cmp_ok($tested, '>', 0, 'blocks were found');

# the extension has this message from PostgreSQL
$node->psql('postgres', 'CREATE EXTENSION dbt_sources CASCADE; ALTER EXTENSION dbt_sources SET SCHEMA pg_catalog', stderr => \my $refused);
my ($message) = $refused =~ /ERROR:  (.*)/;
like(page('docs/errors.md'), qr/^\| `\Q$message\E` \|/m, "docs/errors.md has: $message");

$node->stop;
done_testing();
