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

#include "base/json.h"
#include "rules/variables.h"

static const char *const refused_prefixes[] = {
	"LIGHTDASH_DBT_PROFILE_VAR_",
	/* the loader and the C library */
	"LD_", "DYLD_", "GLIBC_", "GCONV_", "MALLOC_",
	/* programs */
	"GIT_", "SSH_", "BASH_", "XDG_",
	/* languages and their package managers */
	"PYTHON", "PIP_", "UV_", "CONDA_", "VIRTUAL_ENV",
	"NODE_", "NPM_CONFIG_", "npm_config_",
	"PERL5", "PERLLIB", "RUBY", "GEM_", "BUNDLE_",
	"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS",
};

static const char *const refused_names[] = {
	/* shells, and where things are */
	"PATH", "HOME", "SHELL", "IFS", "CDPATH", "PS4", "PROMPT_COMMAND",
	"TMPDIR", "TMP", "TEMP",
	/* the C library */
	"LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS", "RESOLV_HOST_CONF",
	/* programs that others start */
	"EDITOR", "VISUAL", "PAGER", "LESSOPEN", "LESSCLOSE",
	/* where traffic goes, and whom it trusts */
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"CURL_HOME", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
	/* dbt's folders */
	"DBT_PROFILES_DIR", "DBT_PROJECT_DIR", "DBT_TARGET_PATH", "DBT_LOG_PATH",
	"DBT_PACKAGES_INSTALL_PATH",
};

static bool
IsRefused(const JsonbValue *name)
{
	for (size_t i = 0; i < lengthof(refused_prefixes); i++)
	{
		size_t		len = strlen(refused_prefixes[i]);

		if ((size_t) name->val.string.len >= len &&
			memcmp(name->val.string.val, refused_prefixes[i], len) == 0)
			return true;
	}
	for (size_t i = 0; i < lengthof(refused_names); i++)
	{
		if (JsonStringEquals(name, refused_names[i]))
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
