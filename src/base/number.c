#include "base/number.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { LENGTH = 64 };

/* With plain characters, without blanks around it and a list's comma behind it. False where it is too long to be a number. */
static bool make_plain(const char *value, char *plain)
{
    size_t used = 0;
    while (*value) {
        if (used + 2 > LENGTH) return false;
        value += text_look_alike(value, &plain[used++]);
    }
    while (used > 0 && strchr(" ,;", plain[used - 1])) used--;
    plain[used] = '\0';
    memmove(plain, plain + strspn(plain, " "), strlen(plain + strspn(plain, " ")) + 1);
    return true;
}

/* ---- one number ---------------------------------------------------------------------------------------------------------------------- */

enum reading { READING_NONE, READING_ONE, READING_TWO };

static int occurrences(const char *text, char c)
{
    int count = 0;
    for (; *text; text++) count += *text == c;
    return count;
}

/* "1,234,567" for ',': one to three digits that don't begin with 0, then groups of three. */
static bool is_grouped(const char *text, size_t length, char mark)
{
    size_t first = strspn(text, "0123456789");
    if (first < 1 || first > 3 || *text == '0') return false;
    for (size_t at = first; at < length; at += 4)
        if (text[at] != mark || strspn(text + at + 1, "0123456789") != 3 || at + 4 > length) return false;
    return true;
}

static void drop(char *text, char mark)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != mark) *to++ = *from;
    *to = '\0';
}

static void replace(char *text, char from, char to)
{
    for (; *text; text++)
        if (*text == from) *text = to;
}

/* Digits with one kind of mark, a comma or point that may stand for two things. */
static enum reading read_one_mark(char *digits, char mark)
{
    const bool grouped = is_grouped(digits, strlen(digits), mark);
    if (occurrences(digits, mark) == 1) {
        if (grouped) return READING_TWO;
        replace(digits, mark, '.');
        return READING_ONE;
    }
    drop(digits, mark);
    return grouped ? READING_ONE : READING_NONE;
}

/* Makes "1.234,5" and its like a number with at most one point, in place. */
static enum reading read_digits(char *digits)
{
    char *comma = strrchr(digits, ','), *point = strrchr(digits, '.');
    for (const char *mark = "_' "; *mark; mark++) {
        if (!strchr(digits, *mark)) continue;
        /* Underscores are a programmer's, and may stand anywhere between digits. */
        const bool between = isdigit((unsigned char)digits[0]) && isdigit((unsigned char)digits[strlen(digits) - 1]);
        if (comma || strspn(digits, "0123456789.") + strspn(strchr(digits, *mark), "0123456789._' ") < strlen(digits)) return READING_NONE;
        if (*mark == '_' ? !between : !is_grouped(digits, strcspn(digits, "."), *mark)) return READING_NONE;
        drop(digits, *mark);
        return occurrences(digits, '.') < 2 && !strpbrk(digits, "_' ") ? READING_ONE : READING_NONE;
    }
    if (!comma && !point) return *digits ? READING_ONE : READING_NONE;
    if (!comma || !point) return read_one_mark(digits, comma ? ',' : '.');
    /* Of two kinds the last is the decimal's. */
    const char decimal = comma > point ? ',' : '.', thousands = comma > point ? '.' : ',';
    if (occurrences(digits, decimal) > 1 || !is_grouped(digits, strcspn(digits, (char[]){decimal, 0}), thousands)) return READING_NONE;
    drop(digits, thousands);
    replace(digits, ',', '.');
    return READING_ONE;
}

/* What stands behind the digits: the factor that it means; 0 where it means none. `power`: as "e6", for factors of ten. */
static double suffix_factor(const char *suffix, const struct number_kind *kind, const char **power)
{
    static const struct {
        const char *suffix;
        double factor;
    } times[] = {{"s", 1},        {"sec", 1},  {"second", 1},  {"seconds", 1},  {"m", 60},    {"min", 60},
                 {"minutes", 60}, {"h", 3600}, {"hour", 3600}, {"hours", 3600}, {"d", 86400}, {"days", 86400}};
    static const struct {
        char suffix;
        const char *power;
    } powers[] = {{'k', "e3"}, {'M', "e6"}, {'G', "e9"}, {'B', "e9"}};
    *power = "";
    if (!*suffix) return 1;
    for (size_t i = 0; kind->seconds && i < sizeof times / sizeof *times; i++)
        if (strcmp(times[i].suffix, suffix) == 0) return times[i].factor;
    for (size_t i = 0; !kind->seconds && i < sizeof powers / sizeof *powers; i++) {
        /* A small m is a thousandth, or minutes, where fractions are taken. */
        const bool same = powers[i].suffix == *suffix || (tolower(*suffix) == tolower(powers[i].suffix) && (kind->whole || *suffix != 'm'));
        if (same && !suffix[1]) return *power = powers[i].power, 1;
    }
    if (strcmp(suffix, "%") == 0 && !kind->whole) return 0.01;
    return 0;
}

/* "-1,5M" as it should be written. */
static enum reading read_number(const char *plain, const struct number_kind *kind, char *text, size_t size)
{
    char digits[LENGTH];
    const char *sign = *plain == '-' ? "-" : "", *power;
    plain += *plain == '-' || *plain == '+';
    size_t length = strspn(plain, "0123456789.,_' ");
    while (length > 0 && plain[length - 1] == ' ') length--;
    snprintf(digits, sizeof digits, "%.*s", (int)length, plain);
    const char *rest = plain + length + strspn(plain + length, " ");
    const bool exponent = length > 0 && (*rest == 'e' || *rest == 'E') && rest == plain + length && text_is_decimal(rest - 1);
    const enum reading reading = read_digits(digits);
    const double factor = exponent ? 1 : suffix_factor(rest, kind, &power);
    double number;
    if (reading == READING_NONE || factor == 0) return READING_NONE;
    if (exponent)
        text_format(text, size, "%s%s%s", sign, digits, rest);
    else if (factor == 1)
        text_format(text, size, "%s%s%s", sign, digits, power);
    else if (text_to_real(digits, &number)) {
        text_format(text, size, "%s", sign);
        text_short_real(text + strlen(text), size - strlen(text), factor < 1 ? number / 100 : number * factor);
    }
    return reading;
}

/* ---- other notations ----------------------------------------------------------------------------------------------------------------- */

static bool is_all(const char *text, const char *characters)
{
    return *text && !text[strspn(text, characters)];
}

/* "0x10", "1/3", "01:30:00" */
static bool read_notation(const char *plain, const struct number_kind *kind, char *text, size_t size)
{
    int hours, minutes, seconds, end = 0, over, under;
    if (strncasecmp(plain, "0x", 2) == 0 && is_all(plain + 2, "0123456789abcdefABCDEF") && strlen(plain) < 12)
        return text_format(text, size, "%llu", strtoull(plain + 2, NULL, 16));
    if (strlen(plain) > 16) return false;
    if (is_all(plain, "0123456789/") && sscanf(plain, "%d/%d%n", &over, &under, &end) == 2 && !plain[end] && under) {
        text_short_real(text, size, (double)over / under);
        return true;
    }
    if (kind->seconds && is_all(plain, "0123456789:") && sscanf(plain, "%d:%2d:%2d%n", &hours, &minutes, &seconds, &end) == 3 &&
        !plain[end])
        return text_format(text, size, "%lld", hours * 3600LL + minutes * 60 + seconds);
    return false;
}

/* What is advised must be taken when it is written. */
static bool is_taken(const char *text, const struct number_kind *kind)
{
    int64_t whole;
    double number = 0;
    const bool read = kind->whole ? text_to_int(text, &whole) && text_to_real(text, &number) : text_to_real(text, &number);
    return read && number >= kind->low && number <= kind->high;
}

void number_advice(const char *value, const struct number_kind *kind, char *text, size_t size)
{
    char plain[LENGTH], number[2 * LENGTH] = "";
    text[0] = '\0';
    if (!make_plain(value, plain)) return;
    enum reading reading = read_notation(plain, kind, number, sizeof number) ? READING_ONE : READING_NONE;
    if (reading == READING_NONE) reading = read_number(plain, kind, number, sizeof number);
    if (reading == READING_TWO)
        text_format(text, size, ": a decimal point is written as a point, thousands without a mark");
    else if (reading == READING_ONE && is_taken(number, kind) && strcmp(number, value) != 0)
        text_format(text, size, ": write %s", number);
}
