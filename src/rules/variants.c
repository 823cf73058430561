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

const char *const variant_names[] = {
	"dbt", "dbt_cloud_ide", "github", "gitlab", "bitbucket", "azure_devops", "none", "manifest", NULL
};

StaticAssertDecl(lengthof(variant_names) == NUM_VARIANTS + 1, "each variant has a name");

const char *const service_hosts[NUM_VARIANTS] = {
	[VARIANT_DBT_CLOUD_IDE] = "https://metadata.cloud.getdbt.com/graphql",
	[VARIANT_GITHUB] = "github.com",
	[VARIANT_GITLAB] = "gitlab.com",
	[VARIANT_BITBUCKET] = "bitbucket.org",
};

static const char *const authorization_methods[] = {
	"personal_access_token", "installation_id", NULL
};

static const Condition by_installation = {"authorization_method", "installation_id"};

/*
 * A field has one type and one meaning wherever it occurs, so that a row is a
 * field and a letter is a variant, in the order of the enum.  Presence: 'r'
 * required, 'o' optional, '.' not known there (so stored, but withheld).
 * Destination: 't' of tokens, and so of all secrets, 'e' of the environment, '.'
 * of nothing.
 */
#define FIELD(name_, type_, trait_, kind_, presence_, destination_) \
	.name = name_, .name_len = sizeof(name_) - 1, .type = type_, .trait = trait_, .kind = kind_, \
	.presence = LETTERS(presence_), .destination = LETTERS(destination_)

/* the letters, if there is one for each variant */
#define LETTERS(letters) \
	&(letters)[0 * sizeof(struct {StaticAssertDecl(sizeof(letters) == NUM_VARIANTS + 1, "each variant has a letter"); char c;})]
/* INDENT OFF */
const Field connection_fields[] = {
	/*                                                                               dbt
	 *                                                                               |dbt_cloud_ide
	 *                                                                               ||github
	 *                                                                               |||gitlab
	 *                                                                               ||||bitbucket
	 *                                                                               |||||azure_devops
	 *                                                                               ||||||none
	 *                                                                               |||||||manifest */
	{FIELD("type",                   FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "rrrrrrrr", "........"), .allowed = variant_names},
	{FIELD("target",                 FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", "........")},
	{FIELD("environment",            FIELD_ENVIRONMENT, TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", "........")},
	{FIELD("selector",               FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.ooooo.", "........")},
	{FIELD("profiles_dir",           FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.......", "........")},
	{FIELD("project_dir",            FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "o.......", "e.......")},
	{FIELD("api_key",                FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, ".r......", "........")},
	{FIELD("environment_id",         FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".r......", "........")},
	{FIELD("discovery_api_endpoint", FIELD_STRING,      TRAIT_HOST,     TEXT_HOST,  ".o......", ".t......")},
	{FIELD("tags",                   FIELD_STRINGS,     TRAIT_NONE,     TEXT_ANY,   ".o......", "........")},
	{FIELD("webhook_hmac_secret",    FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, ".o......", "........")},
	{FIELD("authorization_method",   FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "..r.....", "........"), .allowed = authorization_methods},
	{FIELD("username",               FIELD_STRING,      TRAIT_NONE,     TEXT_USER,  "....r...", "....t...")},
	{FIELD("personal_access_token",  FIELD_STRING,      TRAIT_SECRET,   TEXT_TOKEN, "..orrr..", "........"), .unused = &by_installation},
	{FIELD("installation_id",        FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   "..o.....", "........")},
	{FIELD("organization",           FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".....r..", ".....e..")},
	{FIELD("project",                FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".....r..", ".....e..")},
	{FIELD("repository",             FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", "..eeee.."), .summary_key = "repository"},
	{FIELD("branch",                 FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", "........"), .summary_key = "branch"},
	{FIELD("project_sub_path",       FIELD_STRING,      TRAIT_IDENTITY, TEXT_ANY,   "..rrrr..", "........"), .summary_key = "projectSubPath"},
	{FIELD("host_domain",            FIELD_STRING,      TRAIT_HOST,     TEXT_HOST,  "..ooo...", "..ttt...")},
	{FIELD("hideRefreshButton",      FIELD_BOOLEAN,     TRAIT_NONE,     TEXT_ANY,   "......or", "........")},
	{FIELD("manifest",               FIELD_STRING,      TRAIT_NONE,     TEXT_ANY,   ".......r", "........")},
};
/* INDENT ON */

StaticAssertDecl(lengthof(connection_fields) == NUM_FIELDS, "NUM_FIELDS counts the fields");

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
	foreach_field(field)
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

/*
 * Whether the field decides where what is of that kind ends up.
 */
bool
FieldIsDestination(const Field *field, Variant variant, Destination of)
{
	return field->destination[variant] == 't' ||
		(of == DESTINATION_OF_ENVIRONMENT && field->destination[variant] == 'e');
}

/*
 * The field of the variant that holds the environment, or NULL.
 */
const Field *
EnvironmentField(Variant variant)
{
	foreach_field(field)
	{
		if (field->type == FIELD_ENVIRONMENT && FieldIsKnown(field, variant))
			return field;
	}
	return NULL;
}
