#include "update_dbt_source.c"

#define OTHER "22222222-2222-4222-8222-222222222222"
#define CONNECTION(fields) "{\"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"sesame\", " \
	"\"repository\": \"acme/shop\", \"project_sub_path\": \"/\"" fields "}}"
#define BODY CONNECTION(", \"branch\": \"main\"")
#define UNSTORABLE "{\"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"sesame\", \"branch\": \"\\u0000\"}}"

static PGconn *conn;
static char told[1000];

/* what is logged is in told */
static char *
update(const char *claims, const char *project, const char *source, const char *body)
{
	const char *values[] = {project, source, body};
	FILE	   *log = fmemopen(told, sizeof told, "w");
	char	   *summary = update_dbt_source(conn, claims, values, log);

	fclose(log);
	return summary;
}

static void
check(const char *name, bool holds)
{
	printf("%s - %s\n%s", holds ? "ok" : "not ok", name, holds ? "" : told);
}

static void
fails(const char *name, char *summary, const char *expected)
{
	check(name, summary == NULL && strcmp(told, expected) == 0);
	told[0] = '\0';
}

int
main(int argc, char **argv)
{
	const char *project = argv[2];
	const char *source = argv[3];
	const char *values[] = {project, source, UNSTORABLE};
	char		claims[200];
	char		views[200];
	char	   *summary;
	bool		clean = true;

	snprintf(claims, sizeof claims, "{\"projects\": [\"%s\"], \"manages\": [\"%s\"]}", project, project);
	snprintf(views, sizeof views, "{\"projects\": [\"%s\"]}", project);
	conn = PQconnectdb("");

	summary = update(claims, project, source, BODY);
	check("a body with a secret", argc == 4 && summary != NULL && strstr(summary, "\"branch\": \"main\"") && !strstr(summary, "sesame"));
	free(summary);
	fails("problems", update(claims, project, source, CONNECTION(", \"environment\": [{\"key\": \"PATH\", \"value\": \"sesame\"}]")),
		  "22023: invalid dbt source\ndbtConnection.environment[0].key: must not name a variable that changes how dbt runs\ndbtConnection.branch: is required\n");
	fails("what jsonb cannot hold", update(claims, project, source, UNSTORABLE), "22P05: unsupported Unicode escape sequence\n\n");
	summary = update(claims, project, "none", BODY);
	check("a uuid that is none", summary == NULL && strncmp(told, "22P02: invalid input syntax for type uuid: ", 43) == 0);
	fails("no such source", update(claims, project, OTHER, BODY), "P0002: dbt source not found\n\n");
	fails("no such project", update(claims, OTHER, source, BODY), "P0002: project not found\n\n");
	fails("who only views", update(views, project, source, BODY), "42501: permission denied for project\n\n");
	fails("a name that is taken", update(claims, project, source, "{\"name\": \"taken\"}"),
		  "23505: project already has a dbt source of that name\n\n");
	for (int i = 0; i < 7; i++)
	{
		summary = update(claims, project, source, BODY);
		clean &= summary != NULL && update("{}", project, source, BODY) == NULL && strstr(told, "P0002: project not found");
		free(summary);
	}
	check("nothing is left of a request", clean);

	if (strcmp(argv[1], "direct") == 0)
	{
		PQclear(PQexecParams(conn, "SELECT dbt.update_project_dbt_source($1, $2, $3)", 3, NULL, values, NULL, NULL, 0));
		check("trap: the message quotes the body", strstr(PQerrorMessage(conn), "sesame") != NULL);
	}
	PQfinish(conn);
	puts("done");
	return 0;
}
