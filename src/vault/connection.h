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

#include "vault/keyring.h"
#include "rules/fields.h"
#include "storage/source.h"

extern text *SealConnection(const ConnectionFields *fields, const Source *source);
extern text *ResealConnection(Jsonb *connection, const Source *source);
extern Jsonb *OpenConnection(Source *source, const Keyring *keyring,
							 bool keep_envelope, const char **why);
extern text *PrefixOfNothingFor(const ConnectionFields *update, const Source *source);
extern Jsonb *StoredConnection(Source *source);
extern Jsonb *StoredConnectionFor(const ConnectionFields *update, Source *source);
extern Jsonb *RequireConnection(Source *source);

#endif							/* DBT_SOURCES_CONNECTION_H */
