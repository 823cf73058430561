# How the functions grow with the number of projects, and of sources in one,
# beside the plain statements: bench/run scale [PROJECTS ...].
#
# A figure is the CPU time of the backend, which other work on the machine
# changes least.  Projects are drawn at random out of all, new ones in each
# round, so that the caches are as cold as they are in use.
use strict;
use warnings;

use DBI;
use File::Basename qw(dirname);
use Time::HiRes qw(time);

my $bench = dirname(__FILE__);
my @sizes = @ARGV ? @ARGV : (10_000, 100_000, 1_000_000);
my $rounds = 5;
my (%cost, @operations);

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }
sub uuid_of { return sprintf '%08d-0000-4000-8000-%012d', @_ }
sub connect_db
{
	my $db = DBI->connect('dbi:Pg:', '', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
	$db->do('SET synchronous_commit = off');
	return $db;
}
sub progress { printf STDERR "%s  %s\n", scalar localtime, $_[0] }

# nanoseconds that a backend was on a processor while something was done
sub cpu
{
	my ($db, $work) = @_;
	my $so_far = sub { open my $fh, '<', "/proc/$db->{pg_pid}/schedstat" or die $!; return (split ' ', <$fh>)[0] };
	my $before = $so_far->();
	$work->();
	return $so_far->() - $before;
}

sub note
{
	my ($operation, $size, $ours, $plain) = @_;
	push @operations, $operation unless $cost{$operation};
	$cost{$operation}{$size} = [ $ours, $plain ];
}

# Ours and the plain statement in turns, each round with arguments of its own;
# microseconds of a call, the medians of the rounds.
sub compare
{
	my ($operation, $size, $calls, $ours, $plain, $arguments) = @_;
	my (%times, %sth);
	my $db = connect_db();
	$sth{ours} = $db->prepare($ours->[0]);
	$sth{plain} = $db->prepare($plain->[0]);
	for my $round (0 .. $rounds)
	{
		my @arguments = map { [ $arguments->() ] } 1 .. $calls;
		for my $case ([ ours => $ours ], [ plain => $plain ])
		{
			my ($which, $statement) = @$case;
			my $time = cpu($db, sub {
					for (@arguments) { $sth{$which}->execute($statement->[1]->(@$_)); $sth{$which}->fetchall_arrayref if $sth{$which}{NUM_OF_FIELDS} }
				});
			# the first one also plans
			push @{ $times{$which} }, $time / $calls / 1000 if $round > 0;
		}
	}
	note($operation, $size, median(@{ $times{ours} }), median(@{ $times{plain} }));
}

system("psql -XAtq -v ON_ERROR_STOP=1 -f $bench/scale.sql >/dev/null") == 0 or die;
my $db = connect_db();
my ($body) = $db->selectrow_array(q{SELECT jsonb_build_object('name', 'patched', 'dbtConnection', connection('main'))});
my ($connection) = $db->selectrow_array(q{SELECT connection('main')});
my $n = 0;
my $name = sub { return 'name ' . ++$n };
my $insert = 'INSERT INTO plain_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)';
my $returning = 'RETURNING project_uuid, project_dbt_source_uuid, name, precedence, version';
my $envelope;

# sources in one project
sub grow_a_project
{
	for my $size (10, 1_000, 10_000, 100_000)
	{
		progress("a project of $size sources");
		# small ones take turns, so that they stay small
		my @projects = map { uuid_of(3, $size + $_) } 0 .. ($size == 10 ? 99 : 0);
		for my $project (@projects)
		{
			$db->do(q{INSERT INTO projects VALUES (?, 'large')}, {}, $project);
			$db->do(qq{INSERT INTO $_ (project_uuid, project_dbt_source_uuid, name, precedence)
				SELECT '$project', CASE i WHEN 0 THEN '$project' ELSE gen_random_uuid() END, 'source ' || i, i FROM generate_series(0, $size - 1) i})
			  for 'project_dbt_sources', 'plain_sources';
		}
		$db->do("VACUUM ANALYZE $_") for 'project_dbt_sources', 'plain_sources';
		compare('create', "in $size", 100,
			[ 'SELECT create_project_dbt_source(?, ?)', sub { ($_[0], '{"name": "' . $name->() . qq(", "dbtConnection": $connection})) } ],
			[ "$insert VALUES (?, gen_random_uuid(), ?, ?, 'github', ?) $returning", sub { ($_[0], $name->(), $size + $n, $envelope) } ],
			sub { $projects[ $n % @projects ] });
	}
	my $session = connect_db();
	for my $size (100, 1_000, 10_000)
	{
		progress("a copy of $size sources");
		my $from = uuid_of(4, $size);
		$db->do(q{INSERT INTO projects VALUES (?, 'copied')}, {}, $from);
		for (1 .. $size)
		{
			$db->do('SELECT create_project_dbt_source(?, ?)', {}, $from, qq({"name": "$_", "dbtConnection": $connection}));
		}
		$db->do("$insert SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection FROM project_dbt_sources WHERE project_uuid = ?", {}, $from);
		$db->do("VACUUM ANALYZE $_") for 'project_dbt_sources', 'plain_sources';
		my (@ours, @plain);
		for my $round (0 .. 3)
		{
			my $to = uuid_of(5 + $round, $size);
			$session->do(q{INSERT INTO projects VALUES (?, 'copy')}, {}, $to);
			push @ours, cpu($session, sub { $session->do('SELECT copy_project_dbt_sources(?, ?)', {}, $from, $to) }) / $size / 1000;
			push @plain, cpu($session, sub {
					$session->do("$insert SELECT ?, gen_random_uuid(), name, precedence, dbt_connection_type, dbt_connection FROM plain_sources WHERE project_uuid = ? AND project_uuid <> project_dbt_source_uuid", {}, $to, $from)
				}) / $size / 1000;
		}
		# the first one also plans
		note('copy, a source', "of $size", median(@ours[ 1 .. 3 ]), median(@plain[ 1 .. 3 ]));
	}
	$db->do("DELETE FROM $_ WHERE project_uuid >= uuid_of(2, 0)") for 'projects', 'plain_sources';
	$db->do("VACUUM $_") for 'projects', 'project_dbt_sources', 'plain_sources';
}

# the sources of all projects, 32 bytes for each
sub all_sources
{
	my ($sources) = $db->selectrow_array(q{SELECT string_agg(uuid_send(project_uuid) || uuid_send(project_dbt_source_uuid), '')
		FROM project_dbt_sources WHERE precedence = 1});
	return $sources;
}

sub grow_to
{
	my ($from, $size) = @_;
	progress("$size projects");
	for (my $i = $from; $i < $size; $i += 10_000)
	{
		my $last = ($i + 10_000 < $size ? $i + 10_000 : $size) - 1;
		$db->do("INSERT INTO projects SELECT uuid_of(1, i), 'project ' || i FROM generate_series($i, $last) i");
		$db->do("SELECT count(create_project_dbt_source(uuid_of(1, i), jsonb_build_object('name', 'source', 'dbtConnection', connection('main')))) FROM generate_series($i, $last) i");
		$db->do("$insert SELECT project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection
			FROM project_dbt_sources WHERE project_uuid BETWEEN uuid_of(1, $i) AND uuid_of(1, $last)");
	}
	$db->do("VACUUM ANALYZE $_") for 'projects', 'project_dbt_sources', 'plain_sources';

	progress("$size projects: calls");
	my $sources = all_sources();
	my $source = sub {
		my @hex = unpack 'H32 H32', substr $sources, 32 * int rand(length($sources) / 32), 32;
		return map { join '-', unpack 'A8 A4 A4 A4 A12', $_ } @hex;
	};
	my $own = sub { @_[ 0, 1 ] };
	my $where = 'WHERE project_uuid = ? AND project_dbt_source_uuid = ?';
	# two names in turn, so that each call changes something
	compare('patch', $size, 400,
		[ "SELECT update_project_dbt_source(?, ?, ?)", sub { (@_, $body =~ s/patched/$name->()/er) } ],
		[ "UPDATE plain_sources SET name = ?, dbt_connection_type = 'github', dbt_connection = ?, version = version + 1, updated_at = now() $where $returning", sub { ($name->(), $envelope, @_) } ],
		$source);
	compare('rename', $size, 400,
		[ "SELECT update_project_dbt_source(?, ?, ?)", sub { (@_, '{"name": "' . $name->() . '"}') } ],
		[ "UPDATE plain_sources SET name = ?, version = version + 1, updated_at = now() $where $returning", sub { ($name->(), @_) } ],
		$source);
	compare('get', $size, 400,
		[ 'SELECT get_project_dbt_source(?, ?)', $own ],
		[ "SELECT project_uuid, project_dbt_source_uuid, name, precedence, version, dbt_connection FROM plain_sources $where", $own ],
		$source);
	compare('list', $size, 400,
		[ 'SELECT list_project_dbt_sources(?)', sub { $_[0] } ],
		[ q{SELECT jsonb_agg(jsonb_build_object('projectDbtSourceUuid', project_dbt_source_uuid, 'name', name, 'precedence', precedence, 'hasCredentialError', dbt_connection IS NULL,
			'type', dbt_connection_type) ORDER BY precedence, name) FROM plain_sources WHERE project_uuid = ?}, sub { $_[0] } ],
		$source);
	compare('create', $size, 400,
		[ 'SELECT create_project_dbt_source(?, ?)', sub { ($_[0], '{"name": "' . $name->() . qq(", "dbtConnection": $connection})) } ],
		[ "$insert VALUES (?, gen_random_uuid(), ?, 2, 'github', ?) $returning", sub { ($_[0], $name->(), $envelope) } ],
		$source);

	progress("$size projects: keys");
	my $keys = sub { my ($session, $sql) = @_; return cpu($session, sub { $session->selectall_arrayref($sql) }) };
	my $session = connect_db();
	my ($rows) = $session->selectrow_array('SELECT count(*) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL');
	note('encryption_keys(), a row', $size, map { $_ / $rows / 1000 }
		  $keys->($session, 'SELECT * FROM encryption_keys()'), $keys->($session, 'SELECT substr(dbt_connection, 1, 80), count(*) FROM plain_sources WHERE dbt_connection IS NOT NULL GROUP BY 1'));
	my ($old) = $session->selectrow_array('SELECT kid FROM encryption_keys() WHERE active');
	$session->do('SELECT rotate_encryption_key()');
	note('re-encryption, a row', $size, map { $_ / $rows / 1000 }
		  cpu($session, sub { $session->do('CALL reencrypt_all_dbt_connections()') }),
		  cpu($session, sub { $session->do(q{UPDATE plain_sources SET dbt_connection = dbt_connection || '' WHERE dbt_connection IS NOT NULL}) }));
	my $start = time;
	$session->do('SELECT remove_encryption_key(?)', {}, $old);
	note('remove_encryption_key(), a row, elapsed', $size, (time - $start) * 1e6 / $rows);
	$db->do("VACUUM $_") for 'project_dbt_sources', 'plain_sources';
}

# the figures of a table, a line for ours and one for the plain statement
sub table
{
	my ($title, $column, @columns) = @_;
	printf "\n%-40s" . ' %11s' x @columns . " %8s\n", $title, map({ $column eq '' ? $_ : "$column $_" } @columns), 'growth';
	for my $operation (@operations)
	{
		my @of = map { $cost{$operation}{ $column eq '' ? $_ : "$column $_" } // () } @columns;
		next if @of != @columns;
		for my $which (0, 1)
		{
			my @figures = map { $_->[$which] // () } @of or next;
			printf "%-40s" . ' %11.1f' x @figures . " %8.2f\n", $which ? '  plain' : $operation, @figures, $figures[-1] / $figures[0];
		}
	}
}

# an envelope for the plain table, and for what is begun with
$db->do("INSERT INTO projects VALUES (uuid_of(2, 0), 'first')");
$db->do("SELECT create_project_dbt_source(uuid_of(2, 0), jsonb_build_object('name', 'source', 'dbtConnection', connection('main')))");
($envelope) = $db->selectrow_array('SELECT dbt_connection FROM project_dbt_sources WHERE precedence = 1');

grow_a_project();
my $before = 0;
for my $size (@sizes)
{
	grow_to($before, $size);
	$before = $size;
}
print "\nmicroseconds of CPU\n";
table('projects', '', @sizes);
table('sources in the project', 'in', 10, 1_000, 10_000, 100_000);
table('sources to copy', 'of', 100, 1_000, 10_000);
