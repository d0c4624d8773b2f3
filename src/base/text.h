/* Small text helpers. */
#ifndef MAPPO_BASE_TEXT_H
#define MAPPO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Always terminates; returns false where the text was cut. */
bool text_format(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whole-string numbers: false for anything left over, out of range or not finite. "1_000" and "4k" are not numbers; integers may be written
 * as an exactly integral decimal ("2e6", "9.0"), but not as "1.000", which much of the world reads as a thousand. */
bool text_to_int(const char *text, int64_t *value);
bool text_to_real(const char *text, double *value); /* false, too, where a number other than 0 would become 0 */
bool text_is_decimal(const char *text);             /* written as a number, whatever its size */
bool text_to_bool(const char *text, bool *value);   /* 0 1 true false yes no on off */

/* What stands between a pair of quotes of any kind ("x", 'x', “x”, `x`), `length` bytes; NULL where `text` is not all between two. */
const char *text_unquoted(const char *text, size_t *length);

/* What a blank or quote of word processors is called that stands at either end and looks like a plain one or nothing; NULL = none does. */
const char *text_strange_end(const char *text);

/* Why a configuration file would not give `text` back as a value ("may not begin with # …"); NULL = it would. */
const char *text_unkept(const char *text);

bool text_is_utf8(const char *text);

bool text_lists(const char *list, const char *word); /* is it one of the words of the list, which stand a blank apart? */

/* The plain character that is meant at the beginning of `text`, where keyboards, web pages and word processors put another one (dashes,
 * blanks, the apostrophe), and how many bytes stand for it; 0 at the end. */
size_t text_look_alike(const char *text, char *plain);

/* `text` without dashes of any kind in front: word processors make "—lr" of "--lr". */
const char *text_behind_dashes(const char *text);

/* The same letters and digits, whatever capitals, dashes, dots, blanks and underscores: "ppo-clip" and "ppo.clip". */
bool text_same_letters(const char *a, const char *b);

bool text_has_words(const char *name, const char *words); /* all of them, shortened perhaps: "steps" of "env_steps" */
/* What may be meant among the candidates: those that have all words of what was written ("spread": "simple_spread") and fewest others;
 * where none has, or more than TEXT_MEANT, the one with the smallest edit distance (Damerau). Returns how many; 0: none is near enough. */
enum { TEXT_MEANT = 2 };
int text_meant(const char *word, const char *const *candidates, int count, const char *meant[TEXT_MEANT]);
const char *text_nearest(const char *word, const char *const *candidates, int count); /* the first of them; NULL = none */
/* "; did you mean "env.N"?" of them, each behind the prefix "env."; "" where there is none. */
void text_suggestion(char *text, size_t size, const char *word, const char *prefix, const char *const *candidates, int count);

void text_json_string(FILE *out, const char *text); /* quoted and escaped */
void text_json_real(FILE *out, double value);       /* shortest form that reads back; null for NaN and infinity */
/* A number for people: so many decimals, and no minus before a 0. */
void text_fixed(char *out, size_t size, double value, int decimals);
int text_decimals(double value);                            /* of a return: 2, or what leaves three digits of a smaller number */
void text_short_real(char *out, size_t size, double value); /* shortest decimal that reads back identically */

void text_known(char *out, size_t size, double value, int decimals); /* the same; "-" where it is not known: NaN, infinite */
void text_count(char *text, size_t size, double value);              /* "1.23M", "118k", "950"; "-" where it is not known */
void text_duration(char *text, size_t size, double seconds);         /* "12s", "2m03s", "1h02m" */

/* "467 kB" */
void text_bytes(char *text, size_t size, double bytes);

#endif
