/*-------------------------------------------------------------------------
 *
 * fields.h
 *		A connection taken apart by the table of facts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_FIELDS_H
#define DBT_SOURCES_FIELDS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "variants.h"

typedef struct ConnectionFields
{
	Variant		variant;
	bool		has_unknown;	/* properties that the variant doesn't know */
	bool		present[NUM_FIELDS];	/* in the order of connection_fields */
	JsonbValue	values[NUM_FIELDS]; /* of those that are; in the connection's memory */
} ConnectionFields;

extern Variant ConnectionVariant(Jsonb *connection);
extern void ReadFields(Jsonb *connection, ConnectionFields *fields);
extern bool HasOnlyKnown(const ConnectionFields *fields);

#endif							/* DBT_SOURCES_FIELDS_H */
