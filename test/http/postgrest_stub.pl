#!/usr/bin/env perl
# Stands in for PostgREST, which Debian doesn't have, to test what nginx sends
# it: the one function that it is asked for, with PostgREST's checks, settings
# and call.  Arguments: connection string, key, address to listen on.
use Mojolicious::Lite -signatures;
use DBD::Pg qw(:pg_types);
use Mojo::JSON qw(encode_json from_json);
use Mojo::JWT;
use Mojo::Pg;
use Mojo::Util qw(encode);

my ($database, $secret, $listen, $pid_file) = splice @ARGV;
$ENV{MOJO_MAX_MEMORY_SIZE} = app->max_request_size(2**30)->max_request_size;
app->log->level('fatal');
my $pg = Mojo::Pg->new($database);

post '/rpc/request' => sub ($c) {
	my $headers = $c->req->headers;
	my ($token) = ($headers->authorization // '') =~ /^Bearer (\S+)$/;
	my $claims = eval { Mojo::JWT->new(secret => $secret)->decode($token) }
	  or return $c->render(status => 401, json => { code => 'PGRST301', message => 'JWT expired' });
	return $c->render(status => 415, json => { code => 'PGRST102' }) if $headers->content_type ne 'application/octet-stream';
	my $row = eval {
		my $db = $pg->db;
		my $tx = $db->begin;
		my %headers = map { lc($_) => $headers->header($_) } @{ $headers->names };
		$db->query(q{SELECT set_config('search_path', '"api", "public"', true), set_config('role', ?, true), set_config('request.jwt.claims', ?, true),
			set_config('request.method', 'POST', true), set_config('request.path', '/rpc/request', true), set_config('request.headers', ?, true)},
			$claims->{role}, encode_json($claims), encode_json(\%headers));
		my $result = $db->query(q{WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM (SELECT "api"."request"(?) pgrst_scalar) pgrst_call)
			SELECT coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null') AS body, nullif(current_setting('response.headers', true), '') AS headers,
			nullif(current_setting('response.status', true), '') AS status FROM (SELECT pgrst_source.* FROM pgrst_source) _postgrest_t},
			{ type => PG_BYTEA, value => $c->req->body })->hash;
		$tx->commit;
		$result;
	} or return $c->render(status => 503, json => { code => 'PGRST001', message => 'Database connection error' });
	$c->res->headers->header(%$_) for @{ from_json($row->{headers} || '[]') };
	$c->res->headers->content_type('application/json; charset=utf-8');
	$c->render(status => $row->{status}, data => encode 'UTF-8', $row->{body});
};

app->start('prefork', '-w', 4, '-l', $listen, '-P', $pid_file);
