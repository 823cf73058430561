/*-------------------------------------------------------------------------
 *
 * sources.c
 *		The SQL functions over the dbt sources of a project.
 *
 * Common to all: UUIDs as uuid, documents as jsonb.  A NULL argument or a body
 * that breaks a rule is a ParameterError (22023); a project or source that
 * isn't there for the caller a NotFoundError (P0002); one that they may not
 * manage a ForbiddenError (42501); 55000 where dbt sources are not enabled.  What
 * changes something fails with 25006 in a read-only transaction, with 55000 if a
 * trigger is not safe to run, and with 09000 if one suppresses the change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "storage/access.h"
#include "functions/call.h"
#include "vault/connection.h"
#include "base/domain.h"
#include "rules/fields.h"
#include "base/json.h"
#include "functions/sources.h"
#include "rules/exit.h"
#include "storage/storage.h"
#include "rules/summary.h"
#include "rules/validate.h"
#include "rules/withheld.h"

#define MAX_IGNORED_SHOWN 10

/* what a body asks for; unset members are NULL */
typedef struct Request
{
	text	   *name;
	const JsonbValue *connection;
} Request;

/*
 * Begin a call; returns its first argument, the project.
 */
static const pg_uuid_t *
BeginProjectCall(FunctionCallInfo fcinfo, const char *const *argnames)
{
	BeginCall(fcinfo, argnames);
	return PG_GETARG_UUID_P(0);
}

static const char *const source_args[] = {"project", "source", "body"};
static const char *const body_args[] = {"project", "body"};
static const char *const connection_args[] = {"project", "dbt_connection"};

static void
RaiseSourceNotFound(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("dbt source not found")));
}

/*
 * The same after RequireManageOfSource(): it may be the project that isn't there.
 */
static void
RaiseManagedNotFound(const pg_uuid_t *project)
{
	RequireManageOfAbsent(project);
	RaiseSourceNotFound();
}

/*
 * Take a body apart; one NOTICE tells of all members that the contract doesn't
 * know.  Contract: ApiUpdateProjectDbtSource.
 */
static Request
ParseBody(Jsonb *body, Problems *problems)
{
	Request		request = {NULL, NULL};
	StringInfoData ignored;
	int			nignored = 0;
	JsonMembers members;
	JsonMember	member;

	if (!JB_ROOT_IS_OBJECT(body))
	{
		JsonbValue	value = JsonRoot(body);

		AddProblem(problems, "body", MUST_BE(&value, "an object"));
		return request;
	}
	initStringInfo(&ignored);
	members = JsonMembersOf(&body->root);
	while (NextJsonMember(&members, &member))
	{
		if (JsonStringEquals(&member.key, "name"))
		{
			ValidateName(&member.value, problems);
			if (member.value.type == jbvString)
				request.name = cstring_to_text_with_len(member.value.val.string.val,
														member.value.val.string.len);
		}
		else if (JsonStringEquals(&member.key, CONNECTION_PATH))
			request.connection = memcpy(palloc(sizeof(JsonbValue)), &member.value, sizeof(JsonbValue));
		else if (++nignored <= MAX_IGNORED_SHOWN)
		{
			appendStringInfoString(&ignored, ignored.len > 0 ? ", " : "");
			AppendName(&ignored, member.key.val.string.val, member.key.val.string.len);
		}
	}
	if (nignored > 0)
		ereport(NOTICE,
				(errmsg_plural("ignored %d unknown property of the body: %s%s",
							   "ignored %d unknown properties of the body: %s%s",
							   nignored, nignored, ignored.data,
							   nignored > MAX_IGNORED_SHOWN ? ", ..." : "")));
	return request;
}

/*
 * Lock the source of a call that has a precondition, and see whether it is met.
 */
static void
CheckPrecondition(const SourceCall *call)
{
	Source	   *locked;

	if (call->precondition == NULL)
		return;
	locked = LockOrAddSource(call->project, call->source);
	if (locked == NULL)
		RaiseManagedNotFound(call->project);
	RequireVersion(call->precondition, locked->version);
}

/*
 * The summary of a source as it is stored.
 */
static Jsonb *
SummarizeStored(Source *source)
{
	Jsonb	   *connection = StoredConnection(source);
	ConnectionFields fields;
	Jsonb	   *summary;

	if (connection != NULL)
		ReadConnection(connection, &fields);
	summary = MakeSummary(source, connection == NULL ? NULL : &fields);
	WipeJsonb(connection);
	return summary;
}

/*
 * The summary of a source that was written with a connection: of what is stored,
 * should something of the table have changed that.
 */
static Jsonb *
SummarizeWritten(Source *stored, const ConnectionFields *fields, int64 *version)
{
	*version = stored->version;
	return stored->as_sent ? MakeSummary(stored, fields) : SummarizeStored(stored);
}

/*
 * Replace a connection without a look at the stored one, whose header tells that
 * nothing of it would be kept.  Returns NULL if it doesn't, or if there is
 * something wrong.
 */
static Jsonb *
ReplaceUnseen(Source *source, ConnectionFields *fields, int64 *version)
{
	Problems	problems = NO_PROBLEMS;
	Source	   *stored;

	if (!SendsSecrets(fields))
		return NULL;
	KeepWithheld(fields, NULL, &problems);
	ValidateConnection(fields, &problems);
	if (problems.count > 0)
		return NULL;
	source->envelope = SealConnection(fields, source);
	stored = ReplaceWholly(source, variant_names[fields->variant], PrefixOfNothingFor(fields, source));
	return stored == NULL ? NULL : SummarizeWritten(stored, fields, version);
}

/*
 * Give a locked source, of which locked is the row, a new connection: keep what
 * views withhold, validate, encrypt, store.  Returns the summary.
 */
static Jsonb *
ReplaceConnection(Source *source, Source *locked, ConnectionFields *fields, Problems problems,
				  int64 *version)
{
	Jsonb	   *stored = StoredConnectionFor(fields, locked);
	Jsonb	   *summary;

	KeepWithheld(fields, stored, &problems);
	ValidateConnection(fields, &problems);
	RaiseProblems(problems);

	source->envelope = SealConnection(fields, source);
	summary = SummarizeWritten(ReplaceSource(source, variant_names[fields->variant]), fields, version);
	WipeJsonb(stored);
	return summary;
}

/*
 * Give a source a new connection, and a name unless that is NULL; problems are
 * those found so far.  Returns the summary, and in *version that of the source.
 */
static Jsonb *
ChangeConnection(const pg_uuid_t *project, const pg_uuid_t *uuid, text *name,
				 const JsonbValue *sent, Problems problems, int64 *version)
{
	Source		source = {0};
	Source	   *locked;
	Jsonb	   *summary = NULL;
	ConnectionFields fields;

	source.project = *project;
	source.source = *uuid;
	source.name = name;
	ReadFields(sent, true, &fields);
	if (problems.count == 0)
		summary = ReplaceUnseen(&source, &fields, version);
	if (summary == NULL)
	{
		locked = LockOrAddSource(project, uuid);
		if (locked == NULL)
			RaiseManagedNotFound(project);
		summary = ReplaceConnection(&source, locked, &fields, problems, version);
	}
	return summary;
}

/*
 * update_project_dbt_source(), if the call's precondition is met.
 */
Jsonb *
UpdateSource(SourceCall *call)
{
	const pg_uuid_t *project = call->project;
	const pg_uuid_t *uuid = call->source;
	Problems	problems = NO_PROBLEMS;
	Request		request;
	Source	   *source;

	PreventCommandIfReadOnly("update_project_dbt_source()");
	RequireManageOfSource(project, uuid);
	CheckPrecondition(call);
	request = ParseBody(call->body, &problems);
	if (SameUuid(project, uuid))
	{
		if (request.connection != NULL)
			AddProblem(&problems, CONNECTION_PATH,
					   "cannot be changed here for the primary source; use set_project_dbt_connection");
		request.connection = NULL;
	}

	if (request.connection == NULL)
	{
		source = request.name != NULL && problems.count == 0 ?
			RenameSource(project, uuid, request.name) : FetchSource(project, uuid);
		if (source == NULL)
			RaiseManagedNotFound(project);
		RaiseProblems(problems);
		call->version = source->version;
		return SummarizeStored(source);
	}

	return ChangeConnection(project, uuid, request.name, request.connection, problems, &call->version);
}

/*
 * update_project_dbt_source(project uuid, source uuid, body jsonb) returns jsonb
 *
 * Change a source's name, its connection, or both: body is {name?,
 * dbtConnection?}.  Returns the summary.  Contract: UpdateProjectDbtSource.
 *
 * Errors: 22023, 42501, P0002 and 25006 as for all; 22023 also for the
 * connection of the primary source; 23505 if the project has another source of
 * that name; 55000 if a connection is sent and there is no usable keyring; XX001
 * if a part of the stored one would be kept, and it can't be decrypted; 54000 if
 * it is too large; 40001 under REPEATABLE READ and above if the source was
 * changed meanwhile.
 */
SILENT_FUNCTION(update_project_dbt_source)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, source_args);
	SourceCall	call = {project, PG_GETARG_UUID_P(1), PG_GETARG_JSONB_P(2)};

	PG_RETURN_JSONB_P(UpdateSource(&call));
}

/*
 * create_project_dbt_source(), from C.
 */
Jsonb *
CreateSource(SourceCall *call)
{
	const pg_uuid_t *project = call->project;
	Problems	problems = NO_PROBLEMS;
	Request		request;
	Source		source = {0};
	ConnectionFields fields;

	PreventCommandIfReadOnly("create_project_dbt_source()");
	RequireManage(project);

	request = ParseBody(call->body, &problems);
	if (JB_ROOT_IS_OBJECT(call->body))
	{
		JsonbValue	value;

		if (!JsonFind(&call->body->root, "name", &value))
			AddProblem(&problems, "name", "is required");
		if (request.connection == NULL)
			AddProblem(&problems, CONNECTION_PATH, "is required");
		else
		{
			ReadFields(request.connection, false, &fields);
			ValidateConnection(&fields, &problems);
		}
	}
	RaiseProblems(problems);

	source.project = *project;
	source.source = *DatumGetUUIDP(OidFunctionCall0(F_GEN_RANDOM_UUID));
	source.name = request.name;
	source.envelope = SealConnection(&fields, &source);
	LockForCreation(project);
	source.precedence = NextPrecedence(LastPrecedence(project));
	return SummarizeWritten(InsertSource(&source, variant_names[fields.variant]), &fields, &call->version);
}

/*
 * create_project_dbt_source(project uuid, body jsonb) returns jsonb
 *
 * Add a source: body is {name, dbtConnection}.  Returns the summary.
 *
 * Errors: as for update_project_dbt_source().
 */
SILENT_FUNCTION(create_project_dbt_source)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, body_args);
	SourceCall	call = {project, NULL, PG_GETARG_JSONB_P(1)};

	PG_RETURN_JSONB_P(CreateSource(&call));
}

/*
 * set_project_dbt_connection(project uuid, dbt_connection jsonb) returns jsonb
 *
 * Set the project's own connection, that of its primary source.  Returns the
 * summary.
 *
 * Errors: as for update_project_dbt_source().
 */
SILENT_FUNCTION(set_project_dbt_connection)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, connection_args);
	JsonbValue	connection;
	int64		version;

	PreventCommandIfReadOnly("set_project_dbt_connection()");
	RequireManage(project);
	connection = JsonRoot(PG_GETARG_JSONB_P(1));
	PG_RETURN_JSONB_P(ChangeConnection(project, project, NULL, &connection, NO_PROBLEMS, &version));
}

/*
 * delete_project_dbt_source(), if the call's precondition is met.
 */
Jsonb *
RemoveSource(SourceCall *call)
{
	PreventCommandIfReadOnly("delete_project_dbt_source()");
	RequireManage(call->project);
	if (SameUuid(call->project, call->source))
		ParameterError("the primary dbt source cannot be deleted");
	CheckPrecondition(call);
	if (!DeleteSource(call->project, call->source))
		RaiseSourceNotFound();
	return NULL;
}

/*
 * delete_project_dbt_source(project uuid, source uuid) returns void
 *
 * Errors: 22023, 42501, P0002 and 25006 as for all; 22023 also for the primary
 * source.
 */
SILENT_FUNCTION(delete_project_dbt_source)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, source_args);
	SourceCall	call = {project, PG_GETARG_UUID_P(1)};

	(void) RemoveSource(&call);
	PG_RETURN_VOID();
}

typedef struct Listing
{
	JsonbParseState *state;
	MemoryContext cxt;
} Listing;

static void
ListSource(Source *source, void *arg)
{
	Listing    *listing = arg;
	Jsonb	   *summary = SummarizeStored(source);
	MemoryContext per_row = MemoryContextSwitchTo(listing->cxt);
	JsonbValue	value;

	value = JsonRoot(memcpy(palloc(VARSIZE(summary)), summary, VARSIZE(summary)));
	(void) pushJsonbValue(&listing->state, WJB_ELEM, &value);
	MemoryContextSwitchTo(per_row);
}

/*
 * list_project_dbt_sources(), from C.
 */
Jsonb *
ListSources(SourceCall *call)
{
	Listing		listing = {NULL, CurrentMemoryContext};

	RequireView(call->project);
	(void) pushJsonbValue(&listing.state, WJB_BEGIN_ARRAY, NULL);
	ListSource(FetchSource(call->project, call->project), &listing);
	ForEachAdditionalSource(call->project, ListSource, &listing);
	return JsonbValueToJsonb(pushJsonbValue(&listing.state, WJB_END_ARRAY, NULL));
}

/*
 * list_project_dbt_sources(project uuid) returns jsonb
 *
 * An array of summaries: the primary source, then by precedence and name.
 *
 * Errors: 22023, 42501 and P0002 as for all.
 */
SILENT_FUNCTION(list_project_dbt_sources)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, source_args);
	SourceCall	call = {project};

	PG_RETURN_JSONB_P(ListSources(&call));
}

static Source *
ViewSource(const pg_uuid_t *project, const pg_uuid_t *uuid)
{
	Source	   *source;

	RequireView(project);
	source = FetchSource(project, uuid);
	if (source == NULL)
		RaiseSourceNotFound();
	return source;
}

/*
 * get_project_dbt_source(), from C.
 */
Jsonb *
GetSource(SourceCall *call)
{
	Source	   *source = ViewSource(call->project, call->source);
	Jsonb	   *connection = RequireConnection(source);
	ConnectionFields fields;
	Jsonb	   *result;
	JsonbParseState *state = NULL;

	if (connection != NULL)
		ReadConnection(connection, &fields);
	call->version = source->version;
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	PushSummary(&state, source, connection == NULL ? NULL : &fields);
	if (connection == NULL)
		JsonPushNull(&state, CONNECTION_PATH);
	else
	{
		/* the question takes a lock, so it is asked only where it matters */
		bool		with_environment = EnvironmentOf(&fields) != NULL && MayManage(call->project);

		JsonPushKey(&state, CONNECTION_PATH);
		(void) RedactConnection(&state, &fields, with_environment);
	}
	result = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	WipeJsonb(connection);
	return result;
}

/*
 * get_project_dbt_source(project uuid, source uuid) returns jsonb
 *
 * The summary and, as "dbtConnection", the connection without what is
 * withheld; null for a primary source that has none yet.  The environment is
 * there for who may manage the project, and not in a read-only transaction,
 * where that can't be told.
 *
 * Errors: 22023, 42501 and P0002 as for all; XX001 if the connection can't be
 * decrypted; 55000 without a usable keyring.
 */
SILENT_FUNCTION(get_project_dbt_source)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, source_args);
	SourceCall	call = {project, PG_GETARG_UUID_P(1)};

	PG_RETURN_JSONB_P(GetSource(&call));
}

/*
 * project_dbt_connection(project uuid, source uuid) returns jsonb
 *
 * The whole connection, secrets included; SQL NULL for a primary source that
 * has none yet.  A variable that is refused today, but was stored earlier, is left
 * out with a WARNING that names it.
 *
 * Errors: as for get_project_dbt_source(); 42501 for who wasn't granted
 * EXECUTE.
 */
SILENT_FUNCTION(project_dbt_connection)
{
	const pg_uuid_t *project = BeginProjectCall(fcinfo, source_args);
	Jsonb	   *connection = RequireConnection(ViewSource(project, PG_GETARG_UUID_P(1)));

	if (connection == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(LeaveOutRefused(connection));
}
