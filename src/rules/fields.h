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

#include "rules/variants.h"

typedef struct ConnectionFields
{
	Variant		variant;
	bool		only_known;		/* secrets are all that a view withholds: there is
								 * no unknown property, in a variable neither */
	bool		present[NUM_FIELDS];	/* in the order of connection_fields */
	JsonbValue	values[NUM_FIELDS]; /* of those that are; in the connection's memory */
} ConnectionFields;

extern Variant ConnectionVariant(Jsonb *connection);
extern void ReadFields(Jsonb *connection, ConnectionFields *fields);

#endif							/* DBT_SOURCES_FIELDS_H */
