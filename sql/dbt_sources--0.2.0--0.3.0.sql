-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION dbt_sources UPDATE TO '0.3.0'" to load this file. \quit
