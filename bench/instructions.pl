# How many instructions a patch takes, and where: callgrind counts them in
# single-user mode, for two numbers of patches, and the difference is what one
# takes.  With every secret sent, with the token kept, and the floor's.  Argument:
# the data directory; stops its server.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use List::Util qw(sum);

use lib dirname(__FILE__);
use Progress;

my ($data) = @ARGV;
my $folder = tempdir(CLEANUP => 1);

# in the order in which a patch goes through them; none is within another
my @parts = (
	['permission', 'RequireManageOfSource'],
	['lock and read of the source', 'LockOrAddSource'],
	['base64, HMAC, AES: open the stored connection', 'OpenEnvelope'],
	['parse it', 'JsonFromBytea'],
	['keep what is withheld', 'KeepWithheld'],
	['validate', 'ValidateConnection'],
	['summary', 'MakeSummary'],
	['to JSON', 'PrintConnection'],
	['AES, HMAC, base64: seal the new connection', 'SealEnvelope'],
	['write the source', 'ReplaceSource', 'ReplaceWholly']);
my $whole = 'update_project_dbt_source';

# EXECUTE of a prepared statement: its parameters and the executor included
my $statement = 'ExecuteQuery';

sub value { my ($sql) = @_; chomp(my $value = `psql -XAtqc "$sql"`); return $value }
my ($project, $source) = split /\|/, value('SELECT project_uuid, project_dbt_source_uuid FROM project_dbt_sources
	WHERE project_uuid = uuid_of(1, 0) AND NOT is_primary');
my $envelope = value("SELECT dbt_connection FROM floor_sources WHERE project_dbt_source_uuid = '$source'");

# a statement to prepare, and parameters for it in turn
my $patch = "(jsonb) AS SELECT update_project_dbt_source('$project', '$source', \$1)";
my @contenders = map { my $left_out = $_; [ $patch, map { value("SELECT jsonb_build_object('name', '$_', 'dbtConnection', connection('main')) #- '$left_out'") } 'one', 'two' ] }
  '{}', '{dbtConnection,personal_access_token}';
push @contenders, [ "(text, text, text) AS UPDATE floor_sources SET name = \$1, dbt_connection_type = \$2, dbt_connection = \$3, updated_at = now() " .
	"WHERE project_uuid = '$project' AND project_dbt_source_uuid = '$source' RETURNING project_dbt_source_uuid, name, is_primary, precedence, dbt_connection_type",
	map { "$_', 'github', '$envelope" } 'one', 'two' ];
system("pg_ctl -D $data -m fast -w stop >/dev/null") == 0 or die;

my $counted = 0;

# instructions by function, those that it calls included
sub count
{
	my ($contender, $executions) = @_;
	progress('instructions, under valgrind', ++$counted, 2 * @contenders);
	my ($prepare, @parameters) = @$contender;
	open my $fh, '>', "$folder/sql" or die $!;
	print $fh "SET synchronous_commit = off\nPREPARE p$prepare\n";
	print $fh "EXECUTE p('$parameters[ $_ % 2 ]')\n" for 1 .. $executions;
	close $fh;
	system("valgrind --tool=callgrind --callgrind-out-file=$folder/out postgres --single -D $data postgres <$folder/sql >$folder/log 2>&1") == 0
	  or die `tail $folder/log`;
	my %count;
	for (`callgrind_annotate --inclusive=yes --threshold=100 --auto=no $folder/out`)
	{
		$count{$2} //= $1 =~ tr/,//dr if /^\s*([\d,]+) \([^)]*\)\s+\S*?(\w+)(?:\.\w+)* \[/;
	}
	return %count;
}

my @each = map {
	my %few = count($_, 100);
	my %many = count($_, 300);
	sub { my ($function) = @_; return (($many{$function} // 0) - ($few{$function} // 0)) / 200 };
} @contenders;
my @whole = map { $_->($statement) } @each;
my @function = map { $_->($whole) } @each[ 0, 1 ];

clear_progress();
print "\n";
printf "%-50s %20s %20s %12s\n", 'instructions', 'patch', 'token kept', 'floor';
printf "%-50s %12.0f %20.0f %20.0f\n", 'the statement, its parameters included', @whole;
my $row = sub { my ($name, @counts) = @_; printf "%-50s" . ' %12.0f %5.1f %%' x 2 . "\n", $name, map { $counts[$_], 100 * $counts[$_] / $function[$_] } 0, 1 };
$row->('the function', @function);
my @rest = @function;
for my $part (@parts)
{
	my ($name, @functions) = @$part;
	my @counts = map { my $count = $_; sum(map { $count->($_) } @functions) } @each[ 0, 1 ];
	$row->("    $name", @counts);
	$rest[$_] -= $counts[$_] for 0, 1;
}
$row->('    all else', @rest);
