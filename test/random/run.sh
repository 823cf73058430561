# Runs a random test in a cluster of its own: random NAME ARGUMENTS

. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib.sh"

random()
{
	local name=$1 arguments=()
	shift
	original=
	while [ $# -gt 0 ]; do
		case $1 in
		--pg-config) original=${2:?is the path of a pg_config}; shift ;;
		--pg-config=*) original=${1#*=} ;;
		--help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
		*) arguments+=("$1") ;;
		esac
		shift
	done
	prepare
	install_modules test/random
	build_and_install
	start_cluster
	patiently as_user node "$work/src/test/random/$name.js" "${arguments[@]}"
}
