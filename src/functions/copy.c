/*-------------------------------------------------------------------------
 *
 * copy.c
 *		Copying the additional sources of a project into another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/uuid.h"

#include "storage/access.h"
#include "functions/call.h"
#include "vault/connection.h"
#include "rules/fields.h"
#include "storage/storage.h"

typedef struct Copy
{
	const pg_uuid_t *target;
	int32		precedence;		/* of the last one in the target */
	int			copied;
} Copy;

static void
CopyOne(Source *source, void *arg)
{
	Copy	   *copy = arg;
	Jsonb	   *connection = RequireConnection(source);
	const char *type = variant_names[ConnectionVariant(connection)];
	Source		target = {0};

	target.project = *copy->target;
	target.source = *DatumGetUUIDP(OidFunctionCall0(F_GEN_RANDOM_UUID));
	target.name = source->name;
	target.precedence = NextPrecedence(copy->precedence);
	target.envelope = ResealConnection(connection, &target);
	copy->precedence = InsertSource(&target, type)->precedence;
	copy->copied++;
}

/*
 * copy_project_dbt_sources(source_project uuid, target_project uuid) returns integer
 *
 * Copy the additional sources of a project, secrets included, after those of
 * another; returns how many.  Each copy has a uuid of its own and is encrypted
 * for its own row.  Needs to manage both: who may only view the one could hand its
 * secrets to who runs dbt for the other.
 *
 * Errors: 22023 if the projects are the same; P0002 and 42501 as for
 * update_project_dbt_source(); 23505 if a name is there already; XX001 if a
 * connection can't be decrypted; 55000 without a usable keyring.  After an
 * error nothing is copied.
 */
SILENT_FUNCTION(copy_project_dbt_sources)
{
	static const char *const argnames[] = {"source_project", "target_project"};
	const pg_uuid_t *source_project;
	Copy		copy = {0};

	BeginCall(fcinfo, argnames);
	source_project = PG_GETARG_UUID_P(0);
	copy.target = PG_GETARG_UUID_P(1);
	PreventCommandIfReadOnly("copy_project_dbt_sources()");
	RequireManage(source_project);
	RequireManage(copy.target);
	if (SameUuid(source_project, copy.target))
		ParameterError("source_project and target_project must not be the same");

	LockForCreation(copy.target);
	copy.precedence = LastPrecedence(copy.target);
	ForEachAdditionalSource(source_project, CopyOne, &copy);
	PG_RETURN_INT32(copy.copied);
}
