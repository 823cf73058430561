# make installcheck against a cluster that is in use, and in another encoding
# than the tests: it passes, and leaves the cluster as it was.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use lib 'test/t';
use Needs 'make';

my $top = getcwd();
my $node = PostgreSQL::Test::Cluster->new('live');
$node->init(extra => [ '--no-locale', '--encoding=LATIN1' ]);
$node->start;
# its own keys, and roles of the names that PostgREST's users have
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE; SELECT rotate_encryption_key();
	CREATE ROLE authenticator; CREATE ROLE web_user; CREATE ROLE regress_of_somebody_else");

sub everything
{
	return slurp_file($node->data_dir . '/dbt_sources.jwks') . $node->safe_psql('postgres', q{
		SELECT pg_ls_dir('.') ORDER BY 1;
		SELECT datname, datacl FROM pg_database ORDER BY 1;
		SELECT rolname, rolsuper, rolcanlogin, rolconfig FROM pg_roles ORDER BY 1;
		SELECT * FROM pg_db_role_setting ORDER BY 1, 2;
		SELECT * FROM pg_extension ORDER BY 1});
}

# outside of the checkout, and not as a part of the make that runs us
my $folder = PostgreSQL::Test::Utils::tempdir;
delete $ENV{$_} for grep { /^(MAKE|MFLAGS|GNUMAKEFLAGS|COPT$|REGRESS|ISOLATION|PROVE|TEST|SUITES)/ } keys %ENV;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
sub installcheck
{
	my (@arguments) = @_;
	return [ 'make', '-C', $folder, '-f', "$top/Makefile", @arguments ];
}

my $before = everything();
my ($out, $err) = run_command(installcheck('installcheck-sql', 'installcheck-isolation'));
is($? >> 8, 0, 'passes') or diag "$out\n$err";
like($out, qr/\baccess\b.*\breencrypt\b/s, 'both suites');
is(everything(), $before, 'the cluster is as it was');

($out, $err) = run_command(installcheck('installcheck-sql', 'REGRESS=keys nonexistent'));
isnt($? >> 8, 0, 'a test that fails makes it fail');
is(everything(), $before, 'and leaves nothing either');

# interrupted while it runs
my $run = IPC::Run::start(installcheck('installcheck-isolation'), '>&', "$folder/output");
my $tests = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'isolation_regression_dbt_sources'";
for (1 .. 300)
{
	last if $node->safe_psql('postgres', $tests) > 0;
	sleep 0.1;
}
$run->signal('TERM');
$run->finish;
isnt($run->result, 0, 'interrupted');
# make doesn't wait for what it ends
for (1 .. 300)
{
	last if everything() eq $before;
	sleep 0.1;
}
is(everything(), $before, 'and nothing is left');

$node->stop;
done_testing();
