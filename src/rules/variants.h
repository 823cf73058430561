/*-------------------------------------------------------------------------
 *
 * variants.h
 *		The eight variants of a dbt connection as one table of facts.
 *
 * Everything that is particular to a variant or to a field is in the table in
 * variants.c; validation, redaction, keeping and summary are generic over it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_VARIANTS_H
#define DBT_SOURCES_VARIANTS_H

#include "postgres.h"

/* in the order of the contract's enum DbtProjectType */
typedef enum Variant
{
	VARIANT_UNKNOWN = -1,
	VARIANT_DBT,
	VARIANT_DBT_CLOUD_IDE,
	VARIANT_GITHUB,
	VARIANT_GITLAB,
	VARIANT_BITBUCKET,
	VARIANT_AZURE_DEVOPS,
	VARIANT_NONE,
	VARIANT_MANIFEST,
	NUM_VARIANTS
} Variant;

typedef enum FieldType
{
	FIELD_STRING,
	FIELD_BOOLEAN,
	FIELD_STRINGS,				/* array of string */
	FIELD_ENVIRONMENT			/* array of {key, value} */
} FieldType;

/* what a field means to others than validation */
typedef enum FieldTrait
{
	TRAIT_NONE,
	TRAIT_SECRET,				/* withheld from every view */
	TRAIT_HOST,					/* names the service's host, or an URL there */
	TRAIT_IDENTITY				/* shown in the summary */
} FieldTrait;

/* what a field is a destination of: it decides where that ends up */
typedef enum Destination
{
	DESTINATION_OF_SECRETS,		/* tokens and unknown properties, and then
								 * whatever else is secret */
	DESTINATION_OF_ENVIRONMENT	/* no more than the environment, as it decides
								 * whose code runs there */
} Destination;

/* what another field of a connection says */
typedef struct Condition
{
	const char *field;
	const char *value;
} Condition;

/* what a string is, which says what may be in it */
typedef enum FieldText
{
	TEXT_ANY,
	TEXT_TOKEN,
	TEXT_USER,
	TEXT_HOST					/* or a URL */
} FieldText;

typedef struct Field
{
	const char *name;
	int			name_len;
	FieldType	type;
	FieldTrait	trait;
	FieldText	kind;			/* of FIELD_STRING */
	const char *presence;		/* a letter for each variant: see variants.c */
	const char *destination;	/* the same */
	const char *const *allowed; /* NULL-terminated enum, or NULL for any */
	const char *summary_key;	/* for TRAIT_IDENTITY */
	const Condition *unused;	/* when nobody reads it, or NULL for never */
} Field;

/* by Variant, NULL-terminated */
extern const char *const variant_names[];

/* by Variant: what its TRAIT_HOST is where it is left out; NULL if it has none */
extern const char *const service_hosts[NUM_VARIANTS];

/* every field of any variant */
#define NUM_FIELDS 23
extern const Field connection_fields[];

#define foreach_field(field) \
	for (const Field *field = connection_fields; field < connection_fields + NUM_FIELDS; field++)

/* by dbt's convention the name of an environment variable with a secret */
#define SECRET_VARIABLE_PREFIX "DBT_ENV_SECRET"

/* the property that tells the variants apart; every variant requires it */
#define TYPE_PROPERTY "type"

extern Variant VariantByName(const char *name, int len);
extern const Field *FieldByName(Variant variant, const char *name, int len);
extern bool FieldIsKnown(const Field *field, Variant variant);
extern bool FieldIsRequired(const Field *field, Variant variant);
extern bool FieldIsDestination(const Field *field, Variant variant, Destination of);
extern const Field *EnvironmentField(Variant variant);

#endif							/* DBT_SOURCES_VARIANTS_H */
