# The clock goes back, and forth: by an hour, by decades, while connections are
# written and moved to another key.
use strict;
use warnings;

use DBD::Pg;
use FindBin;
use lib $FindBin::RealBin;
use Faults;
use Test::More;

my $day = 86400;

set_up();
my $dbh = session();
my $versions = 'SELECT sum(version) FROM project_dbt_sources';
my $count = sql('SELECT count(*) FROM project_dbt_sources WHERE dbt_connection IS NOT NULL');
for my $case ([ 'back by an hour', -3600 ], [ 'back by thirty years', -30 * 365 * $day ], [ 'forth by a day', $day ], [ 'forth by twelve years', 12 * 365 * $day ],
	[ 'back again', 0 ])
{
	my ($name, $seconds) = @$case;
	my $before = sql($versions);
	arm(seconds => $seconds);
	my $now = sql('SELECT extract(epoch FROM clock_timestamp())');
	cmp_ok(abs($now - time - $seconds), '<', 600, "$name: the server's clock is wrong") or BAIL_OUT('the shim does nothing');
	is(join(' ', map { my ($state, $said) = update($dbh); "$state$said" } 1 .. 20), ' ' x 19, 'a session from before writes');
	is(sql($versions) - $before, 20, 'each counts as a version');
	# a session that has the keyring notices the other's key
	my $kid = sql('SELECT rotate_encryption_key()');
	is((try_sql($dbh, 'SELECT kid FROM encryption_keys() WHERE active'))[2], $kid, 'a session notices the key of another');
	is((broken())[0], '', 'nothing is lost');

	# while it waits for a row, which another session holds, the clock jumps
	my $holder = session();
	$holder->begin_work;
	$holder->do('SELECT 1 FROM project_dbt_sources WHERE dbt_connection IS NOT NULL ORDER BY project_uuid, project_dbt_source_uuid LIMIT 1 FOR UPDATE');
	my $mover = session();
	my @notices;
	local $SIG{__WARN__} = sub { push @notices, @_ };
	$mover->{PrintWarn} = 1;
	$mover->do('CALL reencrypt_all_dbt_connections(1)', { pg_async => PG_ASYNC });
	my $waits = 'SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = \'Lock\' AND pid = ?';
	select(undef, undef, undef, 0.05) while !sql($waits, $mover->{pg_pid});
	arm(seconds => $seconds - 7200);
	$holder->rollback;
	$mover->pg_result;
	is($mover->err // '', '', 'a re-encryption during which it jumps ends well') or diag $mover->errstr;
	my $all = join '', @notices;
	like($all, qr/^NOTICE:  re-encrypted $count connections$/m, 'and moves all');
	unlike($all, qr/inf|nan|-\d/i, 'and tells no nonsense');
	$_->disconnect for $holder, $mover;
}
is((broken())[0], '', 'nothing is lost in the end');
done_testing();
