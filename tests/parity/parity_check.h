/* Comparing, and saying what differs. */
#ifndef TESTS_PARITY_CHECK_H
#define TESTS_PARITY_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum parity_result { PARITY_PASSED, PARITY_FAILED, PARITY_UNSUPPORTED, PARITY_UNKNOWN }; /* of a file */

struct parity_report {
    int checked, differing; /* tensors */
    double worst;           /* largest difference as a fraction of its bound */
    char worst_name[256];
    char left_out[256]; /* what of the file is not supported yet, for people */
    char text[4096];    /* one line per tensor that differs */
};

static inline void parity_say(struct parity_report *report, const char *format, ...)
{
    const size_t used = strlen(report->text);
    va_list list;
    va_start(list, format);
    vsnprintf(report->text + used, sizeof report->text - used, format, list);
    va_end(list);
}

/* |found - expected| <= absolute + relative · max|expected| for every element; the relative bound is of the tensor's largest magnitude. */
struct parity_bound {
    double absolute, relative;
};

static inline void parity_compare(struct parity_report *report, const char *name, const double *found, const double *expected, size_t count,
                                  struct parity_bound bound)
{
    double largest = 0, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
    const double allowed = bound.absolute + bound.relative * largest;
    for (size_t i = 0; i < count; i++) {
        const double off = fabs(found[i] - expected[i]);
        if (off > worst || off != off) { /* NaN is as far off as it gets */
            worst = off != off ? HUGE_VAL : off;
            at = i;
        }
    }
    report->checked++;
    const double fraction = allowed > 0 ? worst / allowed : (worst > 0 ? HUGE_VAL : 0);
    if (fraction > report->worst || report->worst_name[0] == 0) {
        report->worst = fraction;
        snprintf(report->worst_name, sizeof report->worst_name, "%s", name);
    }
    if (fraction <= 1 && count > 0) return;
    report->differing++;
    if (count == 0)
        parity_say(report, "  %s: nothing to compare with\n", name);
    else
        parity_say(report, "  %s[%zu]: %.17g, expected %.17g; off by %.3g, allowed %.3g\n", name, at, found[at], expected[at], worst,
                   allowed);
}

#endif
