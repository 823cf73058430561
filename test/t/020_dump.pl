# What users have made of their tables is the same after a dump and a restore,
# however that is done, and after an upgrade; and so is what a tenant may do.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($mine, $theirs) = ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $roles = 'CREATE ROLE app; CREATE ROLE tenant; CREATE ROLE worker; CREATE ROLE auditor;';

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', $roles);

# all that users can add, to a table of projects and to that of the sources
my $additions = q{
	GRANT SELECT, UPDATE (name) ON %1$s.projects TO tenant;
	GRANT SELECT (project_uuid) ON %1$s.projects TO worker;
	ALTER TABLE %1$s.projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY mine_view ON %1$s.projects FOR SELECT TO tenant USING (current_setting('app.tenant', true) = owner);
	CREATE POLICY mine_manage ON %1$s.projects FOR UPDATE TO tenant USING (current_setting('app.tenant', true) = owner);
	CREATE POLICY all_of_worker ON %1$s.projects FOR SELECT TO worker USING (true);
	COMMENT ON POLICY mine_view ON %1$s.projects IS 'a policy';

	CREATE TABLE audit.entries (source uuid, name text, by name DEFAULT session_user);
	ALTER TABLE audit.entries OWNER TO app;
	CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SET search_path = audit, pg_temp
		AS $$ BEGIN INSERT INTO entries VALUES (NEW.project_dbt_source_uuid, NEW.name); RETURN NEW; END $$;
	ALTER TABLE dbt.project_dbt_sources
		ADD note text DEFAULT 'none' NOT NULL,
		ADD CONSTRAINT polite CHECK (name <> 'rude'),
		ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY auditors ON dbt.project_dbt_sources FOR SELECT TO auditor USING (NOT is_primary);
	CREATE INDEX by_type ON dbt.project_dbt_sources (dbt_connection_type) WHERE NOT is_primary;
	CREATE TRIGGER note AFTER INSERT OR UPDATE OF name ON dbt.project_dbt_sources FOR EACH ROW EXECUTE FUNCTION audit.note();
	GRANT SELECT (project_uuid, name) ON dbt.project_dbt_sources TO auditor;
	COMMENT ON TABLE dbt.project_dbt_sources IS 'commented anew';
	COMMENT ON COLUMN dbt.project_dbt_sources.note IS 'a column of ours';
	COMMENT ON CONSTRAINT polite ON dbt.project_dbt_sources IS 'a constraint of ours';
	COMMENT ON TRIGGER note ON dbt.project_dbt_sources IS 'a trigger of ours';
	GRANT EXECUTE ON FUNCTION dbt.project_dbt_connection TO worker;
	GRANT USAGE ON SCHEMA dbt, %1$s TO tenant, worker, auditor;};

$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE SCHEMA dbt AUTHORIZATION app;
	CREATE SCHEMA "The app" AUTHORIZATION app;
	CREATE SCHEMA audit AUTHORIZATION app;
	CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SET ROLE app;
	CREATE TABLE "The app".projects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, owner text NOT NULL, project_uuid uuid UNIQUE NOT NULL);
	SELECT dbt.enable_dbt_sources('"The app".projects', 'project_uuid');
	RESET ROLE;
	SELECT dbt.rotate_encryption_key();}
	  . sprintf($additions, '"The app"') . qq{
	INSERT INTO "The app".projects (name, owner, project_uuid) VALUES ('one', 'me', '$mine'), ('two', 'them', '$theirs');
	SELECT dbt.create_project_dbt_source(project_uuid, '{"name": "a", "dbtConnection": {"type": "gitlab",
		"personal_access_token": "sesame", "repository": "r", "branch": "b", "project_sub_path": "/"}}') FROM "The app".projects;});
my $source = $node->safe_psql('shop', "SELECT project_dbt_source_uuid FROM dbt.project_dbt_sources WHERE project_uuid = '$theirs' AND NOT is_primary");

# a line for each object and each row, by kind
my %objects = (
	'policies' => q{SELECT p::text FROM pg_policies p},
	'row security' => q{SELECT c.oid::regclass, relrowsecurity, relforcerowsecurity FROM pg_class c WHERE relkind = 'r'},
	'owners' => q{SELECT c.oid::regclass, pg_get_userbyid(relowner) FROM pg_class c WHERE true},
	'grants' => q{SELECT c.oid::regclass, a.grantor::regrole, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner))) a WHERE relkind = 'r'},
	'grants of columns' => q{SELECT c.oid::regclass, attname, a.grantee::regrole, a.privilege_type FROM pg_class c, pg_attribute t, aclexplode(attacl) a WHERE attrelid = c.oid},
	'grants of functions' => q{SELECT c.oid::regprocedure, a.grantee::regrole, a.privilege_type FROM pg_proc c, aclexplode(proacl) a WHERE true},
	'triggers' => q{SELECT pg_get_triggerdef(t.oid), tgenabled FROM pg_trigger t, pg_class c WHERE tgrelid = c.oid AND NOT tgisinternal},
	'indexes' => q{SELECT pg_get_indexdef(c.oid) FROM pg_class c WHERE relkind = 'i'},
	'constraints' => q{SELECT conrelid::regclass, conname, pg_get_constraintdef(t.oid) FROM pg_constraint t, pg_class c WHERE conrelid = c.oid AND contype <> 'n'},
	'columns' => q{SELECT attrelid::regclass, attname, atttypid::regtype, attnotnull, attgenerated, attstorage FROM pg_attribute, pg_class c
		WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND relkind = 'r'},
	'comments' => q{SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description, pg_class c
		WHERE classoid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass) AND c.oid = 'pg_class'::regclass
		AND objoid >= 16384},
	'functions' => q{SELECT c.oid::regprocedure, prosrc, proconfig FROM pg_proc c WHERE true},
	'rows' => q{SELECT s::text FROM dbt.project_dbt_sources s},
	'other rows' => q{SELECT e::text FROM audit.entries e});

sub state_of
{
	my ($node, $database) = @_;
	my $ours = q{IN (SELECT oid FROM pg_namespace WHERE nspname IN ('dbt', 'The app', 'audit', 'public'))};
	return map {
		my $query = $objects{$_};
		$query .= " AND relnamespace $ours" if $query =~ /pg_class c\b.*WHERE/s && $query !~ /objoid >=/;
		$query .= " AND pronamespace $ours" if $query =~ /pg_proc c/;
		$_ => join("\n", sort split /\n/, $node->safe_psql($database, $query));
	} keys %objects;
}

# a tenant's requests, as their status: of their own project, and of another
sub requests_of
{
	my ($node, $database) = @_;
	my $routes = join ' UNION ALL ', map {
		my ($project, $method, $path, $body) = @$_;
		"SELECT status FROM dbt.http_request('$method', '/api/v1/projects/$project/dbt-sources$path', $body)"
	  }
	  [ $mine, 'GET', '', 'NULL' ], [ $mine, 'PATCH', "/$mine", q{'{"name": "mine"}'} ],
	  [ $theirs, 'GET', '', 'NULL' ], [ $theirs, 'GET', "/$source", 'NULL' ], [ $theirs, 'PATCH', "/$source", q{'{"name": "taken over"}'} ],
	  [ $theirs, 'DELETE', "/$source", 'NULL' ];
	my (undef, $out, $err) = $node->psql($database, "BEGIN; SET app.tenant = 'me'; SET ROLE tenant; $routes; ROLLBACK");
	return join ' ', split /\n/, $out || $err;
}

my %before = state_of($node, 'shop');
my $requests = '200 200 404 404 404 404';
is(requests_of($node, 'shop'), $requests, 'a tenant sees and manages their own project only');
like($before{policies}, qr/mine_view.*all_of_worker|all_of_worker.*mine_view/s, 'there are policies to lose');

sub same_as_before
{
	my ($node, $database, $how) = @_;
	my %after = state_of($node, $database);

	is($after{$_}, $before{$_}, "$how: $_") for sort keys %objects;
	is(requests_of($node, $database), $requests, "$how: the tenant's requests");
	is($node->safe_psql($database, "SELECT dbt.project_dbt_connection('$theirs', '$source') ->> 'personal_access_token'"),
		'sesame', "$how: it decrypts");
}

sub dump_to { my ($name, @options) = @_; command_ok([ 'pg_dump', @options, '-f', "$folder/$name", '-d', $node->connstr('shop') ], "pg_dump: $name") }
sub restore_from
{
	my ($name, $how, @options) = @_;
	(my $database = $how) =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok([ 'pg_restore', '--exit-on-error', @options, '-d', $node->connstr($database), "$folder/$name" ], "pg_restore: $how");
	same_as_before($node, $database, $how);
}

dump_to('custom', '-Fc');
unlike(slurp_file("$folder/custom"), qr/sesame/, 'without the token');
restore_from('custom', 'custom');
restore_from('custom', 'custom, parallel', '-j4');
dump_to('directory', '-Fd', '-j4');
restore_from('directory', 'directory, parallel', '-j4');
restore_from('directory', 'directory');

dump_to('plain.sql');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$folder/plain.sql" ], 'psql: plain');
same_as_before($node, 'plain', 'plain');

$node->safe_psql('postgres', 'CREATE DATABASE halves');
for my $half ('schema', 'data')
{
	# or the data would be noted by the trigger again
	dump_to("$half.sql", "--$half-only", $half eq 'data' ? '--disable-triggers' : ());
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('halves'), '-f', "$folder/$half.sql" ], "psql: $half");
}
same_as_before($node, 'halves', 'schema, then data');

# a whole cluster
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
command_ok([ 'pg_dumpall', '--no-sync', '-f', "$folder/all.sql", '-d', $node->connstr('postgres') ], 'pg_dumpall');
system('psql', '-Xq', '-o', "$folder/all.out", '-d', $other->connstr('postgres'), '-f', "$folder/all.sql");
system('cp', '-p', $node->data_dir . '/dbt_sources.jwks', $other->data_dir);
same_as_before($other, 'shop', 'pg_dumpall');

# where policies get lost, nobody gets more: row security stays on, or there are no grants either
command_ok([ 'sh', '-c', "pg_restore -l $folder/custom | grep -v ' POLICY ' >$folder/list" ], 'a list without policies');
$node->safe_psql('postgres', 'CREATE DATABASE unruly');
command_ok([ 'pg_restore', '--exit-on-error', '-L', "$folder/list", '-d', $node->connstr('unruly'), "$folder/custom" ], 'restored without policies');
is($node->safe_psql('unruly', 'SELECT count(*) FROM pg_policies'), 0, 'there are none');
is(requests_of($node, 'unruly'), '404 404 404 404 404 404', 'and the tenant sees nothing');
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->start;
$bare->safe_psql('postgres', 'CREATE DATABASE shop');
system('pg_restore', '-d', $bare->connstr('shop'), "$folder/custom");
$bare->safe_psql('postgres', 'CREATE ROLE tenant');
$bare->safe_psql('shop', 'GRANT USAGE ON SCHEMA dbt, "The app" TO tenant');
is(requests_of($bare, 'shop'), '403 403 403 403 403 403', 'nor where the roles were missing');

# an upgrade keeps all of it, and the next dump carries it
for my $version ('0.1.0', '0.2.0')
{
	(my $database = "from $version") =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "CREATE SCHEMA dbt; CREATE SCHEMA audit; CREATE EXTENSION dbt_sources SCHEMA dbt VERSION '$version' CASCADE;
		ALTER TABLE dbt.projects ADD owner text;"
		  . sprintf($additions, 'dbt') . "
		INSERT INTO dbt.projects (name, owner, project_uuid) VALUES ('one', 'me', '$mine'), ('two', 'them', '$theirs')");
	my @row = split /\|/, $node->safe_psql('shop', "SELECT name, precedence, dbt_connection_type, dbt_connection FROM dbt.project_dbt_sources WHERE project_dbt_source_uuid = '$source'");
	$node->safe_psql($database, "INSERT INTO dbt.project_dbt_sources (project_uuid, project_dbt_source_uuid, name, precedence, dbt_connection_type, dbt_connection)
		VALUES ('$theirs', '$theirs', 'Project dbt connection', 0, NULL, NULL), ('$theirs', '$source', '$row[0]', $row[1], '$row[2]', '$row[3]')");
	# until then the new library says what is to be done
	my (undef, undef, $err) = $node->psql($database, "SELECT dbt.list_project_dbt_sources('$theirs')");
	like($err, qr/ALTER EXTENSION dbt_sources UPDATE/, "$version, with the new library: a hint");

	delete $objects{$_} for 'grants of functions', 'functions';
	%before = state_of($node, $database);
	$node->safe_psql($database, "ALTER EXTENSION dbt_sources UPDATE TO '0.2.0'; ALTER EXTENSION dbt_sources UPDATE");
	my %after = state_of($node, $database);
	# there is a column more, with an index
	$after{rows} =~ s/,1\)$/)/mg;
	$after{$_} = join "\n", grep { !/\|version\||column version|_precedence_idx/ } split /\n/, $after{$_} for 'columns', 'comments', 'indexes', 'owners';
	is($after{$_}, $before{$_}, "upgraded from $version: $_") for sort keys %objects;
	is(requests_of($node, $database), $requests, "upgraded from $version: the tenant's requests");
	is($node->safe_psql($database, "SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND classid = 'pg_class'::regclass AND objid >= 16384"),
		0, 'no table is a member');

	%before = state_of($node, $database);
	command_ok([ 'pg_dump', '-Fc', '-f', "$folder/$database", '-d', $node->connstr($database) ], 'pg_dump after an upgrade');
	restore_from($database, "restored after an upgrade from $version", '-j4');
}

$node->stop;
$_->stop for $other, $bare;
done_testing();
