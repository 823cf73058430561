# The key is rotated between two steps of who encrypts: which one is the active
# key, and to hold that.
use strict;
use warnings;

use Cwd qw(getcwd);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $module = $ENV{TEST_UNITS} // getcwd() . '/test/modules/test_units/test_units.so';
my $node = PostgreSQL::Test::Cluster->new('keylock');
$node->init;
$node->start;
my $old = $node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE FUNCTION test_hold_key(text) RETURNS void AS '$module' LANGUAGE C;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY); SELECT enable_dbt_sources('projects') \\gset
	INSERT INTO projects VALUES ('11111111-1111-4111-8111-111111111111');
	SELECT rotate_encryption_key()");

# a session, which goes on while another waits
sub session
{
	my %session = (in => '', out => '');
	$session{psql} = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$session{in}, '>', \$session{out}, '2>&1';
	return \%session;
}
sub start_sql { my ($session, $sql) = @_; $session->{in} .= "$sql\n"; $session->{psql}->pump_nb; return }
sub ask
{
	my ($session, $sql) = @_;
	start_sql($session, "$sql;\n\\echo told");
	$session->{psql}->pump until $session->{out} =~ s/(.*)told\n//s;
	return $1;
}

my $removal = session();
my $writer = session();
ask($removal, "BEGIN; SELECT test_hold_key('$old')");
start_sql($writer, "BEGIN; SELECT set_project_dbt_connection('11111111-1111-4111-8111-111111111111', '{\"type\": \"none\"}') ->> 'type';");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND classid = 'pg_extension'::regclass") or die;
my $new = $node->safe_psql('postgres', 'SELECT rotate_encryption_key()');
ask($removal, 'COMMIT');
like(ask($writer, "SELECT count(*) || ' held' FROM pg_locks WHERE pid = pg_backend_pid() AND classid = 'pg_extension'::regclass"),
	qr/^none\n1 held$/, 'who waited encrypts, and holds one key');
ask($writer, 'COMMIT');
is($node->safe_psql('postgres', 'SELECT kid, connections FROM encryption_keys()'), "$new|1\n$old|0", 'but the new one');
for my $session ($removal, $writer)
{
	$session->{in} .= "\\q\n";
	$session->{psql}->finish;
}

done_testing();
