# The server, or one of its processes, is killed at random points while
# applications write and keys are rotated: what was acknowledged is there,
# everything decrypts, and the keyring file is whole.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{DBT_SOURCES_CRASHES} // 15;
my $seed = $ENV{DBT_SOURCES_SEED} // int rand 2**31;
srand $seed;
note "seed $seed";
my $writers = 3;
my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nrestart_after_crash = on\n");
$node->start;
my $file = $node->data_dir . '/dbt_sources.jwks';

$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one');
	SELECT rotate_encryption_key();
	CREATE FUNCTION body(n text) RETURNS jsonb LANGUAGE sql AS \$\$
		SELECT jsonb_build_object('name', 'w' || n, 'dbtConnection', jsonb_build_object('type', 'gitlab', 'repository', 'r',
			'branch', n, 'project_sub_path', '/', 'personal_access_token', 'token ' || n)) \$\$;
	SELECT create_project_dbt_source('$project', body(i || '-0')) FROM generate_series(1, 60) i");
my @sources = split /\n/, $node->safe_psql('postgres', 'SELECT project_dbt_source_uuid FROM project_dbt_sources WHERE precedence > 0 ORDER BY precedence');

sub start_psql
{
	my ($name, $sql, $out) = @_;
	my $script = $node->basedir . "/$name.sql";
	open my $fh, '>', $script or die $!;
	print $fh $sql;
	close $fh;
	return IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script ], '>', $out, '2>', "$out.err";
}

# a killed process is gone even if nobody reaps it, as in a container without an
# init
sub is_running
{
	my ($pid) = @_;
	open my $fh, '<', "/proc/$pid/stat" or return 0;
	return (<$fh> // '') !~ /^(?:\d+ \(.*\) [ZX] |$)/s;
}

sub kill_server
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @children;
	for my $stat (glob '/proc/[0-9]*/stat')
	{
		open my $fh, '<', $stat or next;
		my $line = <$fh> // '';
		push @children, $1 if $line =~ /^(\d+) \(.*\) \S $postmaster /;
	}
	$node->kill9;
	kill 'KILL', @children;
	for my $pid ($postmaster, @children)
	{
		sleep 0.01 while is_running($pid);
	}
	# without an init the next postmaster would take this one to be there still
	for (1 .. 200)
	{
		last unless kill 0, $postmaster;
		sleep 0.01;
	}
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock'
	  if kill 0, $postmaster;
}

# One backend is killed in what it does; the server ends all others, and goes on.
sub kill_backend
{
	my ($what) = @_;

	# what is short may have just ended
	for (1 .. 100)
	{
		my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%$what%' AND pid <> pg_backend_pid() LIMIT 1");
		return kill 'KILL', $pid if $pid ne '';
	}
	return 0;
}

my $rotation = "SELECT 'rotated' FROM rotate_encryption_key();\n" .
  ("SELECT 'moved' FROM reencrypt_dbt_connections(7) r WHERE r > 0;\n" x 3) .
  "CALL reencrypt_all_dbt_connections(7);\nSELECT 'called';\n" .
  "SELECT 'removed' FROM (SELECT remove_encryption_key(kid) FROM encryption_keys() WHERE NOT active AND connections = 0) r;\n";
my $n = 0;
my @acknowledged = (0) x $writers;
my (%broken, $total, %events);
for my $round (1 .. $rounds)
{
	my @psql;
	for my $writer (0 .. $writers - 1)
	{
		push @psql, start_psql("writer$writer", join('', map {
					"SELECT update_project_dbt_source('$project', '$sources[$writer]', body('$writer-" . ($n + $_) . "')) ->> 'branch';\n"
				} 1 .. 5000), $node->basedir . "/writer$writer.out");
	}
	push @psql, start_psql('keys', $rotation x 300, $node->basedir . '/keys.out');
	sleep 0.1 + rand 0.7;
	my $victim = (undef, 'update_project_dbt_source', 'rotate_encryption_key', 'reencrypt', 'remove_encryption_key')[ $round % 5 ];
	if (defined $victim && kill_backend($victim))
	{
		$events{"killed in $victim"}++;
		# those of the others end when the server has ended their backends
		$_->finish for @psql;
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
	}
	else
	{
		kill_server();
		$events{'crashes of the server'}++;
		$_->finish for @psql;
		$node->start;
	}

	# the last line may have been cut
	for my $writer (0 .. $writers - 1)
	{
		my @lines = slurp_file($node->basedir . "/writer$writer.out") =~ /^$writer-(\d+)\n/mg;
		$acknowledged[$writer] = $lines[-1] if @lines;
		$total += @lines;
	}
	$events{$_}++ for slurp_file($node->basedir . '/keys.out') =~ /^(rotated|moved|called|removed)$/mg;
	for my $writer (0 .. $writers - 1)
	{
		my ($name, $branch, $token) = split /\|/, $node->safe_psql('postgres', "SELECT name, c ->> 'branch', c ->> 'personal_access_token'
			FROM project_dbt_sources, project_dbt_connection(project_uuid, project_dbt_source_uuid) c WHERE project_dbt_source_uuid = '$sources[$writer]'");
		my ($stored) = $branch =~ /-(\d+)/;
		$broken{"round $round: writer $writer has $branch, $acknowledged[$writer] was acknowledged"} = 1
		  if $stored < $acknowledged[$writer];
		$broken{"round $round: $name, $branch and $token don't agree"} = 1
		  if $name ne "w$branch" || $token ne "token $branch";
	}
	$broken{"round $round: a connection doesn't decrypt"} = 1
	  if $node->safe_psql('postgres', "SELECT count(*) FROM project_dbt_sources, project_dbt_connection(project_uuid, project_dbt_source_uuid) c
		WHERE dbt_connection IS NOT NULL AND c ->> 'type' = 'gitlab'") != 60;
	$broken{"round $round: the keyring file is not whole"} = 1
	  if $node->safe_psql('postgres', "SELECT count(*) FROM jsonb_array_elements(pg_read_file('dbt_sources.jwks')::jsonb -> 'keys') k
		WHERE length(k ->> 'k') <> 86") != 0;
	$broken{"round $round: the keyring file's mode"} = 1 if ((stat $file)[2] & 07777) != 0600;
	$n += 5000;
}
note "$rounds crashes, $total acknowledged writes; " . join ', ', map { "$events{$_} $_" } sort keys %events;
is(join("\n", sort keys %broken), '', "after each of $rounds crashes everything is there");
cmp_ok($total, '>', $rounds, 'and much was going on');
cmp_ok($events{$_} // 0, '>', 0, "some were $_") for 'rotated', 'moved', 'called', 'removed';

# what a crash leaves beside the keyring file doesn't matter
append_to_file("$file.tmp", 'half a key');
$node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
ok(!-e "$file.tmp", 'a temporary file of a crash goes with the next rotation');

$node->stop;
done_testing();
