/*-------------------------------------------------------------------------
 *
 * hooks.h
 *		Hiding connections in what PostgreSQL says of statements before, or
 *		without, calling us.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_HOOKS_H
#define DBT_SOURCES_HOOKS_H

extern void InstallHooks(void);

#endif							/* DBT_SOURCES_HOOKS_H */
