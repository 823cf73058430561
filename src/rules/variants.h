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
	VARIANT_MANIFEST
} Variant;

#define NUM_VARIANTS (VARIANT_MANIFEST + 1)

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
	TRAIT_HOST,					/* names the host that secrets are sent to */
	TRAIT_IDENTITY				/* shown in the summary */
} FieldTrait;

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
	FieldText	text;			/* of FIELD_STRING */
	const char *presence;		/* a letter for each variant: see variants.c */
	const char *const *allowed; /* NULL-terminated enum, or NULL for any */
	const char *summary_key;	/* for TRAIT_IDENTITY */
} Field;

/* by Variant, NULL-terminated */
extern const char *const variant_names[NUM_VARIANTS + 1];

/* every field of any variant */
#define NUM_FIELDS 23
extern const Field connection_fields[NUM_FIELDS];

/* by dbt's convention the name of an environment variable with a secret */
#define SECRET_VARIABLE_PREFIX "DBT_ENV_SECRET"

/* the property that tells the variants apart; every variant requires it */
#define TYPE_PROPERTY "type"

extern Variant VariantByName(const char *name, int len);
extern const Field *FieldByName(Variant variant, const char *name, int len);
extern bool FieldIsKnown(const Field *field, Variant variant);
extern bool FieldIsRequired(const Field *field, Variant variant);

#endif							/* DBT_SOURCES_VARIANTS_H */
