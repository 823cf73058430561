EXTENSION = dbt_sources
MODULE_big = dbt_sources
DATA = $(wildcard sql/dbt_sources--*.sql)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test

# pg_isolation_regress looks for expected/ below its output folder
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

EXTRA_CLEAN = results output_iso tmp_check test/modules/test_aead/*.o test/modules/test_aead/*.so test/modules/test_aead/*.bc

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# TAP tests load it from where it was built
installcheck: test_aead

.PHONY: test_aead
test_aead:
	$(MAKE) -C test/modules/test_aead PG_CONFIG=$(PG_CONFIG) all
