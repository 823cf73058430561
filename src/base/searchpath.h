/*-------------------------------------------------------------------------
 *
 * searchpath.h
 *		A search_path that isn't the caller's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_SEARCHPATH_H
#define DBT_SOURCES_SEARCHPATH_H

extern int	BeginSafePath(void);

#endif							/* DBT_SOURCES_SEARCHPATH_H */
