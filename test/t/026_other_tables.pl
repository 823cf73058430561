# Tables of the name project_dbt_sources that aren't the functions': those that an
# extension has left behind need their keys, and nobody's can do harm.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('others');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# what a call says; nothing here may take for ever
sub said
{
	my ($sql, $database) = @_;
	my ($stdout, $stderr);
	$node->psql($database // 'postgres', $sql, stdout => \$stdout, stderr => \$stderr,
		extra_params => [ '-v', 'VERBOSITY=verbose' ], timeout => $PostgreSQL::Test::Utils::timeout_default);
	return $stdout . $stderr;
}

# a session that has run something, and then waits
sub session
{
	my ($sql, $database) = @_;
	my ($in, $out) = ("$sql;\n\\echo there\n", '');
	my $psql = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr($database) ], '<', \$in, '>', \$out;
	$psql->pump until $out =~ /there/;
	return [ $psql, \$in ];
}

sub end
{
	my ($psql, $in) = @{ $_[0] };
	$$in .= "\\q\n";
	$psql->finish;
	return;
}

sub rotated
{
	my $old = sql('SELECT kid FROM encryption_keys() WHERE active');
	sql('SELECT rotate_encryption_key(); SELECT reencrypt_dbt_connections()');
	return $old;
}

sql("CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('$project', 'one'); SELECT rotate_encryption_key();
	SELECT set_project_dbt_connection('$project', '{\"type\": \"none\"}');
	CREATE ROLE stranger; CREATE DATABASE elsewhere OWNER stranger");
my $envelope = sql('SELECT dbt_connection FROM project_dbt_sources');

# in each of two databases, as a stranger: %s is of the table
my $columns = 'project_uuid uuid, project_dbt_source_uuid uuid, dbt_connection text';
my $looks_alike = "CREATE TABLE stranger.p (id uuid PRIMARY KEY); INSERT INTO stranger.p VALUES ('$project');
	CREATE TABLE stranger.project_dbt_sources ($columns, FOREIGN KEY (project_uuid) REFERENCES stranger.p);
	INSERT INTO stranger.project_dbt_sources VALUES ('$project', '$project', 'no envelope');";
for my $database ('postgres', 'elsewhere')
{
	my $there = qr/table stranger\.project_dbt_sources/i;
	my $table = 'stranger.project_dbt_sources';
	sql('CREATE SCHEMA stranger AUTHORIZATION stranger', $database);
	my $as_stranger = 'SET ROLE stranger;';
	my $old = rotated();
	my $remove = "SELECT remove_encryption_key('$old')";

	# what enable_dbt_sources() didn't make
	sql("$as_stranger CREATE TABLE $table ($columns); INSERT INTO $table VALUES ('$project', '$project', 'no envelope');
		REVOKE ALL ON $table FROM stranger", $database);
	unlike(said('SELECT * FROM encryption_keys()'), qr/WARNING|ERROR/, "$database: a table without the foreign key isn't counted");
	unlike(said($remove), qr/ERROR/, 'and holds up no removal');
	sql("$as_stranger DROP TABLE $table", $database);

	# what looks as if it had
	$old = rotated();
	$remove = "SELECT remove_encryption_key('$old')";
	sql("$as_stranger $looks_alike", $database);
	like(said($remove), qr/55006: .*may be in use.*1 connection in database "$database", $there, does not say.*HINT:.*drop or rename/s,
		'one that has it is named');
	sql("UPDATE $table SET dbt_connection = '$envelope'", $database);
	unlike(said($remove), qr/ERROR/, "and isn't in the way if it needs another key");
	$old = rotated();
	$remove = "SELECT remove_encryption_key('$old')";
	sql("UPDATE $table SET dbt_connection = (SELECT convert_from(decode(rpad(translate(h, '-_', '+/'), (length(h) + 3) / 4 * 4, '='), 'base64'), 'UTF8')
		FROM split_part('$envelope', '.', 1) h)", $database);
	sql("UPDATE $table SET dbt_connection = rtrim(translate(encode(convert_to(regexp_replace(dbt_connection, '\"kid\": *\"[^\"]*\"', '\"kid\":\"$old\"'), 'UTF8'), 'base64'),
		E'+/\\n', '-_'), '=') || '....'", $database);
	like(said($remove), qr/55006: .*is in use.*1 connection in database "$database", $there\..*HINT:.*drop or rename/s, 'or that needs the key');
	is(sql('SELECT connections FROM encryption_keys() WHERE NOT active'), 1, 'and is counted') if $database eq 'postgres';

	# nobody needs its owner's leave
	sql("$as_stranger REVOKE ALL ON $table FROM stranger; REVOKE ALL ON SCHEMA stranger FROM stranger", $database);
	like(said($remove), qr/55006: .*is in use.*$there/s, 'who revokes their own rights changes nothing');
	sql("GRANT ALL ON SCHEMA stranger TO stranger; GRANT ALL ON $table TO stranger", $database);

	# nothing of it runs, be it while it is planned
	sql("$as_stranger CREATE SEQUENCE stranger.ran; CREATE FUNCTION stranger.run(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
		\$\$ BEGIN PERFORM nextval('stranger.ran'); PERFORM dblink_connect('x'); RETURN true; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'it ran'; RETURN true; END \$\$;
		ALTER TABLE $table ADD CHECK (stranger.run(1)) NOT VALID, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		CREATE POLICY never ON $table USING (false);
		CREATE INDEX ON $table (dbt_connection) WHERE dbt_connection IS NOT NULL OR stranger.run(2)", $database);
	my $offset = -s $node->logfile;
	like(said($remove), qr/55006: .*is in use.*$there/s, 'a policy hides nothing');
	unlike(slurp_file($node->logfile, $offset), qr/it ran/, 'and nothing of the table runs');

	# nobody waits for it
	my $locker = session("SET ROLE stranger; BEGIN; LOCK TABLE $table", $database);
	like(said($remove), qr/55006: .*may be in use.*$there in database "$database" could not be read.*Somebody has locked it/s, 'one that is locked is named');
	like(said('SELECT kid FROM encryption_keys() WHERE active'), qr/WARNING.*$there is not counted.*locked/s, 'and not waited for') if $database eq 'postgres';
	end($locker);

	# a server that never answers, behind a foreign table
	SKIP:
	{
		skip 'there is no postgres_fdw', 1 unless sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'");
		sql("CREATE EXTENSION postgres_fdw; CREATE SERVER silent FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere'); CREATE USER MAPPING FOR PUBLIC SERVER silent;
			GRANT USAGE ON FOREIGN SERVER silent TO stranger;
			SET ROLE stranger; CREATE FOREIGN TABLE stranger.far () INHERITS ($table) SERVER silent", $database);
		like(said($remove), qr/55006: .*is in use.*$there/s, 'nor is a foreign table asked');
		sql('DROP EXTENSION postgres_fdw CASCADE', $database);
	}
	sql("DROP OWNED BY stranger CASCADE", $database);
	unlike(said($remove), qr/ERROR/, 'without it the key goes');
}

# the table that the functions use: whoever can't read it is told so
my $old = rotated();
sql('CREATE ROLE app; ALTER TABLE project_dbt_sources OWNER TO app; REVOKE ALL ON project_dbt_sources FROM app');
like(said("SELECT remove_encryption_key('$old')"), qr/55006: .*may be in use.*Table public\.project_dbt_sources in database "postgres" could not be read.*owner may not read it.*HINT/s,
	'the removal refuses what cannot be read');
like(said('SELECT count(*) FROM encryption_keys()'), qr/WARNING.*public\.project_dbt_sources is not counted.*owner may not/s, 'the keys are there all the same');
my $keyring = $node->data_dir . '/dbt_sources.jwks';
rename $keyring, "$keyring.away" or die $!;
like(said('SELECT rotate_encryption_key()'), qr/55000: the keyring is missing.*public\.project_dbt_sources.*could not be read/s, 'nor is a keyring begun anew');
rename "$keyring.away", $keyring or die $!;
sql('GRANT ALL ON project_dbt_sources TO app');
unlike(said("SELECT remove_encryption_key('$old')"), qr/ERROR/, 'it goes when it can be read');

# what the extension has left behind
sql('DROP EXTENSION dbt_sources; CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt');
$old = sql('SELECT kid FROM dbt.encryption_keys() WHERE active');
sql('SELECT dbt.rotate_encryption_key()');
like(said("SELECT dbt.remove_encryption_key('$old')"), qr/55006.*It holds 1 connection in database "postgres", table public\.project_dbt_sources.*install the extension in its schema/s,
	'a table in another schema needs its key');

# a lock on the functions' own table in another database is waited for, as long as the caller says
sql("CREATE EXTENSION dbt_sources CASCADE; CREATE TABLE projects (project_uuid uuid PRIMARY KEY); SELECT enable_dbt_sources('projects')", 'elsewhere');
sql('DROP TABLE public.project_dbt_sources');
my $locker = session('BEGIN; LOCK TABLE project_dbt_sources', 'elsewhere');
$old = sql('SELECT kid FROM dbt.encryption_keys() WHERE NOT active');
like(said("SET lock_timeout = '200ms'; SELECT dbt.remove_encryption_key('$old')"), qr/55000: could not find out whether database "elsewhere" needs/, 'lock_timeout holds there, too');
end($locker);
sql('ALTER DATABASE elsewhere SET default_transaction_isolation = serializable; ALTER DATABASE elsewhere SET default_transaction_deferrable = on;
	ALTER DATABASE elsewhere SET default_transaction_read_only = on');
my $writer = session('BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; SELECT pg_current_xact_id()', 'elsewhere');
like(said("SET lock_timeout = '200ms'; SELECT dbt.remove_encryption_key('$old')"), qr/55P03/, "another database's defaults don't have the worker wait");
end($writer);
unlike(said("SELECT dbt.remove_encryption_key('$old')"), qr/ERROR/, 'nor fail');

$node->stop;
done_testing();
