/*-------------------------------------------------------------------------
 *
 * variants.c
 *		The eight variants of a dbt connection as one table of facts.
 *
 * Contract: components/schemas/DbtProjectConfig and its eight alternatives.
 *
 *-------------------------------------------------------------------------
 */
#include "rules/variants.h"

const char *const variant_names[NUM_VARIANTS + 1] = {
	[VARIANT_DBT] = "dbt",
	[VARIANT_DBT_CLOUD_IDE] = "dbt_cloud_ide",
	[VARIANT_GITHUB] = "github",
	[VARIANT_GITLAB] = "gitlab",
	[VARIANT_BITBUCKET] = "bitbucket",
	[VARIANT_AZURE_DEVOPS] = "azure_devops",
	[VARIANT_NONE] = "none",
	[VARIANT_MANIFEST] = "manifest",
};

static const char *const authorization_methods[] = {
	"personal_access_token", "installation_id", NULL
};

/*
 * A field has one type and one meaning wherever it occurs, so that a row is a
 * field and a letter is a variant, in the order of the enum: 'r' required,
 * 'o' optional, '.' not known there (so stored, but withheld).
 */
#define NAME(name) name, sizeof(name) - 1

/* *INDENT-OFF* */
const Field connection_fields[] = {
	/*                                                                      dbt
	 *                                                                      |dbt_cloud_ide
	 *                                                                      ||github
	 *                                                                      |||gitlab
	 *                                                                      ||||bitbucket
	 *                                                                      |||||azure_devops
	 *                                                                      ||||||none
	 *                                                                      |||||||manifest */
	{NAME("type"),                   FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "rrrrrrrr", variant_names, NULL},
	{NAME("target"),                 FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", NULL, NULL},
	{NAME("environment"),            FIELD_ENVIRONMENT, TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", NULL, NULL},
	{NAME("selector"),               FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", NULL, NULL},
	{NAME("profiles_dir"),           FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.......", NULL, NULL},
	{NAME("project_dir"),            FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.......", NULL, NULL},
	{NAME("api_key"),                FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, ".r......", NULL, NULL},
	{NAME("environment_id"),         FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".r......", NULL, NULL},
	{NAME("discovery_api_endpoint"), FIELD_STRING,      TRAIT_HOST,     TEXT_HOST,  ".o......", NULL, NULL},
	{NAME("tags"),                   FIELD_STRINGS,     TRAIT_NONE,     TEXT_ANY,   ".o......", NULL, NULL},
	{NAME("webhook_hmac_secret"),    FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, ".o......", NULL, NULL},
	{NAME("authorization_method"),   FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "..r.....", authorization_methods, NULL},
	{NAME("username"),               FIELD_STRING,      TRAIT_NONE,     TEXT_USER,  "....r...", NULL, NULL},
	{NAME("personal_access_token"),  FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, "..orrr..", NULL, NULL},
	{NAME("installation_id"),        FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "..o.....", NULL, NULL},
	{NAME("organization"),           FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".....r..", NULL, NULL},
	{NAME("project"),                FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".....r..", NULL, NULL},
	{NAME("repository"),             FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", NULL, "repository"},
	{NAME("branch"),                 FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", NULL, "branch"},
	{NAME("project_sub_path"),       FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", NULL, "projectSubPath"},
	{NAME("host_domain"),            FIELD_STRING,      TRAIT_HOST,     TEXT_HOST,  "..ooo...", NULL, NULL},
	{NAME("hideRefreshButton"),      FIELD_BOOLEAN,     TRAIT_NONE,     TEXT_ANY,   "......or", NULL, NULL},
	{NAME("manifest"),               FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".......r", NULL, NULL},
};
/* *INDENT-ON* */

/*
 * The variant of that name, or VARIANT_UNKNOWN.
 */
Variant
VariantByName(const char *name, int len)
{
	for (int v = 0; v < NUM_VARIANTS; v++)
	{
		if (strlen(variant_names[v]) == (size_t) len &&
			memcmp(variant_names[v], name, len) == 0)
			return (Variant) v;
	}
	return VARIANT_UNKNOWN;
}

/*
 * The field of that name if the variant knows it, or NULL.
 */
const Field *
FieldByName(Variant variant, const char *name, int len)
{
	for (const Field *field = connection_fields; field < connection_fields + NUM_FIELDS; field++)
	{
		if (field->name_len == len && FieldIsKnown(field, variant) &&
			memcmp(field->name, name, len) == 0)
			return field;
	}
	return NULL;
}

bool
FieldIsKnown(const Field *field, Variant variant)
{
	return field->presence[variant] != '.';
}

bool
FieldIsRequired(const Field *field, Variant variant)
{
	return field->presence[variant] == 'r';
}
