# What test/build, test/commands and the like say, in the words of TAP.

number=0
failures=0

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		failures=$((failures + 1))
		echo "not ok $number - $2"
		if [ -n "${3:-}" ]; then sed 's/^/# /' <<<"$3"; fi
	fi
}

# ok NAME COMMAND: it succeeds
ok()
{
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	result $status "$name" "$output"
}

# fails NAME REGEX COMMAND: it doesn't, and says why
fails()
{
	local name=$1 regex=$2 output status=0
	shift 2
	output=$("$@" 2>&1) && status=1
	grep -q -e "$regex" <<<"$output" || status=1
	result $status "$name" "$output"
}

# is NAME GOT EXPECTED
is()
{
	local status=0
	[ "$2" = "$3" ] || status=1
	result $status "$1" "got: $2
expected: $3"
}

isnt()
{
	local status=0
	[ "$2" != "$3" ] || status=1
	result $status "$1" "got: $2"
}

like()
{
	local status=0
	grep -qE -e "$3" <<<"$2" || status=1
	result $status "$1" "got: $2"
}

unlike()
{
	local status=0
	! grep -qE -e "$3" <<<"$2" || status=1
	result $status "$1" "got: $2"
}

done_testing()
{
	echo "1..$number"
	[ $failures = 0 ]
	exit
}
