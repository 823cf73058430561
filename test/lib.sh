# Shared by test/run and test/demo: packages, and a private copy of PostgreSQL.
#
# PostgreSQL finds its libraries and extensions relative to its programs.  So a
# copy of the installation in a temporary folder can be built for and installed
# into without touching the one of the system, or any cluster of it.

set -euo pipefail

# whatever the machine has: what the tests create by themselves is in UTF-8, too
export LANG=C.UTF-8
unset LC_ALL LC_CTYPE

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# PostgreSQL refuses to run as root.
as_user()
{
	if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
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
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	echo "installing" $missing
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get -qq update
	# single-user mode, so that no server is started that a package brings
	as_root env RUNLEVEL=1 apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

# The newest PostgreSQL that is installed, or else the distribution's.
postgres_major()
{
	if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
		install_packages postgresql >&2
	fi
	ls -d /usr/lib/postgresql/*/bin/postgres | cut -d/ -f5 | sort -n | tail -1
}

cleanup()
{
	[ -n "${work:-}" ] || return 0
	if [ -n "${proxy:-}" ]; then kill "$proxy" 2>/dev/null || true; fi
	if [ -f "$work/data/postmaster.pid" ]; then
		as_user "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
	fi
	rm -rf "$work"
}

# Sets work, bin and pg_config; the checkout is copied to $work/src.
prepare()
{
	local major
	major=$(postgres_major)
	install_packages make gcc libc6-dev "postgresql-$major" "postgresql-server-dev-$major" "$@"

	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	work=$(mktemp -d "${TMPDIR:-/tmp}/dbt.XXXXXX")
	bin=$work/usr/lib/postgresql/$major/bin
	pg_config=$bin/pg_config

	mkdir -p "$work/usr/lib/postgresql" "$work/usr/share/postgresql" "$work/src"
	cp -r "/usr/lib/postgresql/$major" "$work/usr/lib/postgresql/"
	cp -rL "/usr/share/postgresql/$major" "$work/usr/share/postgresql/"
	ln -s /usr/include "$work/usr/include"
	# an installed version of the extension isn't the one under test
	rm -f "$work/usr/lib/postgresql/$major/lib/dbt_sources.so" \
		"$work/usr/share/postgresql/$major/extension/dbt_sources"*
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$work/src" -xf -
	if [ "$(id -u)" = 0 ]; then chown -R postgres: "$work"; fi
}

build_and_install()
{
	as_user make -s -C "$work/src" PG_CONFIG="$pg_config" "$@" all >/dev/null
	as_user make -s -C "$work/src" PG_CONFIG="$pg_config" "$@" install >/dev/null
}

start_cluster()
{
	as_user "$bin/initdb" -D "$work/data" -U postgres -A trust --locale=C.UTF-8 -E UTF8 >/dev/null
	as_user "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w start >/dev/null \
		-o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off -c max_connections=50"
	export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}
