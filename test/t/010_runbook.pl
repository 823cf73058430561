# The runbook, command by command, with a hot standby: docs/runbook.md and, of
# docs/keyring.md and docs/monitoring.md, some.  With the keyring in the data
# directory, and by 019_runbook_elsewhere with the keyring, and the configuration,
# in other places.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib 'test/t';
use Docs;
use Needs 'jose', 'jq';

my $elsewhere = $ENV{KEYRING_ELSEWHERE};
my $project = '11111111-1111-4111-8111-111111111111';
# for what is said here; the commands themselves go by $schema
$ENV{PGOPTIONS} = '-c search_path=public,dbt';
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', 'log_statement = none');
my $safe = PostgreSQL::Test::Utils::tempdir;
my ($file, $copy) = ($primary->data_dir . '/dbt_sources.jwks', undef);
if ($elsewhere)
{
	mkdir "$safe/$_", 0700 for 'k r', 'standby';
	$file = "$safe/k r/k.jwks";
	# by a link
	symlink "$safe/k r", "$safe/link";
	$primary->append_conf('postgresql.conf', "dbt_sources.keyring_file = '$safe/link/k.jwks'");
}
$primary->start;
my $install = "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE; CREATE TABLE projects (project_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL); SELECT enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one')";
my $set = "SELECT set_project_dbt_connection('$project', '{\"type\": \"dbt\"}') ->> 'type'";
$primary->safe_psql('postgres', "CREATE DATABASE $_") for 'shop', 'shop2';
$primary->safe_psql($_, $install) for 'shop', 'shop2';
$primary->safe_psql('shop', 'SELECT rotate_encryption_key()');
$primary->safe_psql($_, $set) for 'shop', 'shop2';
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$copy = $standby->data_dir . '/dbt_sources.jwks';
if ($elsewhere)
{
	$copy = "$safe/standby/s.jwks";
	copy_keyring($copy);
	$standby->append_conf('postgresql.conf', "dbt_sources.keyring_file = '$copy'");
}
# a base backup keeps its mode, but init_from_backup() doesn't
chmod 0600, $copy;
$standby->start;

mkdir "$safe/dumps";

# the commands of a section; scp and ssh reach the standby
my %page_of = ('The keyring file' => 'docs/monitoring.md', map { $_ => 'docs/keyring.md' } 'Keys from a secret manager', 'With systemd', 'A new key');
my %run;
my $memory = PostgreSQL::Test::Utils::tempdir . '/dbt-keyring';
sub run_commands
{
	my ($title, $which, $first) = @_;
	my $page = $page_of{$title} // 'docs/runbook.md';
	my $commands = (commands($page, $title, 'sh'))[ $which - 1 ] or die "no commands $which under $title";
	$run{$commands} = 1;
	$commands =~ s{/run/dbt-keyring}{$memory}g;
	local $ENV{PGHOST} = $primary->host;
	local $ENV{PGPORT} = $primary->port;
	local @ENV{ 'keyring', 'standby_keyring', 'schema', 'PGOPTIONS' } = ($file, $copy, 'dbt', '');
	my $shims = "cd '$safe/dumps'\nsafe='$safe'\n" .
	  "scp() { cp \"\$1\" \"\$2\" \"\${3#standby:}\"; }\n" .
	  "ssh() { shift; PGHOST='" . $standby->host . "' PGPORT=" . $standby->port . " sh -c \"\$*\"; }\n";
	my ($out, $err) = run_command([ 'bash', '-uc', $shims . ($first // '') . "\n" . $commands ]);
	return ($? >> 8, $out, $err);
}

sub runbook
{
	my ($title, $which) = @_;
	my ($status, $out, $err) = run_commands($title, $which);
	is($status, 0, "runbook: $title, $which") or diag "$out\n$err";
	return ($out, $err);
}

sub types
{
	my ($node) = @_;
	return join ' ', map {
		$node->safe_psql($_, "SELECT coalesce(list_project_dbt_sources('$project') -> 0 ->> 'type', 'undecryptable')")
	} 'shop', 'shop2';
}

sub kids { return () = slurp_file($_[0]) =~ /"kid"/g }

# where the keyring is
my ($where) = runbook('Runbook', 2);
is($where, $file, 'the server knows');

# what a standby does with the file, and without
is(types($standby), 'dbt dbt', 'a standby with the file lists');
like($standby->safe_psql('shop', "SELECT get_project_dbt_source('$project', '$project')"), qr/"dbtConnection": \{"type": "dbt"\}/, 'and gets');
is($standby->safe_psql('shop', "SELECT project_dbt_connection('$project', '$project')"), '{"type": "dbt"}', 'and decrypts');
my $source = $primary->safe_psql('shop', "SELECT create_project_dbt_source('$project', '{\"name\": \"a\", \"dbtConnection\": {\"type\": \"none\"}}') ->> 'projectDbtSourceUuid'");
$primary->wait_for_catchup($standby);
my ($stdout, $stderr);
for my $write ("update_project_dbt_source('$project', '$source', '{}')", 'rotate_encryption_key()', 'reencrypt_dbt_connections()', "remove_encryption_key('x')")
{
	$standby->psql('shop', "SELECT $write", stderr => \$stderr, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($stderr, qr/25006/, "it doesn't write: $write");
}
rename $copy, "$copy.away";
is($standby->safe_psql('shop', "SELECT string_agg((s ->> 'name') || ' ' || (s ->> 'hasCredentialError'), ', ') FROM jsonb_array_elements(list_project_dbt_sources('$project')) s"),
	'Project dbt connection false, a true', 'without the file, hasCredentialError is true');
$standby->psql('shop', "SELECT get_project_dbt_source('$project', '$source')", stderr => \$stderr, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($stderr, qr/55000: no usable keyring/, 'and get says why');
is($standby->safe_psql('shop', "SELECT count(*) FROM validate_dbt_connection('{}')"), 1, 'nothing else breaks');
rename "$copy.away", $copy;
# another table aside, of which there is nothing here
$primary->safe_psql('shop', 'CREATE SCHEMA aside; CREATE UNLOGGED TABLE aside.project_dbt_sources (project_uuid uuid REFERENCES projects, dbt_connection text)');
$primary->wait_for_catchup($standby);
is($standby->safe_psql('shop', "SELECT sum(connections) FROM encryption_keys()"), $primary->safe_psql('shop', "SELECT sum(connections) FROM encryption_keys()"), 'keys are counted');
$primary->safe_psql('shop', 'DROP SCHEMA aside CASCADE');

# rotation, and the standby lacks the key until it gets the file
runbook('Rotate the key', 1);
runbook('Rotate the key', 2);
is(types($primary), 'dbt dbt', 'the primary decrypts');
is(slurp_file("$safe/dbt_sources.jwks"), slurp_file($file), 'the keyring is backed up');
runbook('The keyring file', 1);
is($primary->safe_psql($_, 'SELECT sum(connections) FROM encryption_keys() WHERE NOT active'), 0, "$_ is re-encrypted") for 'shop', 'shop2';
$primary->wait_for_catchup($standby);
is(types($standby), 'undecryptable undecryptable', 'the standby has no such key');
append_to_file("$copy.new", slurp_file($file));
chmod 0600, "$copy.new";
rename "$copy.new", $copy;
is(types($standby), 'dbt dbt', 'and now it has');
runbook('Rotate the key', 3);
is(kids($file), 1, 'the old key is gone');
runbook('The keyring file', 1);
my ($dated) = glob "'$safe/dbt_sources.jwks.2*'";
is(kids($dated), 2, 'a copy with a date has it');
is(types($primary), 'dbt dbt', 'and not missed');

# a block ends where something fails
sub fails
{
	my ($title, $which, $break) = @_;
	my ($status, $out, $err) = run_commands($title, $which, $break);
	isnt($status, 0, "runbook: $title, $which: $break ends it");
	return $err;
}
my $kept = slurp_file($file);
fails('The keyring file', 1, 'cp "$safe"/dbt_sources.jwks.2* "$safe/dbt_sources.jwks"');
like(fails('Rotate the key', 1, 'PGPORT=1'), qr/could not connect|connection to server/, 'no server');
is(slurp_file($file), $kept, 'no new key');
runbook('Rotate the key', 1);
fails('Rotate the key', 2, 'cp() { false; }');
is(kids($file), 2, 'a new key without a copy');
is($primary->safe_psql('shop', 'SELECT connections FROM encryption_keys() WHERE active'), 0, 'is not used to re-encrypt');
like(fails('Rotate the key', 1, 'schema=public'), qr/public.rotate_encryption_key\(\) does not exist/, 'another schema');
runbook('Rotate the key', 2);
runbook('Rotate the key', 3);
like(fails('Runbook', 2, 'PGPORT=1'), qr/could not connect|connection to server/, 'no server to ask');
like(fails('Rotate the key, with standbys', 2, 'ssh() { echo unreachable >&2; false; }'), qr/unreachable/, 'no standby');

# rotation that the standby doesn't notice
runbook('Rotate the key, with standbys', 1);
is(kids($file), 2, 'a new key');
is(slurp_file($copy), slurp_file($file), 'and the standby has it');
is((stat $_)[2] & 07777, 0600, 'for the server alone') for $file, $copy;
$primary->safe_psql($_, $set) for 'shop', 'shop2';
$primary->wait_for_catchup($standby);
is(types($standby), 'dbt dbt', 'it decrypts what is written with it');
runbook('Rotate the key', 2);
$primary->wait_for_catchup($standby);
is(types($standby), 'dbt dbt', 'and what is encrypted anew');
is(kids($file), 2, 'there is no other key');
runbook('Rotate the key', 3);
runbook('Rotate the key, with standbys', 2);
is(kids($file), 1, 'the old one is gone');
is(slurp_file($copy), slurp_file($file), 'the standby has the same keys');
is(types($standby), 'dbt dbt', 'and still decrypts');

# a leak
runbook('A key has leaked', 1);
is(types($primary), 'dbt dbt', 'after a leak');

# a lost key
copy_keyring("$safe/dbt_sources.jwks");
$primary->safe_psql('shop', 'SELECT rotate_encryption_key()');
my ($lost) = slurp_file("$safe/dbt_sources.jwks") =~ /"kid": "([^"]+)"/;
my $now = slurp_file($file);
$now =~ s/, \{[^{}]*"kid": "\Q$lost\E"[^{}]*\}//;
unlink $file;
append_to_file($file, $now);
chmod 0600, $file;
is(types($primary), 'undecryptable undecryptable', 'a key is lost');
my ($out, $err) = runbook('A key is lost', 3);
like($err, qr/WARNING:  2 connections were not re-encrypted.*Project $project, source \S.*\($project\): The keyring does not have its key/s, 'who lost what is named');
runbook('A key is lost', 1);
is(types($primary), 'dbt dbt', 'the copy has it');
my ($active) = $now =~ /"kid": "([^"]+)"/;
is($primary->safe_psql('shop', 'SELECT kid FROM encryption_keys() WHERE active'), $active, 'the active key is the same');
is((stat $file)[2] & 07777, 0600, 'the file is still for the server alone');
copy_keyring("$safe/dbt_sources.jwks");
unlink $file;
is(types($primary), 'undecryptable undecryptable', 'the file is lost');
runbook('A key is lost', 2);
is(types($primary), 'dbt dbt', 'its copy is as good');

# backup and restore
runbook('Back up and restore', 1);
($out, $err) = runbook('Back up and restore', 2);
like($out, qr/^\Q$lost\E\|f\|2$/m, 'the restored database has its connections');
is($err, '', 'and a key for each');
unlike(slurp_file("$safe/dumps/shop.dump"), qr/"k"/, 'a dump has no key');

# a role for the keys
my ($recipe) = commands('docs/keyring.md', 'Who may use the keys', 'sql');
$primary->safe_psql('shop', $recipe);
like($primary->safe_psql('shop', 'SET ROLE dbt_keys; SELECT rotate_encryption_key(); CALL reencrypt_all_dbt_connections(); SELECT active, connections FROM encryption_keys() LIMIT 1'),
	qr/\nt\|2\z/, 'the role rotates keys');
$primary->psql('shop', "SET ROLE dbt_keys; SELECT project_dbt_connection('$project', '$project')", stderr => \$stderr);
like($stderr, qr/permission denied for function project_dbt_connection/, 'and reads nothing');

# a keyring of a database's own
my (undef, $own) = commands('docs/keyring.md', 'Keyring', 'sql');
$kept = slurp_file($file);
$primary->safe_psql('postgres', 'CREATE DATABASE shop4');
$primary->safe_psql('shop4', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE; LOAD 'dbt_sources'; $own");
$primary->safe_psql('shop4', 'SELECT rotate_encryption_key()');
is(kids($primary->data_dir . '/shop.jwks'), 1, 'a database has its own keyring');
is(slurp_file($file), $kept, 'and the others theirs');
$primary->safe_psql('postgres', 'DROP DATABASE shop4');

# keys from a secret manager; root's commands are run without root
my ($unit) = commands('docs/keyring.md', 'With systemd', 'ini');
my ($load) = $unit =~ /^ExecStart=(.*)\nExecReload=\g1\n/m;
my $manager = PostgreSQL::Test::Utils::tempdir;
mkdir $memory;
append_to_file("$manager/dbt-keyring.service", $unit);
SKIP:
{
	skip 'no systemd-analyze', 1 if !grep { -x "$_/systemd-analyze" } split /:/, $ENV{PATH};
	($out, $err) = run_command([ 'systemd-analyze', 'verify', "$manager/dbt-keyring.service" ]);
	is($err, '', 'systemd has nothing against the unit');
}
$load =~ s{/run/dbt-keyring}{$memory};
my $shims = "fetch-keyring() { cat '$manager/store'; }; store-keyring() { cat >'$manager/new' && mv '$manager/new' '$manager/store'; }; chown() { :; }
	sudo() { [ \"\$1 \$2\" = '-u postgres' ] && shift 2 && PGDATABASE=postgres \"\$@\"; }
	systemctl() { [ \$1 = daemon-reload ] || { chmod 0700 '$memory' && (umask 0077; $load) && chmod 0500 '$memory'; }; }; export -f fetch-keyring chown";
$shims =~ s{/bin/sh}{bash}g;
my $status;
sub managed
{
	my ($title, $which) = @_;
	($status, $out, $err) = run_commands($title, $which, $shims);
	is($status, 0, "keyring.md: $title, $which") or diag "$out\n$err";
}
sub reads_keyring_at
{
	my ($path) = @_;
	ok($primary->poll_query_until('shop', "LOAD 'dbt_sources'; SELECT current_setting('dbt_sources.keyring_file') = '$path'", "LOAD\nt"), "the server reads $path");
}
# from the first key on
managed('Keys from a secret manager', 2);
managed('With systemd', 1);
reads_keyring_at("$memory/keyring.jwks");
$primary->psql('shop', 'SELECT rotate_encryption_key()', stderr => \$stderr);
like($stderr, qr/is not a JWK Set with at least one key/, 'there is none');
managed('A new key', 1);
is($primary->safe_psql('shop', 'SELECT count(*), bool_and(active) FROM encryption_keys()'), '1|t', 'the first one');
# and from those that the server had
managed('Keys from a secret manager', 1);
is((run_command([ 'bash', '-c', "$shims; systemctl reload dbt-keyring" ]))[1], '', 'the unit is reloaded');
is((stat "$memory/keyring.jwks")[2] & 07777, 0600, 'the keyring is for the server alone');
$active = $primary->safe_psql('shop', 'SELECT kid FROM encryption_keys() WHERE active AND connections > 0');
$primary->psql('shop', 'SELECT rotate_encryption_key()', stderr => \$stderr);
like($stderr, qr/could not create keyring file: Permission denied\n.*HINT:.*change it there/s, 'a rotation can not write');
managed('A new key', 1);
is($primary->safe_psql('shop', 'SELECT connections FROM encryption_keys() WHERE active'), 2, 'it is used');
is($primary->safe_psql('shop', 'SELECT kid FROM encryption_keys() OFFSET 1 LIMIT 1'), $active, 'and the old one is there');
my $needed = $primary->safe_psql('shop2', 'SELECT kid FROM encryption_keys() WHERE NOT active AND connections > 0');
$primary->psql('shop', "SELECT remove_encryption_key('$needed')", stderr => \$stderr);
like($stderr, qr/is in use.*"shop2"/s, 'the other database has not been re-encrypted: a removal says so');
$primary->safe_psql('shop2', 'CALL reencrypt_all_dbt_connections()');
$primary->safe_psql('postgres', 'DROP DATABASE shop3');
$primary->psql('shop', "SELECT remove_encryption_key('$active')", stderr => \$stderr);
like($stderr, qr/could not create keyring file/, 'or that it can not write');
my $stored = slurp_file("$manager/store");
($status) = run_commands('A new key', 1, "$shims; fetch-keyring() { false; }");
isnt($status, 0, 'without the old keyring');
($status) = run_commands('A new key', 1, "$shims; jose() { false; }");
isnt($status, 0, 'or the new key');
is(slurp_file("$manager/store"), $stored, 'nothing is stored');
chmod 0700, $memory;
unlink $file;
append_to_file($file, $stored);
chmod 0600, $file;
$primary->safe_psql('shop', "LOAD 'dbt_sources'; ALTER SYSTEM RESET dbt_sources.keyring_file");
$primary->reload;
reads_keyring_at($elsewhere ? "$safe/link/k.jwks" : 'dbt_sources.jwks');

# a new cluster, of the same major as there is no other; elsewhere also the
# configuration is in folders of its own, as on Debian
$standby->stop;
$primary->stop;
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
my %conf = map { ($_ => $_->data_dir) } $primary, $upgraded;
if ($elsewhere)
{
	for my $node ($primary, $upgraded)
	{
		my $data = $node->data_dir;
		$conf{$node} = "$safe/etc-" . $node->name;
		mkdir $conf{$node}, 0700;
		rename "$data/$_", "$conf{$node}/$_" for 'postgresql.conf', 'pg_hba.conf', 'pg_ident.conf';
		append_to_file("$conf{$node}/postgresql.conf", "data_directory = '$data'\n");
	}
	append_to_file("$conf{$upgraded}/postgresql.conf", "dbt_sources.keyring_file = '$file'\n");
}
my $versions = "OLDBIN='$bindir' NEWBIN='$bindir' OLDCONF='$conf{$primary}' NEWCONF='$conf{$upgraded}' NEWPGDATA='" . $upgraded->data_dir . "'; export PGPORT=" . $primary->port;
($status, $out, $err) = run_commands('Upgrade PostgreSQL', 2, $versions);
is($status, 0, 'runbook: Upgrade PostgreSQL, 2') or diag "$out\n$err";
if ($elsewhere)
{
	rename "$conf{$upgraded}/$_", $upgraded->data_dir . "/$_" for 'postgresql.conf', 'pg_hba.conf', 'pg_ident.conf';
}
else
{
	($status) = run_commands('Upgrade PostgreSQL', 3, $versions);
	is($status, 0, 'runbook: Upgrade PostgreSQL, 3');
}
ok(-e "$safe/dumps/delete_old_cluster.sh", 'pg_upgrade wants the old cluster deleted');
run_command([ 'sh', "$safe/dumps/delete_old_cluster.sh" ]);
is(-e $file ? 'there' : 'gone', $elsewhere ? 'there' : 'gone', 'what happens to the keyring with it');
$upgraded->start;
$primary = $upgraded;
($out, $err) = runbook('Upgrade PostgreSQL', 4);
like($out, qr/\|t\|[12]$/m, 'the new one has the keys');
is($err, '', 'of all connections');
is(types($upgraded), 'dbt dbt', 'and decrypts');

# of the extension, from 0.2.0
for my $database ('shop', 'shop2')
{
	$upgraded->safe_psql('postgres', "ALTER DATABASE $database RENAME TO new_$database; CREATE DATABASE $database");
	$upgraded->safe_psql($database, "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources VERSION '0.2.0' SCHEMA dbt CASCADE;
		INSERT INTO dbt.projects (project_uuid, name) VALUES ('$project', 'one')");
}
$upgraded->safe_psql('postgres', 'CREATE ROLE app');
runbook('Upgrade the extension', 1);
runbook('Upgrade the extension', 2);
$upgraded->safe_psql($_, $set) for 'shop', 'shop2';
is(types($upgraded), 'dbt dbt', 'projects of 0.2.0 have sources');
is($upgraded->safe_psql('shop', "SELECT extversion, relowner::regrole FROM pg_extension, pg_class WHERE extname = 'dbt_sources' AND relname = 'project_dbt_sources'"),
	'0.3.0|app', 'of the new version, and owned by the role');
$upgraded->stop;

is(join(' ', map { s{.*/}{}r } glob($upgraded->data_dir . "/*.jwks*")), $elsewhere ? '' : 'dbt_sources.jwks', 'the data directory has no other keyring');
is_deeply([ grep { !$run{ $_->{text} } && !($elsewhere && $_->{text} =~ /NEWPGDATA/) } grep { ($_->{mark} // '') eq 'run by 010_runbook' } map { blocks($_) } pages() ],
	[], 'no command is left');

sub copy_keyring
{
	my ($to) = @_;
	unlink $to;
	append_to_file($to, slurp_file($file));
	chmod 0600, $to;
}

done_testing();
