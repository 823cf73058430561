/*-------------------------------------------------------------------------
 *
 * fields.h
 *		A connection taken apart by the table of facts.
 *
 * Nothing is copied: what is here points into the document that was read, and
 * what an update keeps (see withheld.h) into the stored one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_FIELDS_H
#define DBT_SOURCES_FIELDS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "rules/variants.h"

typedef enum Origin
{
	ORIGIN_NONE,				/* there is no such field */
	ORIGIN_SENT,				/* it is in the document that was read */
	ORIGIN_REMOVED,				/* it was sent as null, so that it isn't kept */
	ORIGIN_KEPT					/* it is the stored one's */
} Origin;

typedef struct ConnectionFields
{
	JsonbValue	document;		/* what was read */
	Variant		variant;
	bool		update;			/* a null removes a secret that is optional */
	bool		only_known;		/* a view withholds secrets only: there is no
								 * unknown property, in a variable neither */
	Origin		origin[NUM_FIELDS]; /* in the order of connection_fields */
	JsonbValue	values[NUM_FIELDS]; /* of those that are there */

	/* of an update only */
	JsonbContainer *stored;		/* whose unknown properties are kept, or NULL */
	JsonbContainer **counterparts;	/* the stored one of each variable that
									 * was sent, or NULL; NULL if none was */
} ConnectionFields;

extern Variant ConnectionVariant(Jsonb *connection);
extern void ReadFields(const JsonbValue *document, bool update, ConnectionFields *fields);
extern void ReadConnection(Jsonb *connection, ConnectionFields *fields);
extern void KeepField(ConnectionFields *fields, const Field *field, const JsonbValue *value);
extern const JsonbValue *FieldValue(const ConnectionFields *fields, const Field *field);
extern const JsonbValue *EnvironmentOf(const ConnectionFields *fields);
extern bool IsUnused(const ConnectionFields *fields, const Field *field);
extern bool IsSecretVariable(const JsonbValue *key);

#endif							/* DBT_SOURCES_FIELDS_H */
