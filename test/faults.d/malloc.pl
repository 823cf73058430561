# One request for memory isn't granted, one after another: of a session that has
# done the same before.  (In one that hasn't, PostgreSQL 16 with assertions fails one
# of its own, in pgstat_release_entry_ref().)  But the keyring has changed since,
# and the table, so that all that is ours begins anew.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Faults;
use POSIX qw(:errno_h);
use Test::More;

my $rounds = $ENV{FAULTS_ROUNDS};
my %statements = (
	reading => [ 'SELECT project_dbt_connection(?, project_dbt_source_uuid) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL LIMIT 1', $project ],
	listing => [ 'SELECT list_project_dbt_sources(?)', $project ],
	rotation => ['SELECT rotate_encryption_key()'],
	keys => ['SELECT count(*) FROM encryption_keys()'],
	'HTTP' => [ q{SELECT status FROM http_request('GET', '/api/v1/projects/' || ?::text || '/dbt-sources')}, $project ],
	're-encryption' => ['SELECT reencrypt_dbt_connections(5)']);

sub run
{
	my ($name, $nth) = @_;
	my $dbh = session();
	my @statement = $name eq 'update' ? () : @{ $statements{$name} };
	try_sql($dbh, @statement) if @statement;
	update($dbh) if !@statement;
	$dbh->ping;
	sql('SELECT rotate_encryption_key()');
	$dbh->do('ALTER TABLE project_dbt_sources ALTER updated_at SET NOT NULL');
	arm(call => 'malloc', nth => $nth, error => ENOMEM, pid => $dbh->{pg_pid});
	my ($state, $said) = @statement ? try_sql($dbh, @statement) : update($dbh);
	my ($hits, $calls) = disarm();
	my $alive = $dbh->ping;
	$dbh->disconnect;
	return ($state, $said, $alive, $calls);
}

set_up();
for my $name (sort(keys %statements), 'update')
{
	my (@wrong, %seen);
	my $calls = (run($name, -1))[3];
	my %nth = map { ($calls > $rounds ? 1 + int rand $calls : $_) => 1 } 1 .. ($calls > $rounds ? $rounds : $calls);
	for my $nth (sort { $a <=> $b } keys %nth)
	{
		shows("$name: $nth. of $calls");
		my ($state, $said, $alive) = run($name, $nth);
		$seen{ $state || 'done' }++;
		# OpenSSL doesn't say what it lacks
		push @wrong, "$nth. of $calls: $state $said" if $state !~ /^(?:53200)?$/ && "$state $said" !~ /^58000 .*HINT:  The server may be out of memory/s;
		push @wrong, "$nth. of $calls: the session is lost" if !$alive;
		my ($broken) = broken($said);
		push @wrong, "$nth. of $calls: $broken" if $broken;
	}
	shows('');
	is(join("\n", @wrong), '', "$name: " . join ', ', map { "$seen{$_} times $_" } sort keys %seen);
}
done_testing();
