/*-------------------------------------------------------------------------
 *
 * http.c
 *		The HTTP API: a request in, a response out.
 *
 * Whoever serves HTTP carries method, path, body and headers here and the
 * answer back; every rule is in here or below.  An operation runs in a
 * subtransaction, so that after an error nothing of it has been written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"

#include "functions/call.h"
#include "base/domain.h"
#include "functions/headers.h"
#include "functions/http.h"
#include "base/json.h"
#include "rules/jsontext.h"
#include "rules/problems.h"
#include "functions/routes.h"
#include "storage/tables.h"

#define BODY_PATH "body"

/* dbt_sources.http_body_limit, in kB */
int			http_body_limit;

typedef struct Request
{
	char	   *method;
	char	   *path;
	char	   *body;			/* in UTF-8, or NULL */
	Size		body_len;
	Jsonb	   *headers;		/* an object of strings, or NULL */
	const char *content_type;	/* or NULL */
} Request;

typedef struct Response
{
	int			status;
	Jsonb	   *body;
	const char *allow;			/* the header Allow, or NULL */
	int64		version;		/* of the source in the body, or 0 */
} Response;

/* an error of ours, or one that means the same, as the API has it */
typedef struct ApiError
{
	int			sqlerrcode;
	int			status;
	const char *name;
} ApiError;

static const ApiError api_errors[] = {
	{ERRCODE_INVALID_PARAMETER_VALUE, 400, "ParameterError"},
	{ERRCODE_INSUFFICIENT_PRIVILEGE, 403, "ForbiddenError"},
	{ERRCODE_NO_DATA_FOUND, 404, "NotFoundError"},
	{ERRCODE_UNIQUE_VIOLATION, 409, "AlreadyExistsError"},
	{ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED, 409, "LimitExceededError"},
	{ERRCODE_PRECONDITION_FAILED, 412, "PreconditionFailedError"},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, 413, "PayloadTooLargeError"},
	{ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, 500, "UnexpectedServerError"},
	{ERRCODE_DATA_CORRUPTED, 500, "UnexpectedServerError"},
};

/* what may work if it is tried again; by SQLSTATE, or its class */
static const int transient_errors[] = {
	ERRCODE_LOCK_NOT_AVAILABLE,
	ERRCODE_QUERY_CANCELED,
};

static const int transient_categories[] = {
	ERRCODE_T_R_SERIALIZATION_FAILURE,	/* 40, transaction rollback */
	ERRCODE_INSUFFICIENT_RESOURCES, /* 53 */
};

static void
PushProblems(JsonbParseState **state, List *problems)
{
	ListCell   *lc;

	JsonPushKey(state, "data");
	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	foreach(lc, problems)
	{
		Problem    *problem = lfirst(lc);

		(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		JsonPushString(state, "path", problem->path);
		JsonPushString(state, "message", problem->message);
		(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * Contract: ApiErrorPayload; its data lists the problems of a body, if there
 * are any.
 */
static Response
Failure(int status, const char *name, const char *message, List *problems)
{
	Response	response = {.status = status};
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonPushString(&state, "status", "error");
	JsonPushKey(&state, "error");
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonPushString(&state, "name", name);
	JsonPushInteger(&state, "statusCode", status);
	JsonPushString(&state, "message", message);
	if (problems != NIL)
		PushProblems(&state, problems);
	(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	response.body = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return response;
}

static Response
BadRequest(const char *message, const char *path, const char *problem)
{
	Problems	problems = NO_PROBLEMS;

	AddProblem(&problems, path, problem);
	return Failure(400, "ParameterError", message, ListProblems(problems));
}

/*
 * Contract: ApiProjectDbtSourceResponse.
 */
static Response
Success(int status, Jsonb *results)
{
	Response	response = {.status = status};
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonPushString(&state, "status", "ok");
	if (results != NULL)
	{
		JsonbValue	value = JsonRoot(results);

		JsonPushValue(&state, "results", &value);
	}
	response.body = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return response;
}

/*
 * A permission that PostgreSQL itself finds missing is Forbidden as well; other
 * errors that aren't ours stay what they are, whatever their SQLSTATE.
 */
static const ApiError *
FindApiError(const ErrorData *error)
{
	if (!IsOurs(error) && error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		return NULL;
	for (size_t i = 0; i < lengthof(api_errors); i++)
	{
		if (api_errors[i].sqlerrcode == error->sqlerrcode)
			return &api_errors[i];
	}
	return NULL;
}

static Response
FailureOf(const ErrorData *error, const ApiError *api_error)
{
	return Failure(api_error->status, api_error->name,
				   IsOurs(error) ? error->message : "permission denied for project",
				   ProblemsOfError(error));
}

/*
 * The id that what serves HTTP has given to a request, or NULL.  Who sends it
 * may be anybody, so that not everything goes into the log.
 */
static const char *
RequestId(const Request *request)
{
	const char *id = FindHeader(request->headers, "x-request-id");
	size_t		len;

	if (id == NULL)
		return NULL;
	len = strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-");
	return len > 0 && len <= 64 && id[len] == '\0' ? id : NULL;
}

/*
 * The caller doesn't see the SQLSTATE of a 500 or 503: it goes to the log, with
 * what finds the caller's own line about the request.
 *
 * The entry isn't ours if the error isn't, so that what it may tell of a
 * connection is hidden.
 */
static void
LogFailure(const Request *request, const ErrorData *error)
{
	const char *id = RequestId(request);

	/* nothing stands in the detail that a value may begin with */
	ereport_domain(LOG_SERVER_ONLY, error->domain,
				   (errcode(error->sqlerrcode),
					errmsg("request failed: %s", error->message),
					id == NULL ? 0 : errdetail("The id of the request is %s.", id)));
}

/*
 * Run an operation in a subtransaction.
 *
 * An error of the API becomes its response.  Any other is returned in *error,
 * with what was written undone, and nothing in the response.
 */
static Response
RunRoute(const Request *request, const Route *route, SourceCall *call, FunctionCallInfo caller,
		 ErrorData **error)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Jsonb	   *volatile results = NULL;
	ErrorData  *volatile caught = NULL;
	const ApiError *api_error;
	Response	response = {0};

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		/* as if the caller had called the operation's function itself */
		UseSchema(CalledSchema(caller));
		results = route->operation(call);

		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		caught = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();

	/* not in there, where an error would end another subtransaction */
	api_error = caught == NULL ? NULL : FindApiError(caught);
	if (caught == NULL)
	{
		response = Success(route->status, results);
		response.version = call->version;
	}
	else if (api_error == NULL)
		*error = caught;
	else
	{
		if (api_error->status >= 500)
			LogFailure(request, caught);
		response = FailureOf(caught, api_error);
	}
	return response;
}

/*
 * The answer to a body that can't be jsonb, for the reason of that SQLSTATE.
 */
static Response
Unparsable(const Request *request, int sqlerrcode)
{
	Problems	problems = NO_PROBLEMS;
	bool		is_json;

	if (sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		return Failure(413, "PayloadTooLargeError", "the body is too large", NIL);
	is_json = ExplainJsonText(request->body, request->body_len, sqlerrcode, &problems);
	return Failure(400, "ParameterError",
				   is_json ? "the body cannot be stored" : "the body is not valid JSON",
				   ListProblems(problems));
}

/*
 * The body of a request, in *body; false if it can't be taken, with the
 * response that says why.
 */
static bool
ReadBody(const Request *request, Jsonb **body, Response *response)
{
	*body = NULL;
	if (!IsJsonType(request->content_type))
		*response = Failure(415, "UnsupportedMediaTypeError", "the body must be application/json", NIL);
	else if (!IsIdentity(FindHeader(request->headers, "content-encoding")))
		*response = Failure(415, "UnsupportedMediaTypeError", "the body must not be encoded", NIL);
	else if (request->body == NULL || request->body_len == 0)
		*response = BadRequest("a body is required", BODY_PATH, "is required");
	else if (request->body_len > (Size) http_body_limit * 1024)
		*response = Failure(413, "PayloadTooLargeError", "the body is too large", NIL);
	else
	{
		int			sqlerrcode;

		*body = TryJsonFromUtf8(request->body, request->body_len, &sqlerrcode);
		if (*body == NULL)
			*response = Unparsable(request, sqlerrcode);
	}
	return *body != NULL;
}

/*
 * Answer a request, or return in *error what is no error of the API.
 */
static Response
Answer(const Request *request, FunctionCallInfo caller, ErrorData **error)
{
	Target		target = ParsePath(request->path);
	const Route *route;
	SourceCall	call = {&target.project, &target.source};
	Precondition precondition;
	const char *if_match;
	Response	response;

	if (!target.known)
		return Failure(404, "NotFoundError", "route not found", NIL);
	route = FindRoute(request->method, &target);
	if (route == NULL)
	{
		response = Failure(405, "MethodNotAllowedError", "method not allowed", NIL);
		response.allow = AllowedMethods(&target);
		return response;
	}
	if (target.problems.count > 0)
		return Failure(400, "ParameterError", "invalid path", ListProblems(target.problems));
	if_match = route->is_conditional ? FindHeader(request->headers, "if-match") : NULL;
	if (if_match != NULL)
	{
		if (!ParseIfMatch(if_match, &precondition))
			return BadRequest("invalid If-Match", "If-Match", "must be * or a list of entity tags");
		call.precondition = &precondition;
	}
	if (route->takes_body && !ReadBody(request, &call.body, &response))
		return response;
	response = RunRoute(request, route, &call, caller, error);
	WipeJsonb(call.body);
	return response;
}

/*
 * The headers of a response, each pushed as a member of its own object if
 * apart is set, which is what PostgREST reads.
 */
static Jsonb *
HeadersOf(const Response *response, bool apart)
{
	const struct
	{
		const char *name;
		const char *value;
	}			headers[] = {
		{"Cache-Control", "no-store"},
		{"Allow", response->allow},
		{"ETag", response->version == 0 ? NULL : EntityTag(response->version)},
	};
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, apart ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
	for (size_t i = 0; i < lengthof(headers); i++)
	{
		if (headers[i].value == NULL)
			continue;
		if (apart)
			(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		JsonPushString(&state, headers[i].name, headers[i].value);
		if (apart)
			(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, apart ? WJB_END_ARRAY : WJB_END_OBJECT, NULL));
}

/*
 * http_request(method text, path text, body text default null,
 *		headers jsonb default null)
 *		returns (status integer, body jsonb, headers jsonb)
 *
 * Answer a request of the API: path as in the request line, body as it was
 * sent, headers an object of strings, of which Content-Type, Content-Encoding
 * and If-Match count.  Those that are returned (Cache-Control, Allow, ETag)
 * belong into the response.  A 500 is logged with its SQLSTATE, and the header
 * X-Request-Id if it is short and plain.  Contract: paths and responses.
 *
 * Errors: 22023 for a method or path that is NULL, and for headers that are no
 * object of strings.  Those of the operations become the answer; what isn't of
 * the API (a lock timeout, a cancel, a serialization failure, no space on disk)
 * stays an error.
 */
SILENT_FUNCTION(http_request)
{
	static const char *const argnames[] = {"method", "path"};
	Request		request = {0};
	ErrorData  *error = NULL;
	Response	response;
	TupleDesc	tupdesc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	RequireArguments(fcinfo, argnames, lengthof(argnames));
	request.method = text_to_cstring(PG_GETARG_TEXT_PP(0));
	request.path = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
	{
		text	   *body = PG_GETARG_TEXT_PP(2);
		char	   *utf8 = TextToUtf8(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));

		/* what can't be UTF-8 isn't, and is told so */
		request.body = utf8 == NULL ? VARDATA_ANY(body) : utf8;
		request.body_len = request.body == VARDATA_ANY(body) ? VARSIZE_ANY_EXHDR(body) :
			strlen(request.body);
	}
	/* 0.2.0 has no headers, and is what a database has until it is updated */
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		request.headers = PG_GETARG_JSONB_P(3);
		if (!AreHeaders(request.headers))
			ParameterError("headers must be an object of strings");
		request.content_type = FindHeader(request.headers, "content-type");
	}

	response = Answer(&request, fcinfo, &error);
	if (error != NULL)
		ReThrowError(error);
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int32GetDatum(response.status);
	values[1] = JsonbPGetDatum(response.body);
	values[2] = JsonbPGetDatum(HeadersOf(&response, false));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

static bool
IsTransient(const ErrorData *error)
{
	for (size_t i = 0; i < lengthof(transient_errors); i++)
	{
		if (error->sqlerrcode == transient_errors[i])
			return true;
	}
	for (size_t i = 0; i < lengthof(transient_categories); i++)
	{
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(transient_categories[i]))
			return true;
	}
	return false;
}

/*
 * What isn't of the API goes to the log; the caller gets no more than whether
 * trying again may help.
 */
static Response
FailureOfServer(const Request *request, const ErrorData *error)
{
	LogFailure(request, error);
	if (IsTransient(error))
		return Failure(503, "ServiceUnavailableError", "the service is temporarily unavailable", NIL);
	return Failure(500, "UnexpectedServerError", "the request could not be completed", NIL);
}

/*
 * The headers of the request that PostgREST is serving, or NULL.
 */
static Jsonb *
PostgrestHeaders(void)
{
	const char *setting = GetConfigOption("request.headers", true, false);
	char	   *utf8;
	Jsonb	   *headers;

	if (setting == NULL)
		return NULL;
	utf8 = TextToUtf8(setting, strlen(setting));
	headers = utf8 == NULL ? NULL : JsonFromUtf8(utf8, strlen(utf8));
	return headers != NULL && AreHeaders(headers) ? headers : NULL;
}

static void
SetLocal(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
}

/*
 * postgrest_request(bytea) returns jsonb
 *
 * The same for PostgREST, which passes on the body as it came only in a single
 * unnamed bytea (application/octet-stream); text would be checked, and an error
 * raised, before we are called.  Method, path and the type of the body are
 * those in the headers X-Original-Method, X-Original-URI and
 * X-Original-Content-Type; status and headers go to response.status and
 * response.headers.  PostgREST shows the errors of PostgreSQL to its clients,
 * so there are none: what isn't of the API is logged and becomes 503 or 500.
 */
SILENT_FUNCTION(postgrest_request)
{
	Request		request = {0};
	ErrorData  *error = NULL;
	Response	response;

	request.headers = PostgrestHeaders();
	request.method = FindHeader(request.headers, "x-original-method");
	request.path = FindHeader(request.headers, "x-original-uri");
	request.content_type = FindHeader(request.headers, "x-original-content-type");
	if (!PG_ARGISNULL(0))
	{
		bytea	   *body = PG_GETARG_BYTEA_PP(0);

		request.body = VARDATA_ANY(body);
		request.body_len = VARSIZE_ANY_EXHDR(body);
	}

	if (request.method == NULL || request.path == NULL)
		response = Failure(404, "NotFoundError", "route not found", NIL);
	else
		response = Answer(&request, fcinfo, &error);
	if (error != NULL)
		response = FailureOfServer(&request, error);
	SetLocal("response.status", psprintf("%d", response.status));
	SetLocal("response.headers", JsonbToCString(NULL, &HeadersOf(&response, true)->root, 0));
	PG_RETURN_JSONB_P(response.body);
}
