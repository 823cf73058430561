# A backend that may have only so much memory (ulimit -v).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Faults;
use Test::More;

my $rounds = $ENV{FAULTS_ROUNDS};
my $large = large(2_000_000);
my %statements = (
	reading => [ 'SELECT length(project_dbt_connection(?, project_dbt_source_uuid)::text) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL ORDER BY length(dbt_connection) DESC LIMIT 1', $project ],
	listing => [ 'SELECT list_project_dbt_sources(?)', $project ],
	rotation => ['SELECT rotate_encryption_key()'],
	'HTTP' => [ q{SELECT status FROM http_request('POST', '/api/v1/projects/' || ?::text || '/dbt-sources', ?)}, $project, '{"name": ' . '[' x 1_000_000 ],
	're-encryption' => ['SELECT reencrypt_dbt_connections(5)']);

sub limit
{
	my ($pid, $bytes) = @_;
	system('prlimit', '--pid', $pid, "--as=$bytes:") == 0 or die 'prlimit';
	return;
}

set_up();
update(session(), $large);
for my $name (sort(keys %statements), 'update')
{
	my (@wrong, %seen);
	for my $round (1 .. $rounds)
	{
		shows("$name: $round of $rounds");
		my $dbh = session();
		my $pid = $dbh->{pg_pid};
		$dbh->do('SELECT rotate_encryption_key()') if $name eq 're-encryption';
		# the libraries are there, and the stack has grown: the kernel ends who
		# lacks room for that, whatever they do
		try_sql($dbh, @{ $statements{reading} });
		$dbh->do(q{SELECT repeat('[', 100000)::jsonb});
		open my $fh, '<', "/proc/$pid/statm" or die $!;
		my $size = (split ' ', <$fh>)[0] * 4096;
		# half of them next to nothing, the others about what a large body needs
		my $more = int rand($round % 2 ? 2e6 : 3e7);
		limit($pid, $size + $more);
		my ($state, $said) = $name eq 'update' ? update($dbh, $large) : try_sql($dbh, @{ $statements{$name} });
		limit($pid, 'unlimited');
		$seen{ $state || 'done' }++;
		push @wrong, "$more bytes: $state $said" if $state !~ /^(?:53200)?$/;
		push @wrong, "$more bytes: the session is lost" if !$dbh->ping;
		$dbh->disconnect;
		my ($broken) = broken($said);
		push @wrong, "$more bytes: $broken" if $broken;
	}
	shows('');
	is(join("\n", @wrong), '', "$name: " . join ', ', map { "$seen{$_} times $_" } sort keys %seen);
}
done_testing();
