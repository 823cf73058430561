/*-------------------------------------------------------------------------
 *
 * databases.c
 *		Whether any database of the cluster still needs a key.
 *
 * A backend sees the tables of its own database only, so a background worker
 * is started in each other one and answers through shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "functions/databases.h"
#include "base/domain.h"
#include "functions/usage.h"

/* what a worker is asked, and its answer */
typedef struct Inquiry
{
	Oid			database;
	int			lock_timeout;	/* of who asks */
	bool		answered;
	bool		found;			/* a table that needs the key, or may: */
	KeyUse		use;
	char		kid[FLEXIBLE_ARRAY_MEMBER];
} Inquiry;

PGDLLEXPORT void dbt_sources_worker_main(Datum main_arg);

/* a database of the cluster */
typedef struct Database
{
	Oid			oid;
	NameData	name;
} Database;

/*
 * The databases that can hold connections, this one included.
 */
static List *
ListDatabases(void)
{
	List	   *databases = NIL;
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		Database   *database = palloc(sizeof(Database));

		/* what an interrupted DROP DATABASE leaves, nobody can use again */
		if (form->datconnlimit == DATCONNLIMIT_INVALID_DB)
			continue;
		database->oid = form->oid;
		database->name = form->datname;
		databases = lappend(databases, database);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return databases;
}

static Inquiry *
MakeInquiry(dsm_segment *segment, Oid database, const char *kid)
{
	Inquiry    *inquiry = dsm_segment_address(segment);

	inquiry->database = database;
	inquiry->lock_timeout = LockTimeout;
	inquiry->answered = false;
	strcpy(inquiry->kid, kid);
	return inquiry;
}

static void
StartWorkerAndWait(dsm_segment *segment, const char *name)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "dbt_sources");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "dbt_sources_worker_main");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "dbt_sources key check");
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "dbt_sources key check");
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a background worker in database \"%s\"", name),
				 errhint("You might need to increase max_worker_processes.")));
	PG_TRY();
	{
		(void) WaitForBackgroundWorkerShutdown(handle);
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * FindUse() in a database, by a worker, be the extension installed there or not:
 * its table may still be.
 */
static bool
AskDatabase(const Database *database, const char *kid, KeyUse *use)
{
	const char *name = NameStr(database->name);
	dsm_segment *segment = dsm_create(offsetof(Inquiry, kid) + strlen(kid) + 1, 0);
	Inquiry    *inquiry = MakeInquiry(segment, database->oid, kid);
	bool		found = false;

	StartWorkerAndWait(segment, name);
	if (inquiry->answered)
	{
		found = inquiry->found;
		*use = inquiry->use;
	}
	/* it may have been dropped meanwhile */
	else if (get_database_name(database->oid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not find out whether database \"%s\" needs the encryption key", name),
				 errhint("The server log tells why.")));
	dsm_detach(segment);
	return found;
}

/*
 * What to do about a table that needs a key: the functions see only their own.
 */
static const char *
HowToFree(const KeyUse *use, const char *hint)
{
	return use->in_use ? hint :
		"The extension's functions don't use that table. If it is of no use to anybody, drop or rename it; else install the extension in its schema.";
}

static void
RefuseKeyInUseIn(const Database *database, const char *kid)
{
	const char *name = NameStr(database->name);
	KeyUse		use;

	/* a transaction that keeps its snapshot has one from before we waited */
	if (database->oid == MyDatabaseId && !IsolationUsesXactSnapshot() ?
		!FindUse(kid, &use) : !AskDatabase(database, kid, &use))
		return;
	if (use.needing > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("encryption key \"%s\" is in use", kid),
				 errdetail_plural("It holds " INT64_FORMAT " connection in database \"%s\", table %s.",
								  "It holds " INT64_FORMAT " connections in database \"%s\", table %s.",
								  use.needing, use.needing, name, use.table),
				 errhint("%s", HowToFree(&use, "CALL reencrypt_all_dbt_connections() there."))));
	if (use.unreadable > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("encryption key \"%s\" may be in use", kid),
				 errdetail_plural(INT64_FORMAT " connection in database \"%s\", table %s, does not say which key it needs.",
								  INT64_FORMAT " connections in database \"%s\", table %s, do not say which key they need.",
								  use.unreadable, use.unreadable, name, use.table),
				 errhint("%s", HowToFree(&use, "reencrypt_all_dbt_connections() there names them. Store them anew, or delete their sources."))));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("encryption key \"%s\" may be in use", kid),
			 errdetail("Table %s in database \"%s\" could not be read. %s", use.table, name,
					   WhyUncounted(use.access)),
			 errhint("%s", HowToFree(&use, "Grant it to its owner."))));
}

/*
 * Errors: 55006 if a connection in any database of the cluster is encrypted
 * with that key, or may be; 55000 if a database can't be asked, 53000 without a
 * free background worker.
 */
void
RefuseKeyInUse(const char *kid)
{
	List	   *asked = NIL;
	bool		found;

	/* a database may be copied while it is being re-encrypted */
	do
	{
		ListCell   *lc;

		found = false;
		foreach(lc, ListDatabases())
		{
			Database   *database = lfirst(lc);

			if (list_member_oid(asked, database->oid))
				continue;
			RefuseKeyInUseIn(database, kid);
			asked = lappend_oid(asked, database->oid);
			found = true;
		}
	} while (found);
}

/*
 * The worker: connects as the bootstrap superuser, counts, and ends.
 */
void
dbt_sources_worker_main(Datum main_arg)
{
	dsm_segment *segment;
	Inquiry    *inquiry;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);			/* who asked is gone */
	inquiry = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(inquiry->database, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);

	LockTimeout = inquiry->lock_timeout;
	StartTransactionCommand();
	/* whatever the database's default is, which may have to wait for others */
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
	inquiry->found = FindUse(inquiry->kid, &inquiry->use);
	inquiry->answered = true;
	PopActiveSnapshot();
	CommitTransactionCommand();
	dsm_detach(segment);
}
