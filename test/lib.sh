# Shared by test/run, test/demo and bench/run: packages, and a private copy of
# PostgreSQL.
#
# PostgreSQL finds its libraries and extensions relative to its programs.  So a
# copy of the installation in a temporary folder can be built for and installed
# into without touching the one of the system, or any cluster of it.

set -euo pipefail

# What the caller's shell has set for PostgreSQL, make or a language isn't meant
# for a throwaway cluster.  These are for the machine, or for us.
for name in $(compgen -e); do
	case $name in
	SHELLOPTS | BASHOPTS) ;;	# read only
	PATH | HOME | USER | LOGNAME | TERM | COLUMNS | LINES | TMPDIR | NO_COLOR | CI | POSTGREST | DBT_SOURCES_*) ;;
	*_proxy | *_PROXY | *CA_BUNDLE | SSL_CERT_* | NODE_EXTRA_CA_CERTS | npm_config_* | APT_CONFIG) ;;
	*) unset "$name" ;;
	esac
done
# whatever the machine has: what the tests create by themselves is in UTF-8, too
export LANG=C.UTF-8

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

fail()
{
	echo "$(basename "$0"): $1" >&2
	exit 1
}

# What is being done that takes a while, as a line that moves on a terminal.
say()
{
	if [ -t 1 ]; then printf '\r\033[K%s' "$*"; fi
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# PostgreSQL refuses to run as root.
as_user()
{
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups -- env HOME="${work:-/}" "$@"
	else
		env HOME="${work:-$HOME}" "$@"
	fi
}

# Runs a command that takes its time, so that a signal still interrupts us.
patiently()
{
	"$@" &
	wait $!
}

missing_packages()
{
	local package
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
	done
}

install_packages()
{
	local missing
	if ! command -v apt-get >/dev/null; then
		echo "There is no apt-get here. These packages, or what they are called here, are taken to be installed: $*"
		return 0
	fi
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		fail "there is no sudo here; as root, first: apt-get install" $missing
	fi
	echo "installing" $missing
	# One at a time, and not beside another apt.  In single-user mode, so that no
	# server is started that a package brings.
	patiently as_root flock /var/lib/dpkg env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c '
		apt-get -qq update || echo "going on with the lists of packages as they are" >&2
		exec apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" >/dev/null' sh $missing
}

# Installs those of the packages that this release has; a test of what isn't
# there skips itself.
install_packages_if_any()
{
	local package there=()
	command -v apt-cache >/dev/null && [ -n "$(missing_packages "$@")" ] || return 0
	compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || as_root apt-get -qq update || true
	for package in "$@"; do
		if [ -n "$(apt-cache show "$package" 2>/dev/null)" ]; then there+=("$package"); fi
	done
	install_packages "${there[@]}"
}

# The newest PostgreSQL that is installed, or else the distribution's.
postgres_major()
{
	if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
		install_packages postgresql >&2
	fi
	ls -d /usr/lib/postgresql/*/bin/postgres | cut -d/ -f5 | sort -n | tail -1
}

# The processes of the calling user that run in the folder.
running_in()
{
	local process
	for process in /proc/[0-9]*; do
		case $(readlink "$process/cwd")/ in "$1"/*) echo "${process#/proc/}" ;; esac
	done 2>/dev/null
}

# Ends all that we started, and leaves nothing of it.
cleanup()
{
	local status=$? signal tries
	trap '' INT TERM HUP
	cd /
	find "$work" -name postmaster.pid 2>/dev/null | while read -r file; do
		as_user "$bin/pg_ctl" -D "$(dirname "$file")" -m immediate stop >/dev/null 2>&1 || true
	done
	for signal in TERM KILL; do
		as_user bash -c "$(declare -f running_in); kill -s $signal \$(running_in $work)" 2>/dev/null || true
		for tries in {1..30}; do
			[ -n "$(as_user bash -c "$(declare -f running_in); running_in $work")" ] || break 2
			sleep 0.1
		done
	done
	rm -rf "$work"
	exit $status
}

# Where make, the server's user and the name of a socket can all do with it.
temporary_folder()
{
	local folder=${TMPDIR:-/tmp}
	if [[ $folder =~ [^A-Za-z0-9/._-] ]] || [ ${#folder} -gt 60 ] || [ ! -w "$folder" ] || ! as_user test -x "$folder"; then
		folder=/tmp
	fi
	mktemp -d "$folder/dbt.XXXXXX"
}

# Sets work, bin and pg_config; the checkout is copied to $work/src.  The
# PostgreSQL is that of $original, a pg_config, if it is set.
prepare()
{
	local major bindir pkglibdir sharedir program
	if [ -n "${original:-}" ]; then
		original=$(command -v "$original" || fail "there is no $original")
	else
		major=$(postgres_major)
		set -- "postgresql-$major" "postgresql-server-dev-$major" "$@"
		original=/usr/lib/postgresql/$major/bin/pg_config
	fi
	install_packages make gcc libc6-dev util-linux "$@"

	bindir=$("$original" --bindir) pkglibdir=$("$original" --pkglibdir) sharedir=$("$original" --sharedir)
	[ -x "$bindir/postgres" ] || fail "$original is of a PostgreSQL without a server"
	[ -f "$("$original" --pgxs)" ] || fail "$original is of a PostgreSQL without what builds extensions"

	say "copying PostgreSQL ..."
	work=$(temporary_folder)
	bin=$work/root$bindir
	pg_config=$bin/pg_config
	trap cleanup EXIT
	trap 'exit 130' INT TERM HUP

	mkdir -p "$bin" "$work/root$pkglibdir" "$work/root$sharedir" "$work/src"
	for program in "$bindir"/{postgres,psql,initdb,createdb,dropdb,vacuumdb,pgbench,pg_*}; do
		if [ -f "$program" ]; then cp "$program" "$bin/"; fi
	done
	cp -r "$pkglibdir/." "$work/root$pkglibdir/"
	cp -rL "$sharedir/." "$work/root$sharedir/"
	# not each distribution's says where it was moved to
	rm -f "$pg_config"
	cat >"$pg_config" <<-END
		#!/bin/sh
		"$original" "\$@" | sed -E 's#(^| = )($bindir|$pkglibdir|$sharedir)(/|\$)#\1$work/root\2\3#'
	END
	chmod +x "$pg_config"
	# an installed version of the extension isn't the one under test
	rm -rf "$work/root$pkglibdir/dbt_sources.so" "$work/root$pkglibdir/bitcode/dbt_sources"* "$work/root$sharedir/extension/dbt_sources"*
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude=./built-for --exclude=node_modules -cf - . | tar -C "$work/src" -xf -
	chmod -R u+w "$work"
	if [ "$(id -u)" = 0 ]; then chown -R postgres: "$work"; fi
	# where the server's user may be, which the caller's folder needn't be
	cd "$work"
	export TMPDIR=$work
}

# What folders of the copy need from npm, as their lock files say.
install_modules()
{
	local folder
	if ! command -v node >/dev/null; then install_packages nodejs; fi
	if ! command -v npm >/dev/null; then install_packages npm; fi
	for folder in "$@"; do
		say "fetching the modules of $folder ..."
		(cd "$work/src/$folder" && patiently npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
		if [ "$(id -u)" = 0 ]; then chown -R postgres: "$work/src/$folder"; fi
	done
}

# The same with all that the suites can use.
prepare_suites()
{
	local major
	# of another PostgreSQL there may be none; the tests then say so
	install_packages_if_any pgbouncer python3-psycopg
	# a JDK is large
	if [ -n "${CI:-}" ]; then install_packages_if_any default-jdk-headless libpostgresql-jdbc-java; fi
	if [ -z "${original:-}" ]; then
		major=$(postgres_major)
		install_packages_if_any "postgresql-$major-plproxy" "postgresql-$major-pgaudit"
	fi
	prepare perl curl git unzip binutils libipc-run-perl libdbd-pg-perl jose jq libmojo-pg-perl libmojo-jwt-perl nginx-light python3-jsonschema python3-yaml python3-psycopg2 python3-sqlalchemy chromium "$@"
	install_modules proxy/node test/clients
}

build_and_install()
{
	say "building ..."
	patiently as_user make -s -C "$work/src" PG_CONFIG="$pg_config" "$@" all >/dev/null
	as_user make -s -C "$work/src" PG_CONFIG="$pg_config" "$@" install >/dev/null
}

start_cluster()
{
	say "starting a cluster ..."
	patiently as_user "$bin/initdb" -D "$work/data" -U postgres -A trust --locale=C.UTF-8 -E UTF8 >/dev/null
	as_user "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w start >/dev/null \
		-o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off -c max_connections=50"
	export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	say
}
