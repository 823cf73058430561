# What the Dockerfile adds to the official image, and the arguments that
# docs/keyring.md gives it: with and without them the library is preloaded.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;

# what the image does after the extension's files are copied
my ($image) = slurp_file('Dockerfile') =~ /^COPY --from=build [^\n]*\n(.*)/ms;
my @steps = $image =~ /^RUN (.*(?:\\\n.*)*)/mg;
my ($command) = $image =~ /^CMD \[(.*)\]/m;
my @default = ($command // '"postgres"') =~ /"([^"]*)"/g;

# the folder that initdb reads has the file under another path there
my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
my $share = PostgreSQL::Test::Utils::tempdir . '/share';
system_or_bail('cp', '-RL', $sharedir, $share);
for my $step (@steps)
{
	$step =~ s{/usr/share/postgresql/}{$share/}g;
	system_or_bail('sh', '-ec', $step);
}
my $node = PostgreSQL::Test::Cluster->new('container');
$node->init(extra => [ '-L', $share ]);

# arguments stand in the place of the default ones: an option is postgres's
sub settings
{
	my ($program, @options) = @_ ? ('postgres', @_) : @default;
	is($program, 'postgres', 'the server is started');
	system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', join(' ', @options), 'start');
	$node->psql('postgres', 'SHOW shared_preload_libraries; SHOW dbt_sources.keyring_file', stdout => \my $settings);
	system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, 'stop');
	return $settings;
}
is(settings(), "dbt_sources\ndbt_sources.jwks", 'by itself');
my ($yaml) = commands('docs/keyring.md', 'In a container', 'yaml');
my ($arguments) = $yaml =~ /args: \[(.*)\]/;
my ($path) = $arguments =~ /keyring_file=(.*)/;
is(settings(split /, /, $arguments), "dbt_sources\n$path", 'with a keyring');
like($yaml, qr/mountPath: \Q@{[ $path =~ s{\/[^\/]*$}{}r ]}\E\b/, 'which is mounted there');

done_testing();
