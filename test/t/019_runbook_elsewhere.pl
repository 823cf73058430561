# 010_runbook, with the keyring outside of the data directory.
use strict;
use warnings;

# they set themselves up before anything runs
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

$ENV{KEYRING_ELSEWHERE} = 1;
do './test/t/010_runbook.pl';
die $@ if $@;
