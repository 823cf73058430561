# The recipes for triggers of docs/tables.md: what they note and tell, and that a dump has them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

my $project = '11111111-1111-4111-8111-111111111111';

sub recipe { return join "\n", commands('docs/tables.md', $_[0], 'sql') }

$ENV{PGOPTIONS} = '-c search_path=public,dbt';
my $node = PostgreSQL::Test::Cluster->new('recipes');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', "CREATE ROLE app; CREATE ROLE login LOGIN; CREATE ROLE web; GRANT web TO login;
	GRANT CREATE ON SCHEMA public TO app;
	CREATE SCHEMA dbt; GRANT USAGE ON SCHEMA dbt TO web; GRANT USAGE, CREATE ON SCHEMA dbt TO app;
	CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT rotate_encryption_key();
	SET ROLE app;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
	SELECT enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('$project');
	GRANT SELECT, UPDATE ON projects TO web;" . recipe('An audit trail') . recipe('Tell the worker'));

# a caller's temporary table of the audit's name sees nothing
my $changes = "CREATE TEMP TABLE dbt_audit (operation text, project_uuid uuid, project_dbt_source_uuid uuid, name text);
	GRANT ALL ON dbt_audit TO PUBLIC;
	LISTEN dbt_source_changed;
	SET ROLE web; SET request.jwt.claims = '{\"sub\": \"u1\"}';
	SELECT create_project_dbt_source('$project', '{\"name\": \"a\", \"dbtConnection\": {\"type\": \"none\"}}') ->> 'projectDbtSourceUuid' AS s \\gset
	SELECT update_project_dbt_source('$project', :'s', '{\"name\": \"b\"}');
	SELECT update_project_dbt_source('$project', :'s', '{\"dbtConnection\": {\"type\": \"dbt\"}}');
	SELECT delete_project_dbt_source('$project', :'s');
	SELECT 'temporary', count(*) FROM dbt_audit";
my (undef, $out, $err) = $node->psql('shop', $changes, connstr => $node->connstr('shop') . ' user=login');
is($err, '', 'who manages needs no right on the audit table');
like($out, qr/temporary\|0/, "a caller's table is not taken for it");
my @told = $out =~ /notification "dbt_source_changed" with payload "(.*)" received/g;
is(scalar @told, 4, 'the worker is told of the primary source, the new one and its changes');
like($told[-1], qr/"project" : "$project", "source" : "[0-9a-f-]{36}", "version" : 3/, 'of which one, and its version');

my $entries = "SELECT operation, name, login, role, claims FROM dbt_audit ORDER BY at, operation <> 'INSERT', operation <> 'UPDATE', name";
my $by = 'login|web|{"sub": "u1"}';
my $noted = join "\n", "INSERT|Project dbt connection|$by", "INSERT|a|$by", "UPDATE|b|$by", "UPDATE|b|$by", "DELETE|b|$by";
is(join("\n", sort split /\n/, $node->safe_psql('shop', $entries)), join("\n", sort split /\n/, $noted), 'who did what');
$node->safe_psql('shop', 'SELECT rotate_encryption_key(), reencrypt_dbt_connections()');
is($node->safe_psql('shop', 'SELECT count(*) FROM dbt_audit'), 5, 're-encryption is no change');

command_ok([ 'pg_dump', '-Fc', '-f', $node->basedir . '/dump', '-d', $node->connstr('shop') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $node->basedir . '/dump' ], 'restore');
is($node->safe_psql('restored', "UPDATE projects SET project_uuid = project_uuid; SELECT count(*) FROM dbt_audit;
		SELECT set_project_dbt_connection('$project', '{\"type\": \"none\"}') ->> 'type'; SELECT count(*) FROM dbt_audit"),
	"5\nnone\n6", 'the recipes survive a dump');

$node->stop;
done_testing();
