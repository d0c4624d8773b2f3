/* Time: a monotonic clock for durations and phases, and the wall clock for people. */
#ifndef MAPPO_BASE_CLOCK_H
#define MAPPO_BASE_CLOCK_H

#include <stddef.h>

double clock_seconds(void);                                   /* monotonic, arbitrary origin */
void clock_utc(char *text, size_t size);                      /* "2026-01-31T12:00:00Z" */
void clock_duration(char *text, size_t size, double seconds); /* "1 h 02 min", "12.3 s" */

#endif
