# How many instructions a patch takes, and where: callgrind counts them in
# single-user mode, for two numbers of patches, and the difference is what one
# takes.  With every secret sent, and with the token kept.  Argument: the data
# directory; stops its server.
use strict;
use warnings;

use File::Temp qw(tempdir);

my ($data) = @ARGV;
my $folder = tempdir(CLEANUP => 1);

# in the order in which a patch goes through them; none is within another
my @parts = (
	['permission', 'RequireManageOfSource'],
	['lock and read of the source', 'LockSource'],
	['base64, HMAC, AES: open the stored connection', 'OpenEnvelope'],
	['parse it', 'JsonFromBytea'],
	['keep what is withheld', 'KeepWithheld'],
	['validate', 'ValidateConnection'],
	['summary', 'MakeSummary'],
	['to JSON', 'JsonToBytea'],
	['AES, HMAC, base64: seal the new connection', 'SealEnvelope'],
	['write the source', 'ReplaceSource']);
my $whole = 'update_project_dbt_source';

my ($project, $source) = split /\|/, `psql -XAtqc "SELECT project_uuid, project_dbt_source_uuid FROM project_dbt_sources
	WHERE project_uuid = uuid_of(1, 0) AND NOT is_primary"`;
chomp $source;
my @bodies;
for my $left_out ('{}', '{dbtConnection,personal_access_token}')
{
	push @bodies, [ map { chomp(my $body = `psql -XAtqc "SELECT jsonb_build_object('name', '$_', 'dbtConnection', connection('main')) #- '$left_out'"`); $body } 'one', 'two' ];
}
system("pg_ctl -D $data -m fast -w stop >/dev/null") == 0 or die;

# instructions by function, those that it calls included
sub count
{
	my ($bodies, $patches) = @_;
	open my $fh, '>', "$folder/sql" or die $!;
	print $fh "SET synchronous_commit = off\nPREPARE p(jsonb) AS SELECT update_project_dbt_source('$project', '$source', \$1)\n";
	print $fh "EXECUTE p('$bodies->[ $_ % 2 ]')\n" for 1 .. $patches;
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
} @bodies;
my @total = map { $_->($whole) } @each;
my @rest = @total;

print "\n";
my $row = sub { my ($name, @counts) = @_; printf "%-50s" . ' %12.0f %5.1f %%' x 2 . "\n", $name, map { $counts[$_], 100 * $counts[$_] / $total[$_] } 0, 1 };
printf "%-50s %12s %20s\n", '', 'patch', 'token kept';
$row->('instructions', @total);
for my $part (@parts)
{
	my @counts = map { $_->($part->[1]) } @each;
	$row->("    $part->[0]", @counts);
	$rest[$_] -= $counts[$_] for 0, 1;
}
$row->('    all else', @rest);
