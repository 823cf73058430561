EXTENSION = dbt_sources
MODULE_big = dbt_sources
DATA = $(wildcard sql/dbt_sources--*.sql)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PG_CPPFLAGS = -Isrc

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test

# pg_isolation_regress looks for expected/ below its output folder
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

EXTRA_CLEAN = results output_iso tmp_check test/modules/test_units/*.o test/modules/test_units/*.so test/modules/test_units/*.bc

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*/*.h)

# TAP tests load it from where it was built
installcheck: test_units

.PHONY: test_units
test_units:
	$(MAKE) -C test/modules/test_units PG_CONFIG=$(PG_CONFIG) all
