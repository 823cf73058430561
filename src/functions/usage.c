/*-------------------------------------------------------------------------
 *
 * usage.c
 *		How many connections of this database need a key, and where.
 *
 * An envelope's protected header names its key, so nothing is decrypted here,
 * and of what is stored out of line only the beginning is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "functions/call.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "vault/keyring.h"
#include "storage/tables.h"
#include "functions/usage.h"

/* a key, and the connections counted so far */
typedef struct KeyUsage
{
	char	   *kid;
	text	   *prefix;			/* of the envelopes that we made with it */
	int64		connections;
} KeyUsage;

typedef struct Census
{
	int			nkeys;
	KeyUsage   *keys;
	int64		others;			/* under keys that aren't among these */
	int64		unreadable;		/* of those, the ones that don't name a key */
} Census;

static bool
BeginsWith(const text *header, const text *prefix)
{
	return VARSIZE_ANY_EXHDR(header) >= VARSIZE_ANY_EXHDR(prefix) &&
		memcmp(VARDATA_ANY(header), VARDATA_ANY(prefix), VARSIZE_ANY_EXHDR(prefix)) == 0;
}

static void
CountHeader(text *header, void *arg)
{
	Census	   *census = arg;
	char	   *kid;

	for (int i = 0; i < census->nkeys; i++)
	{
		if (BeginsWith(header, census->keys[i].prefix))
		{
			census->keys[i].connections++;
			return;
		}
	}
	/* made by others, such as jose, or with none of these keys */
	kid = EnvelopeKid(header);
	for (int i = 0; kid != NULL && i < census->nkeys; i++)
	{
		if (strcmp(census->keys[i].kid, kid) == 0)
		{
			census->keys[i].connections++;
			return;
		}
	}
	census->others++;
	if (kid == NULL)
		census->unreadable++;
}

/*
 * The connections of a table, and which of them need a key; NULL is none.
 */
KeyUse
CountConnections(const SourcesTable *table, const char *kid)
{
	Census		census = {0};
	KeyUsage	usage = {0};
	KeyUse		use = {0};

	if (kid != NULL)
	{
		usage.kid = pstrdup(kid);
		usage.prefix = EnvelopePrefix(kid);
		census.keys = &usage;
		census.nkeys = 1;
	}
	strlcpy(use.table, QualifiedName(table->oid), sizeof(use.table));
	use.in_use = table->in_use;
	use.access = ForEachHeader(table, CountHeader, &census);
	use.needing = usage.connections;
	use.others = census.others;
	use.unreadable = census.unreadable;
	return use;
}

/*
 * The first table of this database that needs a key, or may; false if there is
 * none.  Without a kid that is any with connections.
 */
bool
FindUse(const char *kid, KeyUse *use)
{
	ListCell   *lc;

	foreach(lc, AllSourcesTables())
	{
		*use = CountConnections(lfirst(lc), kid);
		if (use->access != TABLE_READABLE || use->needing > 0 || use->unreadable > 0 ||
			(kid == NULL && use->others > 0))
			return true;
	}
	return false;
}

/*
 * Why the connections of a table could not be counted.
 */
const char *
WhyUncounted(TableAccess access)
{
	return access == TABLE_LOCKED ? "Somebody has locked it." :
		"Its owner may not read it, or not use its schema.";
}

static Census *
TakeCensus(const Keyring *keyring)
{
	Census	   *census = palloc0(sizeof(Census));
	ListCell   *lc;

	census->nkeys = keyring->nkeys;
	census->keys = palloc0(keyring->nkeys * sizeof(KeyUsage));
	for (int i = 0; i < keyring->nkeys; i++)
	{
		census->keys[i].kid = pstrdup(keyring->keys[i].kid);
		census->keys[i].prefix = EnvelopePrefix(keyring->keys[i].kid);
	}
	foreach(lc, AllSourcesTables())
	{
		const SourcesTable *table = lfirst(lc);
		TableAccess access = ForEachHeader(table, CountHeader, census);

		if (access != TABLE_READABLE)
			ereport(WARNING,
					(errmsg("table %s is not counted", QualifiedName(table->oid)),
					 errdetail_internal("%s", WhyUncounted(access))));
	}
	if (census->others > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " connection is not encrypted with a key of the keyring",
							   INT64_FORMAT " connections are not encrypted with a key of the keyring",
							   census->others, census->others),
				 errhint("Restore the keyring that has their keys, or store the connections anew.")));
	return census;
}

/*
 * encryption_keys() returns table (kid text, active boolean, connections bigint)
 *
 * The keys of the keyring, the active one first, and how many connections of
 * this database are encrypted with each.  A WARNING tells if there are
 * connections that none of them is the key of, and one if a table could not be
 * read.
 *
 * Errors: 55000 without a usable keyring.
 */
SILENT_FUNCTION(encryption_keys)
{
	FuncCallContext *funcctx;
	Census	   *census;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		TupleDesc	tupdesc;

		BeginCall(fcinfo, NULL);
		funcctx = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		funcctx->tuple_desc = BlessTupleDesc(tupdesc);
		funcctx->user_fctx = TakeCensus(GetKeyring(ERROR));
		MemoryContextSwitchTo(caller);
	}

	funcctx = SRF_PERCALL_SETUP();
	census = funcctx->user_fctx;
	if (funcctx->call_cntr < (uint64) census->nkeys)
	{
		KeyUsage   *key = &census->keys[funcctx->call_cntr];
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		values[0] = CStringGetTextDatum(key->kid);
		values[1] = BoolGetDatum(funcctx->call_cntr == 0);
		values[2] = Int64GetDatum(key->connections);
		SRF_RETURN_NEXT(funcctx,
						HeapTupleGetDatum(heap_form_tuple(funcctx->tuple_desc, values, nulls)));
	}
	SRF_RETURN_DONE(funcctx);
}
