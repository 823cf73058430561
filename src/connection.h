/*-------------------------------------------------------------------------
 *
 * connection.h
 *		A dbt connection, in the clear and at rest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_CONNECTION_H
#define DBT_SOURCES_CONNECTION_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "keyring.h"
#include "variants.h"

extern Variant ConnectionVariant(Jsonb *connection);
extern text *SealConnection(Jsonb *connection, const pg_uuid_t *project,
							const pg_uuid_t *source);
extern Jsonb *OpenConnection(text *envelope, const pg_uuid_t *project,
							 const pg_uuid_t *source, const Keyring *keyring,
							 const char **why);

#endif							/* DBT_SOURCES_CONNECTION_H */
