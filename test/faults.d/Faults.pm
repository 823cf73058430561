# What the faults have in common: telling the shim what is to fail, an application
# that notes what was acknowledged, and a look at everything afterwards.
package Faults;
use strict;
use warnings;

use DBI;
use Errno ();
use Exporter 'import';
use POSIX ();
use Test::More;

our @EXPORT = qw(arm disarm session sql try_sql large update rotate_out set_up broken shows keyring_keys $project $keys $keyring $work);

our $work = $ENV{FAULTS_WORK};
our $keys = "$work/keys";
our $keyring = "$keys/keyring.jwks";
our $project = '11111111-1111-4111-8111-111111111111';

my $generation = 0;
my $log_read = -s "$work/log" // 0;
my $n = 0;
my %expected;    # of a source: the branch that it has
my %unsure;      # or the one that it may have, as nobody was there any more to say
my %secrets;     # all keys that there were

srand $ENV{FAULTS_SEED};

# struct Control of shim.c
my $layout = 'l6 q Z64 Z4096';

sub write_control
{
	my (%fault) = @_;
	open my $fh, '+<', "$work/control" or die $!;
	syswrite $fh, pack $layout, $fault{call} ? ++$generation : 0, $fault{nth} // 0, $fault{error} // 0, $fault{pid} // 0, 0, 0,
	  $fault{seconds} // 0, $fault{call} ? " $fault{call} " : '', $fault{path} // $keys;
	close $fh;
	return;
}

sub arm { return write_control(@_) }

# how many calls have failed, and how many there were
sub disarm
{
	open my $fh, '<', "$work/control" or die $!;
	read $fh, my $control, 24;
	close $fh;
	write_control();
	return (unpack 'l6', $control)[ 4, 5 ];
}

sub session
{
	return DBI->connect('dbi:Pg:', '', '', { RaiseError => 0, PrintError => 0, PrintWarn => 0, AutoCommit => 1 })
	  // die "no session: $DBI::errstr";
}

sub sql
{
	my ($sql, @arguments) = @_;
	my $dbh = session();
	my ($value) = $dbh->selectrow_array($sql, undef, @arguments);
	die "$sql: " . $dbh->errstr if $dbh->err;
	$dbh->disconnect;
	return $value;
}

# SQLSTATE ('' if there is no error), what was said, and the value
sub try_sql
{
	my ($dbh, $sql, @arguments) = @_;
	my ($value) = $dbh->selectrow_array($sql, undef, @arguments);
	return $dbh->err ? ($dbh->state, $dbh->errstr, undef) : ('', '', $value);
}

sub body
{
	my ($branch, $more) = @_;
	return qq({"dbtConnection": {"type": "gitlab", "repository": "r", "branch": "$branch", "project_sub_path": "/", "personal_access_token": "sesame-$branch") .
	  ($more // '') . '}}';
}

# What makes a connection of at least that many bytes; ciphertext doesn't compress.
sub large
{
	my ($size) = @_;
	return ', "padding": "' . 'x' x $size . '"';
}

# Change a source; what is acknowledged is expected from then on.
sub update
{
	my ($dbh, $more) = @_;
	my @sources = sort keys %expected;
	my $source = $sources[ ++$n % @sources ];
	my ($state, $said) = try_sql($dbh, q{SELECT update_project_dbt_source(?, ?, ?) ->> 'branch'}, $project, $source, body("b$n", $more));
	$expected{$source} = "b$n" if $state eq '';
	$unsure{$source} = "b$n" if $state ne '' && !$dbh->ping;
	return ($state, $said);
}

sub keyring_keys
{
	open my $fh, '<', $keyring or return;
	local $/;
	return <$fh> =~ /"k": "([^"]*)"/g;
}

sub set_up
{
	if (!sql('SELECT count(*) FROM projects'))
	{
		sql('INSERT INTO projects VALUES (?) RETURNING 1', $project);
		sql(q{SELECT create_project_dbt_source(?, jsonb_set(?, '{name}', to_jsonb('source ' || ?::text)))}, $project, body('b0'), $_) for 1 .. 20;
	}
	my $dbh = session();
	%expected = map { @$_ } @{ $dbh->selectall_arrayref(q{SELECT project_dbt_source_uuid, project_dbt_connection(project_uuid, project_dbt_source_uuid) ->> 'branch'
		FROM project_dbt_sources WHERE dbt_connection IS NOT NULL}) };
	die 'no sources' if !%expected;
	# small again, whatever the fault before has made of them
	update($dbh, ', "padding": null') for 1 .. keys %expected;
	$dbh->do('VACUUM FULL project_dbt_sources') or die $dbh->errstr;
	$dbh->disconnect;
	return;
}

# A key that may be removed.
sub rotate_out
{
	my $old = sql('SELECT kid FROM encryption_keys() WHERE active');
	sql('SELECT rotate_encryption_key()');
	my $dbh = session();
	$dbh->do('CALL reencrypt_all_dbt_connections()');
	$dbh->disconnect;
	return $old;
}

# On a terminal, how far it is.
sub shows
{
	my ($text) = @_;
	return if !-t STDOUT;
	local $| = 1;
	print "\r\033[K", substr($text, 0, 79);
	return;
}

sub log_since
{
	open my $fh, '<', "$work/log" or die $!;
	seek $fh, $log_read, 0;
	local $/;
	my $new = <$fh> // '';
	$log_read = tell $fh;
	return $new;
}

# What is wrong after a fault, in words; and what the log says of it.
sub broken
{
	my ($said) = @_;
	my @broken;
	my $dbh = session();
	my $rows = $dbh->selectall_arrayref(q{SELECT project_dbt_source_uuid, c ->> 'branch', c ->> 'personal_access_token'
		FROM project_dbt_sources, project_dbt_connection(project_uuid, project_dbt_source_uuid) c WHERE dbt_connection IS NOT NULL});
	push @broken, 'the connections: ' . $dbh->errstr if $dbh->err;
	push @broken, @{ $rows // [] } . ' of ' . keys(%expected) . ' connections are there' if @{ $rows // [] } != keys %expected;
	for my $row (@{ $rows // [] })
	{
		my ($source, $branch, $token) = @$row;
		$expected{$source} = $branch if $branch eq ($unsure{$source} // '');
		push @broken, "$source has $branch, $expected{$source} was acknowledged" if $branch ne $expected{$source};
		push @broken, "$source: $branch and $token don't agree" if $token ne "sesame-$branch";
	}
	my ($kids) = $dbh->selectrow_array('SELECT sum(connections) FROM encryption_keys()');
	push @broken, "$kids connections have a key" if ($kids // -1) != keys %expected;
	$dbh->disconnect;

	my @files = map { s{.*/}{}r } glob "$keys/*";
	push @broken, "the keyring's folder has: @files" if "@files" ne 'keyring keyring.jwks' || !-l "$keys/keyring";
	push @broken, sprintf "the keyring's mode is %o", (stat $keyring)[2] & 07777 if ((stat $keyring)[2] & 07777) != 0600;
	$secrets{$_} = 1 for keyring_keys();
	push @broken, 'the keyring has no whole key' if !keyring_keys() || grep { length != 86 } keyring_keys();

	my $log = log_since();
	push @broken, "in the log: $1" if $log =~ /(.*sesame.*)/;
	push @broken, 'a key is in the log' if grep { index($log, $_) >= 0 } keys %secrets;
	push @broken, 'a client was told a secret' if ($said // '') =~ /sesame/ || grep { index($said // '', $_) >= 0 } keys %secrets;
	push @broken, "in the log: $1" if $log =~ /(.*(?:PANIC|TRAP|was terminated by signal).*)/;
	return (join("\n", @broken), $log);
}

1;
