/*-------------------------------------------------------------------------
 *
 * keylock.h
 *		Who writes with a key, and who changes the keyring.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_KEYLOCK_H
#define DBT_SOURCES_KEYLOCK_H

#include "postgres.h"

#include "vault/keyring.h"

extern const Key *HoldActiveKey(void);
extern void WaitForHoldersOfKey(const char *kid);
extern void LockKeyringFile(void);
extern void UnlockKeyringFile(void);
extern bool BeginRemoval(void);
extern void WaitForOldSnapshots(void);

#endif							/* DBT_SOURCES_KEYLOCK_H */
