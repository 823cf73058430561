# How the functions grow with the number of projects, and of sources in one,
# beside the plain statements: bench/run scale [PROJECTS ...].
#
# A figure is the CPU time of the backend in microseconds, the median of the
# rounds.  Within a round the sizes take turns, and ours and the plain statement,
# so that a machine that gets slower meanwhile doesn't show in the growth.
# Projects are drawn at random out of all, new ones in each round, so that the
# caches are as cold as they are in use.
use strict;
use warnings;

use DBI;
use File::Basename qw(dirname);
use Time::HiRes qw(time);

use lib dirname(__FILE__);
use Progress;

my $bench = dirname(__FILE__);
my @sizes = @ARGV ? @ARGV : (10_000, 100_000, 1_000_000);
my $rounds = 7;
$| = 1;

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }
sub uuid_of { return sprintf '%08d-0000-4000-8000-%012d', @_ }

sub connect_db
{
	my ($size) = @_;
	my $db = DBI->connect("dbi:Pg:dbname=scale_$size", '', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
	$db->do('SET synchronous_commit = off');
	return $db;
}

# microseconds that a backend was on a processor while something was done
sub cpu
{
	my ($db, $work) = @_;
	my $so_far = sub { open my $fh, '<', "/proc/$db->{pg_pid}/schedstat" or die $!; return (split ' ', <$fh>)[0] };
	my $before = $so_far->();
	$work->();
	return ($so_far->() - $before) / 1000;
}

# A line for what was measured, and one for the plain statement: of each size
# its rounds, and how the last grew over the first.
sub lines
{
	my ($operation, $reach, $sizes, $times) = @_;
	clear_progress();
	for my $which ('ours', 'plain')
	{
		my @of = map { $times->{$_}{$which} // () } @$sizes or next;
		my $growth = median(map { $of[-1][$_] / $of[0][$_] } 0 .. $#{ $of[0] });
		printf "%-34s" . ' %9.1f' x @of . " %7.2f", $which eq 'plain' ? '  plain' : $operation, map({ median(@$_) } @of), $growth;
		printf " %7s %s", "<= $reach", $growth <= $reach ? 'yes' : 'no' if $reach && $which eq 'ours';
		print "\n";
	}
}
sub header { my ($title, @sizes) = @_; clear_progress(); printf "\n%-34s" . ' %9s' x @sizes . " %7s %7s\n", $title, @sizes, 'growth', 'reach' }

# Ours and the plain statement, at sizes that each have a session and arguments
# of their own.
sub compare
{
	my ($operation, $reach, $calls, $ours, $plain, $sizes, $at) = @_;
	my (%times, %sth);
	my %statements = (ours => $ours, plain => $plain);
	my @turns = @$sizes;
	for my $size (@turns)
	{
		$sth{$size}{$_} = $at->{$size}[0]->prepare($statements{$_}[0]) for keys %statements;
	}
	for my $round (0 .. $rounds)
	{
		progress($operation, $round, $rounds);
		for my $size (@turns)
		{
			my ($db, $arguments) = @{ $at->{$size} };
			my @arguments = map { [ $arguments->() ] } 1 .. $calls;
			for my $which ('ours', 'plain')
			{
				my ($sth, $values) = ($sth{$size}{$which}, $statements{$which}[1]);
				my $time = cpu($db, sub { for (@arguments) { $sth->execute($values->(@$_)); $sth->fetchall_arrayref } });
				# the first round also plans
				push @{ $times{$size}{$which} }, $time / $calls if $round > 0;
			}
		}
		push @turns, shift @turns;
	}
	lines($operation, $reach, $sizes, \%times);
}

my $n = 0;
my $name = sub { return 'name ' . ++$n };
my $insert = 'INSERT INTO plain_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)';
my $columns = 'project_uuid, project_dbt_source_uuid, name, precedence, version';
my $as_stored = "$insert SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection FROM project_dbt_sources WHERE project_uuid BETWEEN ? AND ?";
my @both = ('project_dbt_sources', 'plain_sources');

# a database of so many projects, each with a source beside its primary one
sub make_database
{
	my ($size) = @_;
	my $what = "making $size projects";
	progress($what);
	system("createdb scale_$size && psql -XAtq -v ON_ERROR_STOP=1 -d scale_$size -f $bench/scale.sql >/dev/null") == 0 or die;
	my $db = connect_db($size);
	for (my $i = 0; $i < $size; $i += 10_000)
	{
		my $last = ($i + 10_000 < $size ? $i + 10_000 : $size) - 1;
		progress($what, $i, $size);
		$db->do("INSERT INTO projects SELECT uuid_of(1, i), 'project ' || i FROM generate_series($i, $last) i");
		$db->do("SELECT count(create_project_dbt_source(uuid_of(1, i), jsonb_build_object('name', 'source', 'dbtConnection', connection('main')))) FROM generate_series($i, $last) i");
		$db->do($as_stored, {}, uuid_of(1, $i), uuid_of(1, $last));
	}
	$db->do("VACUUM ANALYZE $_") for 'projects', @both;
}

# draws one of the sources, of which each has 32 bytes here
sub drawing
{
	my ($db) = @_;
	my ($sources) = $db->selectrow_array("SELECT string_agg(uuid_send(project_uuid) || uuid_send(project_dbt_source_uuid), '') FROM project_dbt_sources WHERE precedence = 1");
	return sub {
		return map { join '-', unpack 'A8 A4 A4 A4 A12', $_ } unpack 'H32 H32', substr $sources, 32 * int rand(length($sources) / 32), 32;
	};
}

make_database($_) for @sizes;
my %db = map { $_ => connect_db($_) } @sizes;
my $small = $db{ $sizes[0] };
my ($connection) = $small->selectrow_array(q{SELECT connection('main')});
my ($envelope) = $small->selectrow_array('SELECT dbt_connection FROM project_dbt_sources WHERE precedence = 1 LIMIT 1');
my $body = sub { return '{"name": "' . $name->() . qq(", "dbtConnection": $connection}) };

sub grow_with_projects
{
	my %at = map { $_ => [ $db{$_}, drawing($db{$_}) ] } @sizes;
	my $where = 'WHERE project_uuid = ? AND project_dbt_source_uuid = ?';
	my $changed = "version = version + 1, updated_at = now() $where RETURNING $columns";
	header('projects', @sizes);
	compare('patch', 1.4, 400,
		[ 'SELECT update_project_dbt_source(?, ?, ?)', sub { (@_, $body->()) } ],
		[ "UPDATE plain_sources SET name = ?, dbt_connection_type = 'github', dbt_connection = ?, $changed", sub { ($name->(), $envelope, @_) } ],
		\@sizes, \%at);
	compare('rename', undef, 400,
		[ 'SELECT update_project_dbt_source(?, ?, ?)', sub { (@_, '{"name": "' . $name->() . '"}') } ],
		[ "UPDATE plain_sources SET name = ?, $changed", sub { ($name->(), @_) } ],
		\@sizes, \%at);
	compare('get', undef, 400,
		[ 'SELECT get_project_dbt_source(?, ?)', sub { @_ } ],
		[ "SELECT $columns, dbt_connection FROM plain_sources $where", sub { @_ } ],
		\@sizes, \%at);
	compare('list', undef, 400,
		[ 'SELECT list_project_dbt_sources(?)', sub { $_[0] } ],
		[ q{SELECT jsonb_agg(jsonb_build_object('projectDbtSourceUuid', project_dbt_source_uuid, 'name', name, 'isPrimary', is_primary, 'precedence', precedence,
			'hasCredentialError', dbt_connection IS NULL, 'type', dbt_connection_type) ORDER BY precedence, name) FROM plain_sources WHERE project_uuid = ?}, sub { $_[0] } ],
		\@sizes, \%at);
	compare('create', undef, 400,
		[ 'SELECT create_project_dbt_source(?, ?)', sub { ($_[0], $body->()) } ],
		[ "$insert VALUES (?, gen_random_uuid(), ?, 2, 'github', ?) RETURNING $columns", sub { ($_[0], $name->(), $envelope) } ],
		\@sizes, \%at);
}

sub grow_with_sources
{
	my @of = (10, 1_000, 10_000, 100_000);
	my %at;
	progress('sources in a project');
	for my $size (@of)
	{
		# small ones take turns, so that they stay small
		my @projects = map { uuid_of(3, $size + $_) } 0 .. ($size == 10 ? 79 : 0);
		for my $project (@projects)
		{
			$small->do(q{INSERT INTO projects VALUES (?, 'large')}, {}, $project);
			$small->do(qq{INSERT INTO $_ (project_uuid, project_dbt_source_uuid, name, precedence)
				SELECT '$project', CASE i WHEN 0 THEN '$project' ELSE gen_random_uuid() END, 'source ' || i, i FROM generate_series(0, $size - 1) i}) for @both;
		}
		$at{$size} = [ $small, sub { $projects[ ++$n % @projects ] } ];
	}
	$small->do("VACUUM ANALYZE $_") for 'projects', @both;
	header('sources in the project', @of);
	compare('create', 2, 100,
		[ 'SELECT create_project_dbt_source(?, ?)', sub { ($_[0], $body->()) } ],
		[ "$insert VALUES (?, gen_random_uuid(), ?, ?, 'github', ?) RETURNING $columns", sub { ($_[0], $name->(), 1_000_000 + $n, $envelope) } ],
		\@of, \%at);
}

sub grow_with_copied
{
	my @of = (100, 1_000, 10_000);
	my %times;
	progress('copies');
	for my $size (@of)
	{
		my $from = uuid_of(4, $size);
		$small->do(q{INSERT INTO projects VALUES (?, 'copied')}, {}, $from);
		$small->do('SELECT create_project_dbt_source(?, ?)', {}, $from, $body->()) for 1 .. $size;
		$small->do($as_stored, {}, $from, $from);
	}
	$small->do("VACUUM ANALYZE $_") for @both;
	for my $round (0 .. 3)
	{
		for my $size (@of)
		{
			my ($from, $to) = (uuid_of(4, $size), uuid_of(5 + $round, $size));
			$small->do(q{INSERT INTO projects VALUES (?, 'copy')}, {}, $to);
			my %time = (
				ours => cpu($small, sub { $small->do('SELECT copy_project_dbt_sources(?, ?)', {}, $from, $to) }),
				plain => cpu($small, sub {
						$small->do("$insert SELECT ?, gen_random_uuid(), name, precedence, dbt_connection_type, dbt_connection FROM plain_sources WHERE project_uuid = ? AND NOT is_primary", {}, $to, $from)
					}));
			for my $which (keys %time) { push @{ $times{$size}{$which} }, $time{$which} / $size if $round > 0 }
		}
	}
	header('sources to copy', @of);
	lines('copy, a source', 1.4, \@of, \%times);
}

# once only, as it takes long
sub grow_with_keys
{
	my (%census, %moved, $old, $removed);
	my $connections = 0;
	for my $size (@sizes)
	{
		progress("the keys of $size projects");
		my $db = connect_db($size);
		my ($rows) = $db->selectrow_array('SELECT count(*) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL');
		my $per_row = sub { my ($sql) = @_; return [ cpu($db, sub { $db->do($sql) }) / $rows ] };
		$connections += $rows;
		$census{$size}{ours} = $per_row->('SELECT * FROM encryption_keys()');
		$census{$size}{plain} = $per_row->('SELECT substr(dbt_connection, 1, 80), count(*) FROM plain_sources GROUP BY 1');
		($old) = $db->selectrow_array('SELECT kid FROM encryption_keys() WHERE active');
		$db->do('SELECT rotate_encryption_key()');
		$moved{$size}{ours} = $per_row->('CALL reencrypt_all_dbt_connections()');
		$moved{$size}{plain} = $per_row->(q{UPDATE plain_sources SET dbt_connection = dbt_connection || ''});
		my $start = time;
		$db->do('SELECT remove_encryption_key(?)', {}, $old);
		$removed = time - $start;
	}
	header('projects', @sizes);
	lines('encryption_keys(), a connection', undef, \@sizes, \%census);
	lines('re-encryption, a connection', 1.4, \@sizes, \%moved);
	clear_progress();
	printf "\nremove_encryption_key() took %.1f seconds, of processors and waiting, for %d connections in %d databases\n", $removed, $connections, scalar @sizes;
}

print "microseconds of CPU\n";
grow_with_projects();
grow_with_keys();
grow_with_sources();
grow_with_copied();
