/* Small text helpers. */
#ifndef MAPPO_BASE_TEXT_H
#define MAPPO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Always terminates; returns false where the text was cut. */
bool text_format(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whole-string numbers: false for anything left over, out of range or not finite. "20e6", "1_000" and "4k" are not numbers except that
 * integers may be written as an exactly integral decimal ("2e6"). */
bool text_to_int(const char *text, int64_t *value);
bool text_to_real(const char *text, double *value);
bool text_to_bool(const char *text, bool *value); /* 0 1 true false yes no on off */

/* The candidate with the smallest edit distance (Damerau), NULL where none is near enough to be meant. */
const char *text_nearest(const char *word, const char *const *candidates, int count);

void text_json_string(FILE *out, const char *text);         /* quoted and escaped */
void text_json_real(FILE *out, double value);               /* shortest form that reads back; null for NaN and infinity */
void text_short_real(char *out, size_t size, double value); /* shortest decimal that reads back identically */

#endif
