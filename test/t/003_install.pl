# Databases, schemas, dumps, and what happens to a session when the extension
# moves under it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '11111111-1111-4111-8111-111111111111';
my $node = PostgreSQL::Test::Cluster->new('install');
$node->init;
$node->start;

# a schema of its own, and pgcrypto in another that nobody has on their path
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', "CREATE SCHEMA \"Odd schema\"; CREATE SCHEMA crypto;
	CREATE EXTENSION pgcrypto SCHEMA crypto;
	CREATE EXTENSION dbt_sources SCHEMA \"Odd schema\";
	CREATE TABLE \"The projects\" (\"Id\" serial PRIMARY KEY, \"Its uuid\" uuid UNIQUE);
	SELECT \"Odd schema\".enable_dbt_sources('\"The projects\"', 'Its uuid');
	SELECT \"Odd schema\".rotate_encryption_key();
	INSERT INTO \"The projects\" (\"Its uuid\") VALUES ('$project')");
my $connection = '{"type": "gitlab", "personal_access_token": "sesame", "repository": "r", "branch": "b", "project_sub_path": "/"}';
is($node->safe_psql('shop', "SET search_path = pg_catalog;
		SELECT \"Odd schema\".set_project_dbt_connection('$project', '$connection') ->> 'type'"),
	'gitlab', 'works in any schema');
$node->safe_psql('shop', "SELECT \"Odd schema\".create_project_dbt_source('$project',
	'{\"name\": \"a\", \"dbtConnection\": {\"type\": \"none\"}}')");

# dump and restore
my $list = "SELECT \"Odd schema\".list_project_dbt_sources('$project')";
my $listed = $node->safe_psql('shop', $list);
my $dump = $node->basedir . '/shop.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('shop') ], 'dump');
unlike(slurp_file($dump), qr/sesame/, 'without the token');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'restore');
is($node->safe_psql('restored', $list), $listed, 'the rows are there');
is($node->safe_psql('restored',
		"SELECT \"Odd schema\".project_dbt_connection('$project', '$project') ->> 'personal_access_token'"),
	'sesame', 'and decrypt');

# a session whose extension is moved, dropped and installed again
is($node->safe_psql('restored', qq{
		SELECT "Odd schema".list_project_dbt_sources('$project') -> 0 ->> 'type';
		ALTER SCHEMA "Odd schema" RENAME TO dbt;
		SELECT dbt.list_project_dbt_sources('$project') -> 0 ->> 'type';
		ALTER EXTENSION pgcrypto SET SCHEMA public;
		SELECT dbt.list_project_dbt_sources('$project') -> 0 ->> 'type';
		DROP EXTENSION dbt_sources;
		CREATE EXTENSION dbt_sources SCHEMA dbt;
		SELECT dbt.list_project_dbt_sources('$project') -> 0 ->> 'type';
		DROP EXTENSION dbt_sources;
		CREATE EXTENSION dbt_sources SCHEMA public;
		SELECT enable_dbt_sources('"The projects"', 'Its uuid');
		SELECT set_project_dbt_connection('$project', '{"type": "none"}') ->> 'type';
		DROP EXTENSION pgcrypto CASCADE;
		CREATE EXTENSION dbt_sources CASCADE;
		SELECT list_project_dbt_sources('$project') -> 0 ->> 'type';
		SELECT set_project_dbt_connection('$project', '{"type": "dbt"}') ->> 'type';
		SELECT project_dbt_connection('$project', '$project') ->> 'type';}),
	join("\n", 'gitlab', 'gitlab', 'gitlab', 'gitlab', 'project_dbt_sources', 'none', 'none', 'dbt', 'dbt'),
	'a session follows the extension');

# not by SET SCHEMA, which would leave the table behind, but by who says where each goes
my ($status, undef, $stderr) = $node->psql('shop', 'CREATE SCHEMA moved; ALTER EXTENSION dbt_sources SET SCHEMA moved');
is($status, 3, 'SET SCHEMA is refused');
like($stderr, qr/extension "dbt_sources" does not support SET SCHEMA/, 'in words');
is($node->safe_psql('shop', qq{
		BEGIN;
		DROP EXTENSION dbt_sources;
		ALTER TABLE "Odd schema".project_dbt_sources SET SCHEMA moved;
		CREATE EXTENSION dbt_sources SCHEMA moved;
		COMMIT;
		SELECT moved.project_dbt_connection('$project', '$project') ->> 'personal_access_token'}),
	'sesame', 'moved by hand');

# rows are UTF-8 inside, whatever the database's encoding is
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
my $latin = $node->safe_psql('latin', "SET client_encoding = 'UTF8'; CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
	INSERT INTO projects VALUES ('$project');
	SELECT enable_dbt_sources('projects') AS x \\gset
	SELECT set_project_dbt_connection('$project', '{\"type\": \"dbt\", \"target\": \"Gr\xc3\xbc\xc3\x9fe\"}') ->> 'type';
	SELECT project_dbt_connection('$project', '$project') ->> 'target' = U&'Gr\\00FC\\00DFe';
	SELECT dbt_connection FROM project_dbt_sources");
like($latin, qr/^dbt\nt\neyJ/, 'a LATIN1 database');
is($node->safe_psql('latin', "SET client_encoding = 'UTF8';
		SELECT body #> '{error,data,0}' FROM unnest(ARRAY['{\"name\": \"\\u20ac\"}', '{\"\xc3\xbc\": 1e999999}']) sent,
			http_request('POST', '/api/v1/projects/$project/dbt-sources', sent)"),
	qq({"path": "body", "message": "must not have characters that the encoding of the database lacks"}\n)
	  . qq({"path": "\\"\xc3\xbc\\"", "message": "must be a number in the range of a double (5e-324 to 1.8e308), of at most 400 digits"}),
	'which says what it cannot hold');
# where any bytes are text, those that are none of UTF-8 aren't, and aren't named
$node->safe_psql('postgres', "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
my ($out, $said);
(undef, $out, $said) = $node->psql('bytes', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
	INSERT INTO projects VALUES ('$project');
	SELECT enable_dbt_sources('projects') AS x \\gset
	SELECT body #> '{error,data,0}' FROM http_request('POST', '/api/v1/projects/$project/dbt-sources', '{\"name\": \"\xe9sesame\"}');
	BEGIN; SELECT count(set_config('request.headers', '{\"x-original-method\": \"GET\", \"x-original-uri\": \"/\xe9\"}', true));
	SELECT postgrest_request('') -> 'error' -> 'statusCode'; COMMIT;
	\\set VERBOSITY verbose
	SELECT set_project_dbt_connection('$project', '{\"type\": \"dbt\", \"target\": \"\xe9sesame\"}')");
is($out, qq({"path": "body", "message": "must be JSON in UTF-8"}\n1\n404), 'a body of other bytes, and headers, in SQL_ASCII');
like($said, qr/ERROR:  22021: dbtConnection has bytes that are not characters of UTF-8/, 'and a connection');
unlike($said, qr/0xe9/, 'no byte is told');
my ($envelope) = $latin =~ /(eyJ\S+)/;
is($node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
		CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
		INSERT INTO projects VALUES ('$project');
		SELECT enable_dbt_sources('projects') AS x \\gset
		INSERT INTO project_dbt_sources VALUES ('$project', '$project', 'x', DEFAULT, 0, 'dbt', '$envelope');
		SELECT project_dbt_connection('$project', '$project') ->> 'target' = U&'Gr\\00FC\\00DFe'"),
	't', 'and a UTF-8 one read the same ciphertext');
$node->safe_psql('postgres', "SELECT set_project_dbt_connection('$project', '{\"type\": \"dbt\", \"target\": \"\\u20ac\"}')");
my $euro = $node->safe_psql('postgres', 'SELECT dbt_connection FROM project_dbt_sources');
is($node->safe_psql('latin', "UPDATE project_dbt_sources SET dbt_connection = '$euro';
		SELECT list_project_dbt_sources('$project') -> 0 -> 'type'"),
	'null', 'what an encoding lacks breaks no list');

# each version's upgrade script ends where a new installation begins
my $objects = q{SELECT string_agg(pg_describe_object(classid, objid, objsubid), E'\n' ORDER BY pg_describe_object(classid, objid, objsubid))
	FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'dbt_sources')};
for my $version (split /\n/, $node->safe_psql('postgres',
		"SELECT version FROM pg_available_extension_versions WHERE name = 'dbt_sources'"))
{
	$node->safe_psql('postgres', 'DROP EXTENSION IF EXISTS dbt_sources; CREATE EXTENSION dbt_sources;
		DROP TABLE IF EXISTS project_dbt_sources, projects');
	my $new = $node->safe_psql('postgres', $objects);
	$node->safe_psql('postgres', "DROP EXTENSION dbt_sources; CREATE EXTENSION dbt_sources VERSION '$version';
		ALTER EXTENSION dbt_sources UPDATE");
	is($node->safe_psql('postgres', $objects), $new, "from $version to the default version");
}

# an extension's script can't make the table, which would be the extension's own
SKIP:
{
	my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
	skip 'extensions cannot be added here', 1 if !-w "$sharedir/extension";
	my %files = (
		'dbt_app.control' => "default_version = '1'\nrequires = 'dbt_sources'\n",
		'dbt_app--1.sql' => "CREATE TABLE dbt_projects (project_uuid uuid PRIMARY KEY); SELECT enable_dbt_sources('dbt_projects');\n");
	for my $name (keys %files)
	{
		open my $fh, '>', "$sharedir/extension/$name" or die $!;
		print $fh $files{$name};
		close $fh;
	}
	my ($status, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION dbt_app', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	unlink map { "$sharedir/extension/$_" } keys %files;
	like($err, qr/55000: enable_dbt_sources\(\) cannot be called by the script of an extension.*DETAIL:  The table would belong to the extension/s, 'not in the script of an extension');
}

$node->stop;
done_testing();
