# What an application developer does with the API: its description is valid and
# has what the contract says, a generated client calls all of it, and a page in a
# browser edits a source.
use strict;
use warnings;

use Cwd qw(getcwd);
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Mojo::JWT;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
for my $folder ('proxy/node', 'test/clients')
{
	plan skip_all => qq($folder needs "npm ci") unless -d "$top/$folder/node_modules";
}
my $project = '11111111-1111-4111-8111-111111111111';
my $secret = 'a secret of thirty-two bytes, and more';
my $folder = PostgreSQL::Test::Utils::tempdir;
my $modules = "$top/test/clients/node_modules";
my $api = "$top/proxy/openapi/dbt-sources.yaml";

sub runs_ok
{
	my ($command, $expected, $name) = @_;
	my $output = '';
	my $ok = IPC::Run::run($command, '<', '/dev/null', '>&', \$output);
	ok($ok && $output =~ $expected, $name) or diag $output;
}

# the description
runs_ok([ 'python3', "$top/test/clients/compare.py", "$top/test/openapi/update-dbt-source.yaml", $api ], qr/^the same$/, "the contract's operation is the same");
SKIP:
{
	my ($version) = run_command([ 'node', '-p', 'process.versions.node' ]);
	skip 'the linter needs Node.js 20.19', 1 if $version =~ /^(?:1\d|20\.(?:\d|1[0-8]))\./;
	local ($ENV{REDOCLY_TELEMETRY}, $ENV{REDOCLY_SUPPRESS_UPDATE_NOTICE}) = ('off', 'true');
	runs_ok([ "$modules/.bin/redocly", 'lint', $api ], qr/Your API description is valid/, 'the description is valid');
}

# the server
my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init;
$node->start;
$node->safe_psql('postgres', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT dbt.rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text);
	SELECT dbt.enable_dbt_sources('projects');
	INSERT INTO projects VALUES ('$project', 'one')");
$node->psql('postgres', slurp_file("$top/proxy/setup.sql"));
my ($port, $page_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
append_to_file("$folder/jwt.jwk", encode_json({ kty => 'oct', k => encode_base64url($secret) }));
my $proxy = do
{
	local %ENV = (%ENV, DBT_PROXY_LISTEN => "127.0.0.1:$port", DBT_PROXY_JWT_KEY_FILE => "$folder/jwt.jwk",
		DBT_PROXY_DATABASE => 'postgresql://authenticator@' . $node->host =~ s{/}{%2F}gr . ':' . $node->port . '/postgres',
		DBT_PROXY_CORS_ORIGINS => "http://127.0.0.1:$page_port");
	IPC::Run::start([ 'node', "$top/proxy/node/dbt-sources-proxy.js" ], '<', '/dev/null', '>&', "$folder/proxy.log");
};
END { if ($proxy) { $proxy->signal('TERM'); $proxy->finish } }
for (1 .. 300)
{
	last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
	select undef, undef, undef, 0.1;
}
my $token = Mojo::JWT->new(claims => { role => 'web_user', projects => [$project], manages => [$project] }, secret => $secret)->encode;

# a generated client
symlink $modules, "$folder/node_modules" or die $!;
append_to_file("$folder/$_", slurp_file("$top/test/clients/$_")) for 'package.json', 'client.ts';
runs_ok([ "$modules/.bin/openapi-typescript", $api, '-o', "$folder/api.d.ts" ], qr/api\.d\.ts/, 'types for TypeScript');
runs_ok([ "$modules/.bin/tsc", '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node', '--typeRoots', "$modules/\@types", '--skipLibCheck', "$folder/client.ts" ],
	qr/^$/, 'a client compiles');
runs_ok([ 'node', "$folder/client.js", "http://127.0.0.1:$port", $token, $project ], qr/^all five$/, 'and calls all five operations');

# a page in a browser
SKIP:
{
	my ($chromium) = grep { -x } $ENV{CHROMIUM} // (), '/usr/bin/chromium', '/usr/bin/chromium-browser';
	skip 'there is no Chromium', 1 unless $chromium;
	my $source = $node->safe_psql('postgres', qq(SELECT dbt.create_project_dbt_source('$project', '{"name": "a", "dbtConnection": {"type": "none"}}') ->> 'projectDbtSourceUuid'));
	local ($ENV{CHROMIUM}, $ENV{HOME}) = ($chromium, $folder);
	runs_ok([ 'node', "$top/test/clients/browser.js", $page_port, "http://127.0.0.1:$port/api/v1/projects/$project/dbt-sources/$source", $token ],
		qr/^edited$/, 'two tabs edit a source, and a page of another origin cannot');
	is($node->safe_psql('postgres', "SELECT name FROM dbt.project_dbt_sources WHERE NOT is_primary"), 'from the second tab', 'what is stored');
}

done_testing();
