# A distributed database runs a kept plan only if it leads to one node: one
# table, its keys equal to parameters, nothing nested.  auto_explain shows what
# the functions run.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($p, $q) = ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');
my $node = PostgreSQL::Test::Cluster->new('statements');
$node->init;
$node->append_conf('postgresql.conf', q{
	shared_preload_libraries = 'auto_explain'
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on});
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION dbt_sources CASCADE;
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY);
	SELECT enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('$p'), ('$q');
	SELECT rotate_encryption_key();
	CREATE ROLE manager;
	GRANT SELECT, UPDATE ON projects TO manager");

my $gitlab = '"type": "gitlab", "repository": "r", "project_sub_path": "/"';
my $offset = -s $node->logfile;
$node->safe_psql('postgres', "
	SET ROLE manager;
	SELECT create_project_dbt_source('$p', '{\"name\": \"a\", \"dbtConnection\": {$gitlab, \"branch\": \"a\", \"personal_access_token\": \"t\"}}') ->> 'projectDbtSourceUuid' AS s \\gset
	SELECT update_project_dbt_source('$p', :'s', '{\"name\": \"b\"}'), get_project_dbt_source('$p', :'s'), list_project_dbt_sources('$p');
	SELECT update_project_dbt_source('$p', :'s', '{\"dbtConnection\": {$gitlab, \"branch\": \"b\"}}');
	SELECT update_project_dbt_source('$p', :'s', '{\"dbtConnection\": {$gitlab, \"branch\": \"c\", \"personal_access_token\": \"u\"}}');
	SELECT copy_project_dbt_sources('$p', '$q');
	SELECT delete_project_dbt_source('$p', :'s');
	RESET ROLE;
	SELECT rotate_encryption_key();
	SELECT reencrypt_dbt_connections();
	SELECT count(*) FROM encryption_keys()");
my $log = slurp_file($node->logfile, $offset);
my %seen = map { $_ => 1 } $log =~ /Query Text: ([^\n]*public\.project(?:s|_dbt_sources)\b[^\n]*)/g;

# those that go over all projects are planned with their values, each time
my $over_all = qr/^SELECT .* ORDER BY project_uuid, project_dbt_source_uuid LIMIT \$4$|^SELECT CAST\(dbt_connection AS pg_catalog\.text\) .* WHERE dbt_connection IS NOT NULL$/;
my $equals = qr/OPERATOR\(pg_catalog\.=\) \$/;

sub is_simple
{
	my ($text) = @_;
	my ($condition) = $text =~ /\sWHERE (.*)/;

	return 0 if $text =~ /;|\bWITH\b|\bJOIN\b|\bUNION\b|\(\s*SELECT\b|\bEXISTS\b|\bUSING\b/;
	return 0 if (() = $text =~ /\b(?:FROM|INTO|UPDATE) (?:ONLY )?[\w"]+\.[\w"]+/g) != 1;
	return 1 if $text =~ /^INSERT INTO \S+ \([^()]*\) VALUES \(\$1, /;
	return defined $condition && $condition =~ /^project_uuid $equals\Q1\E\b/ && $condition !~ /\bOR\b/;
}

ok(!is_simple($_), "not simple: $_")
  for 'SELECT 1 FROM a.b', 'UPDATE a.b SET c = 1 WHERE project_uuid OPERATOR(pg_catalog.=) $1 OR true',
  'INSERT INTO a.b (c) SELECT $1 FROM a.b WHERE project_uuid OPERATOR(pg_catalog.=) $1',
  'UPDATE a.b SET c = (SELECT 1) WHERE project_uuid OPERATOR(pg_catalog.=) $1', 'WITH x AS (SELECT 1) DELETE FROM a.b WHERE project_uuid OPERATOR(pg_catalog.=) $1';

my @of_a_project = grep { !/$over_all/ } sort keys %seen;
ok(is_simple($_), "simple: $_") for @of_a_project;
cmp_ok(scalar @of_a_project, '>=', 13, 'every kind of statement was seen');
is(scalar(grep { /$over_all/ } keys %seen), 2, 'two go over all projects');

# once the owner's statements write, nobody else's may follow
$offset = -s $node->logfile;
my $absent = '33333333-3333-4333-8333-333333333333';
for my $body ('{"name": "x"}', '{"dbtConnection": {"type": "none"}}', "{\"dbtConnection\": {$gitlab, \"branch\": \"b\"}}")
{
	my ($status, undef, $err) = $node->psql('postgres', "SET ROLE manager; SELECT update_project_dbt_source('$p', '$absent', '$body')");
	like($err, qr/dbt source not found/, "not there: $body");
}
my @tables = slurp_file($node->logfile, $offset) =~ /Query Text: [^\n]*public\.(projects|project_dbt_sources)\b/g;
is(join(' ', @tables), join(' ', 'projects project_dbt_sources project_dbt_sources', 'projects project_dbt_sources project_dbt_sources', 'projects project_dbt_sources'),
	'the caller is asked before the owner');

$node->stop;
done_testing();
