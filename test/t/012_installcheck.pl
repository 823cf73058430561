# make installcheck against a cluster that is in use, and in another encoding
# than the tests: it passes, and leaves the cluster as it was.  Its log has the
# SQLSTATE of each error, which psql doesn't show.
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
$node->append_conf('postgresql.conf', 'log_error_verbosity = verbose');
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

# the errors and warnings that are raised in a function of ours, without what is particular to them
sub our_functions
{
	my %ours;
	for my $path (glob "$top/src/*/*.c")
	{
		my ($file) = $path =~ m{([^/]+)$};
		my $source = slurp_file($path);
		$ours{"$1, $file"} = 1 while $source =~ /^(\w+)\(/gm;
		$ours{"$1_silently, $file"} = 1 while $source =~ /^SILENT_\w+\((\w+)\)/gm;
	}
	return \%ours;
}
sub errors_in
{
	my ($log) = @_;
	my $ours = our_functions();
	my (%errors, $state, $message);
	for my $line (split /\n/, $log)
	{
		($state, $message) = ($1, $2) if $line =~ /(?:ERROR|WARNING):  (\w{5}): (.*)/;
		next unless $line =~ /LOCATION:  (\w+, \w+\.c):\d+/ && $ours->{$1};
		# names of variables; quoted names, uuids, numbers
		$message =~ s/how dbt runs: \K.*/.../;
		$message =~ s/"[^"]*"|\([0-9a-f-]{36}\)|[0-9a-f-]{36}|\b\d+\b/.../g;
		$errors{"$state $message"} = 1;
	}
	return join "\n", sort keys %errors;
}
chomp(my @expected = <DATA>);
is(errors_in(slurp_file($node->logfile)), join("\n", @expected), 'each error has its SQLSTATE');
like(slurp_file($node->logfile), qr/ERROR:  23514: .*"polite"\n.*DETAIL:  Failing row contains/, 'and where a constraint refuses a row, which one that is');

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

__DATA__
01000 ... connection is not encrypted with a key of the keyring
01000 ... connection was not re-encrypted and left as it is
01000 ... connections were not re-encrypted and left as they are
01000 left out ... environment variable that changes how dbt runs: ...
01000 left out ... environment variables that change how dbt runs: ...
01000 table dbt.project_dbt_sources is not counted
09000 change of dbt source ... ... was suppressed
09000 change of dbt source ... was suppressed
2200H no precedence is left in the project
22023 anew must not be null
22023 batch must be at least ...
22023 batch must not be null
22023 body must not be null
22023 dbt_connection must not be null
22023 headers must be an object of strings
22023 invalid dbt source
22023 kid must not be null
22023 max_rows must be at least ...
22023 max_rows must not be null
22023 method must not be null
22023 path must not be null
22023 project must not be null
22023 projects must not be null
22023 source must not be null
22023 source_project and target_project must not be the same
22023 target_project must not be null
22023 the primary dbt source cannot be deleted
23505 project already has a dbt source of that name
25001 reencrypt_all_dbt_connections() cannot run inside a transaction block
25001 remove_encryption_key() cannot run in a transaction that has changed something
40001 could not serialize access due to concurrent creation of a dbt source
42501 permission denied for project
42703 table app.projects has no column ...
42704 encryption key ... does not exist
42804 column ... of table app.projects is of type text, and not uuid
42809 dbt sources cannot be enabled for ...
42809 dbt.project_dbt_sources is not a table
42830 column ... of table app.projects is not unique
42830 the primary key of table app.projects is not one column of type uuid
42883 function hmac(bytea, bytea, text) is not in the schema of the extension pgcrypto
42883 the function that was called has been dropped
42P01 table with OID ... does not exist
42P16 dbt sources cannot be enabled for ...
55000 column ... of a dbt source is null
55000 constraint free on table dbt.project_dbt_sources is not safe to run
55000 dbt sources are already enabled for table app.projects, by its column ...
55000 dbt sources are not enabled in this database
55000 it is not clear which table has the projects
55000 no usable keyring
55000 table dbt.project_dbt_sources is not as enable_dbt_sources() makes it
55000 table dbt.project_dbt_sources is not safe to run
55000 trigger audit on table dbt.part0 is not safe to run
55000 trigger audit on table dbt.project_dbt_sources is not safe to run
55000 trigger note on table dbt.other_parts is not safe to run
55000 trigger note on table dbt.runs is not safe to run
55006 cannot remove the active encryption key
P0002 dbt source not found
P0002 project not found
XX001 connection of dbt source ... ... of project ... cannot be decrypted
