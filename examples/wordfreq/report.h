/* report.h: the result on standard output. */
#ifndef WORDFREQ_REPORT_H
#define WORDFREQ_REPORT_H

#include "pipeline.h"

/* For people. */
void report_table(const struct result *result, double seconds);

/* One JSON object. Paths that are not valid UTF-8 have \xNN for each byte that is not, and \\ for a
   backslash, so that the object is always valid JSON and nothing is lost. */
void report_json(const struct result *result, double seconds);

#endif
