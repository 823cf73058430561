# The API over real HTTP, through both fronts: the thin proxy, and nginx in
# front of what stands in for PostgREST.  Every answer is validated against the
# contract.
use strict;
use warnings;

use Cwd qw(getcwd);
use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Mojo::JWT;
use Mojo::Message::Response;
use Mojo::UserAgent;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = getcwd();
plan skip_all => 'proxy/node needs "npm ci"' unless -d "$top/proxy/node/node_modules";
my $json = JSON::PP->new->utf8->canonical;
my $project = '11111111-1111-4111-8111-111111111111';
my $other = '22222222-2222-4222-8222-222222222222';
my $unknown = '44444444-4444-4444-8444-444444444444';
my $sources = "/api/v1/projects/$project/dbt-sources";
my $secret = 'a secret of thirty-two bytes, and more';
my $folder = PostgreSQL::Test::Utils::tempdir;
my $responses = "$folder/responses";

my $node = PostgreSQL::Test::Cluster->new('http');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nmax_connections = 50\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', "CREATE SCHEMA dbt; CREATE EXTENSION dbt_sources SCHEMA dbt CASCADE;
	SELECT dbt.rotate_encryption_key();
	CREATE TABLE projects (project_uuid uuid PRIMARY KEY, name text);
	SELECT dbt.enable_dbt_sources('projects');
	INSERT INTO projects (project_uuid, name) VALUES ('$project', 'one'), ('$other', 'two')");
$node->psql('postgres', slurp_file("$top/proxy/$_")) for 'setup.sql', 'postgrest/api.sql';

sub write_file
{
	my ($name, $content) = @_;
	open my $fh, '>', "$folder/$name" or die $!;
	print $fh $content;
	close $fh;
	return "$folder/$name";
}

# the two fronts
my ($proxy_port, $nginx_port, $postgrest_port, $admin_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 4;
my $host = $node->host =~ s{/}{%2F}gr;
my $database = "postgresql://authenticator\@$host:" . $node->port . '/postgres';
write_file('jwt.jwk', $json->encode({ kty => 'oct', k => encode_base64url($secret) }));
my $limit = 100 * 1024 * 1024;
my %proxy = (LISTEN => "127.0.0.1:$proxy_port", DATABASE => $database, JWT_KEY_FILE => "$folder/jwt.jwk");
my @servers = (
	IPC::Run::start([ 'env', (map { "DBT_PROXY_$_=$proxy{$_}" } sort keys %proxy), 'node', "$top/proxy/node/dbt-sources-proxy.js" ],
		'<', '/dev/null', '>&', "$folder/proxy.log"),
	start_postgrest());
my $site = slurp_file("$top/proxy/postgrest/nginx.conf");
$site =~ s/127.0.0.1:3000/127.0.0.1:$postgrest_port/;
$site =~ s/127.0.0.1:3001/127.0.0.1:$admin_port/;
$site =~ s/127.0.0.1:8080/127.0.0.1:$nginx_port/;
my $nginx = write_file('nginx.conf', "daemon off;\npid $folder/nginx.pid;\nerror_log $folder/nginx.log;\nevents {}\nhttp {\naccess_log off;\n" .
	  join('', map { "${_}_temp_path $folder/$_;\n" } 'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi') . "$site}\n");
local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
my ($out, $err) = run_command([ 'nginx', '-t', '-c', $nginx, '-e', "$folder/nginx.log" ]);
like($err, qr/test is successful/, 'nginx accepts the site') or diag $err;
push @servers, IPC::Run::start([ 'nginx', '-c', $nginx, '-e', "$folder/nginx.log" ], '<', '/dev/null');
END { $_->signal('TERM') for @servers; $_->finish for @servers }
for my $port ($proxy_port, $postgrest_port, $nginx_port)
{
	for (1 .. 300)
	{
		last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
		select undef, undef, undef, 0.1;
	}
}
my %ports = ('the proxy' => $proxy_port, 'nginx' => $nginx_port);

# the real one if POSTGREST names it
sub start_postgrest
{
	my @command = ('node', "$top/test/http/postgrest_stub.js", $database, $secret, $postgrest_port, $admin_port);
	if ($ENV{POSTGREST})
	{
		my $conf = slurp_file("$top/proxy/postgrest/postgrest.conf");
		$conf =~ s{^db-uri.*}{db-uri = "$database"}m;
		$conf =~ s{/etc/dbt_sources/}{$folder/};
		$conf =~ s{3000}{$postgrest_port};
		$conf =~ s{3001}{$admin_port};
		@command = ($ENV{POSTGREST}, write_file('postgrest.conf', $conf));
	}
	diag $ENV{POSTGREST} ? "nginx in front of $ENV{POSTGREST}" : 'nginx in front of a stand-in for PostgREST, as POSTGREST names none';
	return IPC::Run::start([@command], '<', '/dev/null', '>&', "$folder/postgrest.log");
}

# who asks
sub token
{
	my ($claims, %more) = @_;
	return Mojo::JWT->new(claims => { role => 'web_user', %$claims }, secret => $more{secret} // $secret,
		algorithm => $more{algorithm} // 'HS256', allow_none => 1)->encode;
}
my $manager = token({ projects => [ $project, $other ], manages => [$project], exp => time + 3600 });
my $viewer = token({ projects => [$project] });

my $agent = Mojo::UserAgent->new(max_response_size => 0, inactivity_timeout => 60, request_timeout => 120);
my $port;
sub request
{
	my ($name, $method, $path, %more) = @_;
	my %headers = ('Content-Type' => 'application/json');
	my $token = exists $more{token} ? $more{token} : $manager;
	$headers{Authorization} = "Bearer $token" if defined $token;
	my $body = ref $more{body} ? $json->encode($more{body}) : $more{body};
	my $response = length($body // '') > 1_000_000 ? curl($method, $path, \%headers, $body) :
	  $agent->start($agent->build_tx($method, "http://127.0.0.1:$port$path", \%headers, $body // ()))->res;
	append_to_file($responses, $json->encode({ name => "$port: $name", method => $method, path => $path, status => ($response->code // 0) + 0,
			type => $response->headers->content_type // '', body => $response->text // '' }) . "\n") if $method ne 'HEAD';
	return $response;
}

# Mojo::UserAgent takes half a minute to send what curl sends in a second
sub curl
{
	my ($method, $path, $headers, $body) = @_;
	my $file = write_file('body', $body);
	my ($out) = run_command([ 'curl', '-s', '-i', '--raw', '-X', $method, '-H', 'Expect:', (map { ('-H', "$_: $headers->{$_}") } keys %$headers),
			'--data-binary', "\@$file", "http://127.0.0.1:$port$path" ]);
	return Mojo::Message::Response->new->parse("$out\n");
}

sub answers
{
	my ($name, $status, $error, @request) = @_;
	my $response = request($name, @request);
	my $got = eval { $response->json('/error/name') } // '';
	is(($response->code // 'none') . " $got", "$status $error", $name) or diag $response->body;
	return $response;
}

# PostgREST takes up to a minute, the proxy a moment
sub recovers
{
	my ($name) = @_;
	for (1 .. 90)
	{
		last if request($name, 'GET', $sources)->code == 200;
		sleep 1;
	}
	answers($name, 200, '', 'GET', $sources);
}

# Send bytes; returns so many responses, and what else comes at once.
sub exchange
{
	my ($bytes, $count) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
	local $SIG{PIPE} = 'IGNORE';
	print $socket $bytes;
	my ($reply, @responses) = ('');
	while (IO::Select->new($socket)->can_read(@responses < $count ? 20 : 0.05))
	{
		sysread $socket, $reply, 65536, length $reply or last;
		while ($reply =~ m{^HTTP/1\.1 (\d+)[^\r]*\r\n((?:[^\r]+\r\n)*)\r\n}g)
		{
			my ($status, $headers, $begin) = ($1, $2, pos $reply);
			my $length = $headers =~ /^Content-Length: (\d+)/im ? $1 : 0;
			if ($headers =~ /^Transfer-Encoding: chunked/im)
			{
				substr($reply, $begin) =~ /^(?:[0-9a-f]+\r\n.*\r\n)?0\r\n\r\n/s or last;
				$length = length $&;
			}
			last if length $reply < $begin + $length;
			my $content = substr $reply, $begin, $length;
			$content =~ s/^[0-9a-f]+\r\n|\r\n(?:[0-9a-f]+\r\n|$)//g if $headers =~ /^Transfer-Encoding: chunked/im;
			push @responses, { status => $status + 0, type => ($headers =~ /^Content-Type: (.*?)\r/im)[0] // '',
				body => $content, closes => $headers =~ /^Connection: close/im };
			substr($reply, 0, $begin + $length, '');
		}
	}
	return @responses;
}

# Name, bytes, the statuses that may come back, and whether the connection may
# stay open after an error.  RFC 9112, and RFC 9110 for the rest.
sub raw_requests
{
	my ($source) = @_;
	my $host = "Host: x\r\nAuthorization: Bearer $manager\r\nContent-Type: application/json\r\n";
	my $body = '{"name": "named again"}';
	my $patch = "PATCH $source HTTP/1.1\r\n$host";
	my $rename = sub { "$patch" . "Content-Length: " . (length($_[0]) + 12) . "\r\n\r\n{\"name\": \"$_[0]\"}" };
	my $get = "GET $sources HTTP/1.1\r\n$host\r\n";
	my $rest = $rename->('smuggled');
	return (
		['two lengths', "${patch}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}$rest", 400],
		['the same length twice', "${patch}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}$rest", 400],
		(map { ["a length of '$_'", "${patch}Content-Length: $_\r\n\r\n{}$rest", '400'] } '2, 40', '+2', '-1', '0x2', '2 2', '2;', '99999999999999999999'),
		['a length after a blank', "${patch}Content-Length : 2\r\n\r\n{}$rest", 400],
		['a length and chunks', "${patch}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$rest", 400],
		['chunks and a length', "${patch}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$rest", 400],
		(map { ["a transfer encoding of $_", "${patch}Transfer-Encoding: $_\r\n\r\n0\r\n\r\n$rest", '400|501'] } 'xchunked', 'gzip', 'chunked, identity', 'identity', "\0chunked"),
		(map { ['a chunk of ' . ($_ =~ s/\W.*//sr), "${patch}Transfer-Encoding: chunked\r\n\r\n$_$rest", '400|411'] } "ZZ\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n{}\r\n"),
		['no host', "GET $sources HTTP/1.1\r\nAuthorization: Bearer $manager\r\n\r\n", 400, 1],
		['two hosts', "GET $sources HTTP/1.1\r\nHost: y\r\n$host\r\n", 400, 1],
		['a host with a blank', "GET $sources HTTP/1.1\r\n" . $host =~ s/: x/: x y/r . "\r\n", 400, 1],
		['a host that is no text', "GET $sources HTTP/1.1\r\n" . $host =~ s/: x/: \xff/r . "\r\n", '200|400', 1],
		['a target that is no text', "GET $sources\xff HTTP/1.1\r\n$host\r\n", 400, 1],
		['a query that is no text', "GET $sources?\xff HTTP/1.1\r\n$host\r\n", 400, 1],
		['a header that is no text', "GET $sources HTTP/1.1\r\n${host}Accept: \xff\r\n\r\n", 200],
		['a type that is no text', "${patch}Content-Length: 2\r\n\r\n{}" =~ s/application.json/\xff/r, 415, 1],
		['an encoding that is no text', "${patch}Content-Encoding: \xff\r\nContent-Length: 2\r\n\r\n{}", 415, 1],
		['a token that is no text', "GET $sources HTTP/1.1\r\n" . $host =~ s/Bearer /Bearer \xff/r . "\r\n", 401, 1],
		['a NUL in the target', "GET $sources\0 HTTP/1.1\r\n$host\r\n", 400],
		['a NUL in a header', "GET $sources HTTP/1.1\r\n${host}X: \0\r\n\r\n", 400],
		['a NUL in the body', "${patch}Content-Length: 3\r\n\r\n{}\0", 400, 1],
		['a body that is no text', "${patch}Content-Length: 13\r\n\r\n{\"name\": \"\xff\"}", 400, 1],
		['gzip', "${patch}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", '400|415', 1],
		['multipart', "${patch}Content-Length: 2\r\n\r\n{}" =~ s{application/json}{multipart/form-data; boundary=x}r, 415, 1],
		['a long target', "GET $sources?" . 'x' x 20000 . " HTTP/1.1\r\n$host\r\n", 414, 1],
		['a very long target', "GET $sources?" . 'x' x 200000 . " HTTP/1.1\r\n$host\r\n", '414|431'],
		['a long header', "GET $sources HTTP/1.1\r\n${host}X: " . 'x' x 200000 . "\r\n\r\n", 431],
		['many headers', "GET $sources HTTP/1.1\r\n$host" . "X: y\r\n" x 20000 . "\r\n", 431],
		['a version', "GET $sources HTTP/9.9\r\n$host\r\n", '400|505'],
		['the preface of HTTP/2', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", '400|405|505'],
		['TLS', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\0" x 64, 400],
		['CONNECT', "CONNECT x:80 HTTP/1.1\r\n$host\r\n", '400|405', 1],
		['TRACE', "TRACE $sources HTTP/1.1\r\n$host\r\n", 405, 1],
		['another method', "FETCH $sources HTTP/1.1\r\n$host\r\n", '400|405', 1],
		['an expectation', "${patch}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", '100 200'],
		['another expectation', "${patch}Expect: more\r\nContent-Length: 2\r\n\r\n{}", '200|417', 1],
		['an upgrade', "GET $sources HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200],
		['chunks', "${patch}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX: y\r\n\r\n", '200|411', 1],
		['an absolute target', "GET http://x$sources HTTP/1.1\r\n$host\r\n", 200],
		['three requests', $rename->('first') . $get . $rename->('named again'), '200 200 200'],
		['garbage behind a request', $get . "GARBAGE\r\n\r\n$rest", '200 400'],
		['a bad length behind a request', $get . "${patch}Content-Length: -1\r\n\r\n$rest", '200 400'],
		['a bad chunk behind a request', $get . "${patch}Transfer-Encoding: chunked\r\n\r\nZZ\r\n$rest", '200 (?:400|411)'],
		['an invalid token before a body', ($patch =~ s/Bearer /Bearer x/r) . "Content-Length: 1000000\r\n\r\n" . $rest x 100, 401, 1],
		['too much, announced', "${patch}Content-Length: " . ($limit + 1) . "\r\n\r\n$rest", 413],
	);
}

sub github { return { type => 'github', authorization_method => 'personal_access_token', personal_access_token => 'sesame', repository => 'r', branch => 'b', project_sub_path => '/', @_ } }

for my $front ('the proxy', 'nginx')
{
	$port = $ports{$front};
	note $front;

	# the five operations
	my $created = answers('create', 201, '', 'POST', $sources, body => { name => 'a', dbtConnection => github() });
	my $source = "$sources/" . $created->json->{results}{projectDbtSourceUuid};
	is($json->encode(answers('update', 200, '', 'PATCH', $source, body => { name => "b \x{20ac}", dbtConnection => github(branch => 'c', personal_access_token => '') })->json),
		$json->encode({ status => 'ok', results => { projectDbtSourceUuid => (split m{/}, $source)[-1], name => "b \x{20ac}", isPrimary => JSON::PP::false, precedence => 1,
				type => 'github', repository => 'r', branch => 'c', projectSubPath => '/', hasCredentialError => JSON::PP::false } }), 'the summary, whole');
	my $got = answers('get', 200, '', 'GET', $source, token => $viewer);
	is($got->json->{results}{dbtConnection}{branch}, 'c', 'get shows the connection');
	unlike($got->body, qr/sesame/, 'without the secret');
	is(scalar @{ answers('list', 200, '', 'GET', "$sources?x=1", token => $viewer)->json->{results} }, 2, 'list');
	is(request('head', 'HEAD', $source)->body, '', 'HEAD has no body');
	is(request('head', 'HEAD', $source)->code, 200, 'but a status');

	# every error
	my $broken = answers('a broken body', 400, 'ParameterError', 'PATCH', $source, body => { name => '', dbtConnection => { type => 'gitlab' } });
	is(scalar @{ $broken->json->{error}{data} }, 5, 'all of its problems');
	answers($_->[0], 400, 'ParameterError', 'PATCH', $source, body => $_->[1])
	  for ['no JSON', '{"name": '], ['no body', undef], ['no UTF-8', "{\"name\": \"\xff\"}"], ['a NUL', "{}\0"], ['an array', '[]'], ['deep', '[' x 100000];
	answers('no UUIDv4', 400, 'ParameterError', 'GET', '/api/v1/projects/x/dbt-sources');
	answers('a viewer updates', 403, 'ForbiddenError', 'PATCH', $source, token => $viewer, body => { name => 'x' });
	answers('a viewer creates', 403, 'ForbiddenError', 'POST', $sources, token => $viewer, body => { name => 'x', dbtConnection => { type => 'none' } });
	answers('a viewer deletes', 403, 'ForbiddenError', 'DELETE', $source, token => $viewer);
	answers('an invisible project', 404, 'NotFoundError', 'GET', $sources =~ s/$project/$other/r, token => $viewer);
	answers('an unknown project', 404, 'NotFoundError', 'GET', $sources =~ s/$project/$unknown/r);
	answers('an unknown source', 404, 'NotFoundError', 'PATCH', "$sources/$unknown", body => { name => 'x' });
	answers('an unknown route', 404, 'NotFoundError', 'GET', $_) for '/', '/api/v1/projects', "$source/x";
	answers('a name that is taken', 409, 'AlreadyExistsError', 'PATCH', $source, body => { name => 'Project dbt connection' });
	is(answers('a method that is not allowed', 405, 'MethodNotAllowedError', 'PUT', $source, body => {})->headers->header('Allow'),
		'HEAD, GET, PATCH, DELETE', 'the allowed ones are listed');
	$node->safe_psql('postgres', "UPDATE dbt.project_dbt_sources SET dbt_connection = 'broken' WHERE name LIKE 'b%'");
	my $id = answers('a connection that cannot be decrypted', 500, 'UnexpectedServerError', 'GET', $source)->headers->header('X-Request-Id') // 'missing';
	ok(slurp_file($node->logfile) =~ /DETAIL:  The id of the request is \Q$id\E\.$/m, 'is in the log with the id of the request');
	answers('heals with a new one', 200, '', 'PATCH', $source, body => { dbtConnection => github() });

	# tokens
	my ($header, $claims, $signature) = split /\./, $manager;
	my %tokens = (
		missing => undef,
		empty => '',
		expired => token({ projects => [$project], exp => time - 60 }),
		'of another key' => token({ projects => [$project] }, secret => 'x' x 40),
		'without signature' => token({ projects => [$project] }, algorithm => 'none'),
		'with another payload' => join('.', $header, encode_base64url($json->encode({ role => 'web_user', projects => [$other] })), $signature),
		garbage => 'x.y.z');
	for my $name (sort keys %tokens)
	{
		my $response = answers("a token that is $name", 401, 'AuthorizationError', 'GET', $sources, token => $tokens{$name});
		my @challenges = @{ $response->headers->every_header('WWW-Authenticate') };
		like("@challenges", $name eq 'missing' ? qr/^Bearer$/ : qr/^Bearer error="invalid_token"[^B]*$/, 'which scheme to use');
	}
	answers("a token $_->[0]", 403, 'ForbiddenError', 'GET', $sources, token => $_->[1])
	  for ['with a role that may not be taken', token({ role => 'pg_monitor' })], ['with a role that does not exist', token({ role => 'nobody"; --' })];
	answers("a token $_->[0]", 401, 'AuthorizationError', 'GET', $sources, token => $_->[1])
	  for ['without a role', token({ role => undef })], ['with another algorithm', token({}, algorithm => 'HS512')];
	answers('an invalid token with a large body', 401, 'AuthorizationError', 'PATCH', $source, token => 'x.y.z', body => 'x' x 5_000_000) for 1 .. 5;

	# a query string changes nothing
	is(answers("a query string $_", 200, '', 'PATCH', "$source?$_", body => { name => "a query string $_" })->json->{results}{name}, "a query string $_", 'is written')
	  for 'x=1', 'limit=0', 'offset=5', 'select=status', 'x=eq.1&order=y';

	# at once
	my @pending;
	my %statuses;
	for my $i (1 .. 40)
	{
		push @pending, $agent->start_p($agent->build_tx('PATCH', "http://127.0.0.1:$port$source",
				{ Authorization => "Bearer $manager" }, $json->encode({ name => "at once $i", dbtConnection => github(branch => "at once $i", personal_access_token => '') })))
		  ->then(sub { $statuses{ $_[0]->res->code }++ });
	}
	Mojo::Promise->all(@pending)->wait;
	is($json->encode(\%statuses), '{"200":40}', '40 updates of one source at once');
	my $result = request('after them', 'GET', $source)->json->{results};
	is($result->{dbtConnection}{branch}, $result->{name}, 'the last one is there, whole');

	# large; a pure Perl parser isn't
	my $escaped = '{\"a\": \"' . ('0123456789abcdef' x (64 * 65536)) . '\"}';
	my $large = answers('a 64 MiB manifest', 200, '', 'PATCH', $source,
		body => qq({"dbtConnection": {"type": "manifest", "hideRefreshButton": false, "manifest": "$escaped"}}));
	is($large->json('/results/type'), 'manifest', 'is stored');
	my ($manifest) = run_command([ 'curl', '-s', '-H', "Authorization: Bearer $manager", "http://127.0.0.1:$port$source" ]);
	cmp_ok(index($manifest, qq("manifest": "$escaped")), '>', 0, 'and read again');
	answers('a small one again', 200, '', 'PATCH', $source, body => { dbtConnection => github() });
	answers('too large', 413, 'PayloadTooLargeError', 'PATCH', $source, body => '{"name": "' . ('x' x ($limit + 1)) . '"}');

	# as bytes
	request('named', 'PATCH', $source, body => { name => 'named' });
	for my $case (raw_requests($source))
	{
		my ($name, $bytes, $expected, $stays) = @$case;
		my @got = exchange($bytes, scalar(split ' ', $expected));
		like(join(' ', map { $_->{status} } @got), qr/^(?:$expected)$/, "$name: $expected");
		ok($got[-1]{closes}, "$name: and the connection is closed") if !$stays && @got && $got[-1]{status} >= 400;
		append_to_file($responses, $json->encode({ name => "$port: $name", method => '', path => '', %$_ }) . "\n") for grep { $_->{status} >= 400 } @got;
	}
	is(answers('none of them was taken for two', 200, '', 'GET', $source)->json->{results}{name}, 'named again', 'but for those that were');

	# without PostgreSQL, and with it again
	$node->safe_psql('postgres', "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'authenticator'");
	recovers('after broken connections');
	$node->stop('fast');
	my $down = answers('PostgreSQL is down', 503, 'ServiceUnavailableError', 'GET', $sources);
	is($down->headers->header('Retry-After'), 1, 'try again');
	unlike($down->body, qr/postgres|socket|sql/i, 'nothing about the database');
	$node->start;
	recovers('and up again');

	# in the middle of a request: it waits for a lock when its backend goes
	my $holder = "BEGIN; SELECT FROM dbt.project_dbt_sources WHERE name <> '' FOR UPDATE; SELECT pg_sleep(60);";
	my $held = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $holder ], '>&', '/dev/null';
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	my $code;
	my $cut = $agent->start_p($agent->build_tx('PATCH', "http://127.0.0.1:$port$source", { Authorization => "Bearer $manager" }, '{"name": "cut"}'))
	  ->then(sub { $code = $_[0]->res->code });
	my $killer = IPC::Run::start [ 'bash', '-c', "until [ \"\$(psql -XAtq -d '" . $node->connstr('postgres') .
		  "' -c \"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'authenticator' AND wait_event_type = 'Lock'\")\" = 1 ]; do sleep 0.1; done" ];
	$cut->wait;
	$killer->finish;
	is($code, 503, 'its backend ends in the middle of a request');
	$node->safe_psql('postgres', "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	$held->finish;
	is($node->safe_psql('postgres', "SELECT count(*) FROM dbt.project_dbt_sources WHERE name = 'cut'"), 0, 'and nothing was written');

	# a lock that isn't free in time
	$node->safe_psql('postgres', "ALTER ROLE authenticator IN DATABASE postgres SET lock_timeout = '200ms'; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'authenticator'");
	recovers('after another break');
	$held = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $holder ], '>&', '/dev/null';
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	answers('a lock timeout', 503, 'ServiceUnavailableError', 'PATCH', $source, body => { name => 'x' });
	$node->safe_psql('postgres', "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'; ALTER ROLE authenticator IN DATABASE postgres SET lock_timeout = '5s'");
	$held->finish;
	recovers('in the end');

	is($json->encode(answers('delete', 200, '', 'DELETE', $source)->json), '{"status":"ok"}', 'deleted');
}

# every answer is what the contract says
my $checked = '';
IPC::Run::run [ 'python3', "$top/test/http/validate.py", "$top/test/openapi/update-dbt-source.yaml" ], '<', $responses, '>&', \$checked;
my $expected = () = slurp_file($responses) =~ /\n/g;
is($checked, "$expected checked\n", 'every answer is valid by the contract');

# malformed bodies, and secrets, are in no log
unlike(slurp_file($_), qr/sesame|personal_access_token/, "no secret in $_") for $node->logfile, map { "$folder/$_.log" } 'proxy', 'nginx', 'postgrest';
unlike(slurp_file($node->logfile), qr/22P02|invalid input syntax for type json/, 'malformed JSON is in no log');

done_testing();
