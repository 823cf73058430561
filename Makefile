EXTENSION = dbt_sources
MODULE_big = dbt_sources

# the checkout, which needn't be where make is called
top := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))
here = $(filter .,$(top))
quoted = '$(subst ','\'',$(1))'
files = $(patsubst $(top)/%,%,$(sort $(wildcard $(addprefix $(top)/,$(1)))))

DATA = $(call files,sql/dbt_sources--*.sql)
OBJS = $(patsubst %.c,%.o,$(call files,src/*.c src/*/*.c))
# SQL functions are exported one by one, as PostgreSQL 16 wants it
PG_CFLAGS = -fvisibility=hidden
PG_CPPFLAGS = -I$(top)/src

REGRESS = $(patsubst test/sql/%.sql,%,$(call files,test/sql/*.sql))
ISOLATION = $(patsubst test/specs/%.spec,%,$(call files,test/specs/*.spec))
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
# databases of these suites alone, in UTF-8 whatever the cluster's are in
USE_MODULE_DB = 1
ENCODING = UTF8
REGRESS_OPTS = --use-existing --inputdir=$(top)/test
# pg_isolation_regress looks for expected/ below its output folder
ISOLATION_OPTS = --use-existing --inputdir=$(top)/test --outputdir=.
NO_INSTALLCHECK = 1

EXTRA_CLEAN = built-for results output_iso tmp_check $(addprefix test/modules/test_units/*.,o so bc)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

ifeq ($(OBJS),)
$(error found no source in "$(top)/src"; a folder whose path has a blank is built in itself)
endif

# what was built for one server, or with other flags, is not for another
built_for = $(shell $(PG_CONFIG) --version --pgxs) $(CC) $(CFLAGS) $(CPPFLAGS)
$(OBJS) $(OBJS:.o=.bc): built-for $(wildcard $(top)/src/*/*.h)
built-for: FORCE
	@$(MKDIR_P) $(sort $(dir $(OBJS)))
	@echo $(call quoted,$(built_for)) | cmp -s - $@ || echo $(call quoted,$(built_for)) >$@

# one suite's failure doesn't keep the others from running
SUITES ?= installcheck-imports installcheck-sql installcheck-isolation installcheck-tap
again = $(MAKE) --no-print-directory $(if $(here),,-f $(firstword $(MAKEFILE_LIST)))
installcheck:
	@failed=0; for suite in $(SUITES); do $(again) $$suite || failed=1; done; exit $$failed

# the next suite writes its own
differences = { cat regression.diffs 2>/dev/null; exit 1; }

installcheck-imports:
	@cd '$(top)/src' && awk -f ../test/imports */*.[ch] *.c

installcheck-sql: links
	@PATH="$(bindir):$$PATH" $(top)/test/apart $(CONTRIB_TESTDB) $(call quoted,$(pg_regress_installcheck) $(REGRESS_OPTS) $(REGRESS)) || $(differences)

installcheck-isolation: links
	@PATH="$(bindir):$$PATH" $(top)/test/apart $(ISOLATION_TESTDB) $(call quoted,$(pg_isolation_regress_installcheck) $(ISOLATION_OPTS) $(ISOLATION)) || $(differences)

# clusters of their own, in UTF-8 too
no_tap = $(if $(shell perl -MIPC::Run -e 1 2>&1),Perl has no IPC::Run,$(if \
	$(wildcard $(top_builddir)/src/test/perl/PostgreSQL/Test/Cluster.pm),,this PostgreSQL came without its test modules))
installcheck-tap: export LC_ALL =
installcheck-tap: export LC_CTYPE =
installcheck-tap: export LANG = C.UTF-8
installcheck-tap: export TEST_UNITS = $(CURDIR)/test/modules/test_units/test_units.so
installcheck-tap: test_units
	$(if $(no_tap),@echo "TAP tests skipped: $(no_tap)",$(prove_installcheck))

# TAP tests load it from where it was built
test_units: built-for
	@$(MKDIR_P) test/modules/test_units
	$(MAKE) -C test/modules/test_units $(if $(here),,-f $(abspath $(top))/test/modules/test_units/Makefile) PG_CONFIG=$(PG_CONFIG) all

# outside of the checkout, tests find these all the same
links:
	$(if $(here),@:,@ln -sfn $(abspath $(top))/expected $(abspath $(top))/proxy .)

# the archive of a release
version = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" '$(top)/$(EXTENSION).control')
dist:
	git -C '$(top)' archive --format=zip --prefix=$(EXTENSION)-$(version)/ -o '$(CURDIR)/$(EXTENSION)-$(version).zip' HEAD

.PHONY: FORCE $(SUITES) test_units links dist
