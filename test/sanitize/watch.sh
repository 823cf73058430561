# For test/run, and test/fuzz: the servers of the throwaway cluster, and those that tests start
# themselves, run below AddressSanitizer and UBSan, or below valgrind.

# What to preload for a server that loads what was built with a sanitizer; the
# argument is the library of AddressSanitizer.
preloaded()
{
	as_user gcc -O0 -shared -fPIC -Wl,-z,initfirst -o "$work/first.so" "$work/src/test/sanitize/first.c"
	echo "$1:$work/first.so"
}

# To be called before anything is built: sets flags.
watch()
{
	reports=$work/reports
	mkdir -m 777 "$reports"
	flags=(with_llvm=no COPT="-g -fno-omit-frame-pointer -include $work/src/test/sanitize/palloc.h")
	case $1 in
	sanitize)
		flags[1]+=" -fsanitize=address,undefined -fno-sanitize-recover=all"
		# PostgreSQL frees all at its end, and says in words what it can't allocate;
		# it keeps its name, by which pg_ctl starts it again
		in_place_of_postgres 'exec -a "$0"' LD_PRELOAD="$(preloaded "$(gcc -print-file-name=libasan.so)")" \
			ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1" \
			UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1"
		;;
	valgrind)
		flags[1]+=" -DUSE_VALGRIND"
		in_place_of_postgres "exec $(printf '%q ' valgrind -q --error-limit=no --num-callers=30 --fullpath-after= --log-file="$reports/valgrind.%p" \
			--suppressions="$work/src/test/sanitize/valgrind.supp")"
		;;
	esac
	# everything takes its time
	export PGCTLTIMEOUT=600 PG_TEST_TIMEOUT_DEFAULT=1800 DBT_SOURCES_WATCHED=$1
}

# What runs postgres is a script from now on: in_place_of_postgres EXEC [NAME=VALUE ...]
in_place_of_postgres()
{
	mv "$bin/postgres" "$bin/postgres.watched"
	{
		echo '#!/bin/bash'
		# who asks for the version only reads what is written
		echo 'case $1 in -V | --version) exec "$0.watched" "$1" ;; esac'
		if [ $# -gt 1 ]; then echo "export $(printf '%q ' "${@:2}")"; fi
		echo "$1 \"\$0.watched\" \"\$@\""
	} >"$bin/postgres"
	chmod +x "$bin/postgres"
}

# What was reported of the extension; of PostgreSQL itself valgrind has things
# to say, too.  Fails if there is anything.
show_reports()
{
	local report
	for report in "$reports"/*; do
		[ -s "$report" ] || continue
		case $report in
		*/valgrind.*)
			# a blank line ends each
			awk -v src="$work/src/" '{ sub(/^==[0-9]+== ?/, "") }
				/^$/ { if (ours) print text; text = ""; ours = 0; next }
				{ text = text "\n" $0 } index($0, src) { ours = 1 }
				END { if (ours) print text }' "$report"
			;;
		*) cat "$report" ;;
		esac
	done >"$work/reported"
	[ -s "$work/reported" ] || return 0
	sed "s#$work/src/##; s/^/# /" "$work/reported" | head -n 400
	echo "not ok 1 - nothing is reported of the extension"
	return 1
}
