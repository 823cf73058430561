/*-------------------------------------------------------------------------
 *
 * keylock.c
 *		Who writes with a key, and who changes the keyring.
 *
 * The keyring belongs to the cluster, and so do these locks: heavyweight ones
 * in no database, on objects of a class that has none there.  A key may be
 * removed when nobody is about to commit a connection that was encrypted with
 * it, and nobody sees an old version of one:
 *
 * - Who encrypts holds a lock on the key's kid until the end of the
 *	 transaction, and looks again whether the key is still the active one when
 *	 the lock is there.  So once a key is no longer active, whoever waits for its
 *	 lock has waited for the last writer.
 * - Then all snapshots that are older than the last re-encryption have to go,
 *	 as they do for CREATE INDEX CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"

#include "vault/keylock.h"

/* what a lock is on */
typedef enum LockedObject
{
	LOCKED_FILE,
	LOCKED_REMOVAL,
	LOCKED_KEY
} LockedObject;

static LOCKTAG
MakeTag(LockedObject object, const char *kid)
{
	LOCKTAG		tag;
	uint32		hash = kid == NULL ? 0 :
		hash_bytes((const unsigned char *) kid, strlen(kid));

	SET_LOCKTAG_OBJECT(tag, InvalidOid, ExtensionRelationId, hash, object);
	return tag;
}

/*
 * The active key, which is not removed before the end of the transaction; the
 * pointer is valid until the next GetKeyring().
 *
 * Errors: 55000 without a usable keyring.
 */
const Key  *
HoldActiveKey(void)
{
	for (;;)
	{
		char	   *kid = pstrdup(GetKeyring(ERROR)->keys[0].kid);
		LOCKTAG		tag = MakeTag(LOCKED_KEY, kid);
		const Key  *key;

		(void) LockAcquire(&tag, ShareLock, false, false);
		key = &GetKeyring(ERROR)->keys[0];
		if (strcmp(key->kid, kid) == 0)
		{
			pfree(kid);
			return key;
		}
		/* the key was rotated meanwhile */
		(void) LockRelease(&tag, ShareLock, false);
	}
}

/*
 * Wait until all transactions are over that have encrypted with a key which is
 * no longer active.
 */
void
WaitForHoldersOfKey(const char *kid)
{
	LOCKTAG		tag = MakeTag(LOCKED_KEY, kid);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/*
 * The keyring file is changed by one at a time.
 */
void
LockKeyringFile(void)
{
	LOCKTAG		tag = MakeTag(LOCKED_FILE, NULL);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

void
UnlockKeyringFile(void)
{
	LOCKTAG		tag = MakeTag(LOCKED_FILE, NULL);

	(void) LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Keys are removed by one at a time until the end of its transaction; false if
 * another is at it.  Two that waited for each other's snapshots would never
 * end.
 */
bool
BeginRemoval(void)
{
	LOCKTAG		tag = MakeTag(LOCKED_REMOVAL, NULL);

	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Wait until all transactions, of any database, are over that have a snapshot
 * now.
 */
void
WaitForOldSnapshots(void)
{
	int			count;
	VirtualTransactionId *holders =
		GetCurrentVirtualXIDs(InvalidTransactionId, true, true,
							  PROC_IS_AUTOVACUUM | PROC_IN_VACUUM | PROC_IN_SAFE_IC, &count);

	for (int i = 0; i < count; i++)
		(void) VirtualXactLock(holders[i], true);
	pfree(holders);
}
