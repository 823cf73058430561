/*-------------------------------------------------------------------------
 *
 * summary.h
 *		The non-sensitive view of a source (contract: ProjectDbtSourceSummary).
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_SUMMARY_H
#define DBT_SOURCES_SUMMARY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "rules/fields.h"
#include "storage/source.h"

extern void PushSummary(JsonbParseState **state, const Source *source, const ConnectionFields *fields);
extern Jsonb *MakeSummary(const Source *source, const ConnectionFields *fields);

#endif							/* DBT_SOURCES_SUMMARY_H */
