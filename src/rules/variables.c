/*-------------------------------------------------------------------------
 *
 * variables.c
 *		Which environment variables dbt may be started with.
 *
 * Refused is what changes how dbt, Python, git or their child processes run, or
 * where they read code and configuration from.  Names are case-sensitive.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rules/variables.h"

/* a name and its length, as there are many to compare with */
typedef struct VariableName
{
	const char *name;
	int			len;
} VariableName;

#define NAME(name) {name, sizeof(name) - 1}

static const VariableName refused_prefixes[] = {
	NAME("LIGHTDASH_DBT_PROFILE_VAR_"),
	/* the loader and the C library */
	NAME("LD_"), NAME("DYLD_"), NAME("GLIBC_"), NAME("GCONV_"), NAME("MALLOC_"),
	/* programs */
	NAME("GIT_"), NAME("SSH_"), NAME("BASH_"), NAME("XDG_"),
	/* languages and their package managers */
	NAME("PYTHON"), NAME("PIP_"), NAME("UV_"), NAME("CONDA_"), NAME("VIRTUAL_ENV"),
	NAME("NODE_"), NAME("NPM_CONFIG_"), NAME("npm_config_"),
	NAME("PERL5"), NAME("PERLLIB"), NAME("RUBY"), NAME("GEM_"), NAME("BUNDLE_"),
	NAME("JAVA_TOOL_OPTIONS"), NAME("_JAVA_OPTIONS"),
};

static const VariableName refused_names[] = {
	/* shells, and where things are */
	NAME("PATH"), NAME("HOME"), NAME("SHELL"), NAME("IFS"), NAME("CDPATH"),
	NAME("PS4"), NAME("PROMPT_COMMAND"),
	NAME("TMPDIR"), NAME("TMP"), NAME("TEMP"),
	/* the C library */
	NAME("LOCPATH"), NAME("NLSPATH"), NAME("HOSTALIASES"), NAME("RES_OPTIONS"),
	NAME("RESOLV_HOST_CONF"),
	/* programs that others start */
	NAME("EDITOR"), NAME("VISUAL"), NAME("PAGER"), NAME("LESSOPEN"),
	NAME("LESSCLOSE"),
	/* where traffic goes, and whom it trusts */
	NAME("HTTP_PROXY"), NAME("HTTPS_PROXY"), NAME("ALL_PROXY"), NAME("NO_PROXY"),
	NAME("http_proxy"), NAME("https_proxy"), NAME("all_proxy"), NAME("no_proxy"),
	NAME("SSL_CERT_FILE"), NAME("SSL_CERT_DIR"), NAME("REQUESTS_CA_BUNDLE"),
	NAME("CURL_CA_BUNDLE"),
	NAME("CURL_HOME"), NAME("OPENSSL_CONF"), NAME("OPENSSL_ENGINES"),
	NAME("OPENSSL_MODULES"),
	/* dbt's folders */
	NAME("DBT_PROFILES_DIR"), NAME("DBT_PROJECT_DIR"), NAME("DBT_TARGET_PATH"),
	NAME("DBT_LOG_PATH"),
	NAME("DBT_PACKAGES_INSTALL_PATH"),
};

static bool
BeginsWith(const JsonbValue *name, const VariableName *prefix)
{
	return name->val.string.len >= prefix->len &&
		memcmp(name->val.string.val, prefix->name, prefix->len) == 0;
}

static bool
IsRefused(const JsonbValue *name)
{
	for (size_t i = 0; i < lengthof(refused_prefixes); i++)
	{
		if (BeginsWith(name, &refused_prefixes[i]))
			return true;
	}
	for (size_t i = 0; i < lengthof(refused_names); i++)
	{
		if (name->val.string.len == refused_names[i].len && BeginsWith(name, &refused_names[i]))
			return true;
	}
	return false;
}

/*
 * Why dbt may not be started with a variable of that name, which is a string;
 * NULL if it may.  A name is what a shell takes for one, or empty: a form sends
 * a row that nobody filled in.
 */
const char *
RefuseVariable(const JsonbValue *name)
{
	for (int i = 0; i < name->val.string.len; i++)
	{
		char		c = name->val.string.val[i];

		CHECK_FOR_INTERRUPTS();
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
			  (i > 0 && c >= '0' && c <= '9')))
			return "must consist of letters, digits and underscores, and not begin with a digit";
	}
	return IsRefused(name) ? "must not name a variable that changes how dbt runs" : NULL;
}
