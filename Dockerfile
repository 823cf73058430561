# The official image of PostgreSQL, and the extension:
#
# docker build -t postgres-dbt-sources --build-arg PG_MAJOR=18 .
# docker run -e POSTGRES_PASSWORD=… -v …:/var/lib/postgresql postgres-dbt-sources
#
# (Before 18 the volume is /var/lib/postgresql/data.) The keyring is in the data
# directory, so on the volume. Better: a secret; see docs/keyring.md.
ARG PG_MAJOR=18

FROM postgres:${PG_MAJOR} AS build
ARG PG_MAJOR
RUN apt-get update && \
	apt-get install -y --no-install-recommends gcc libc6-dev make postgresql-server-dev-${PG_MAJOR} && \
	rm -rf /var/lib/apt/lists/*
COPY . /src
RUN make -C /src && make -C /src install DESTDIR=/installed

FROM postgres:${PG_MAJOR}
COPY --from=build /installed /
# Hides connections in the log, whoever writes it. A new cluster's postgresql.conf
# is made of this, and arguments add to it. A volume from before needs the line in
# its own postgresql.conf.
RUN echo "shared_preload_libraries = 'dbt_sources'" >> /usr/share/postgresql/postgresql.conf.sample
