#include "base/text.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool text_format(char *out, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(out, size, format, list);
    va_end(list);
    return length >= 0 && (size_t)length < size;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------------------- */

/* A decimal number taken apart without rounding: sign × digits × 10^exponent, digits without leading and trailing zeros. */
struct decimal {
    bool negative;
    char digits[64];
    int count;
    long exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool decimal_parse(const char *text, struct decimal *d)
{
    memset(d, 0, sizeof *d);
    const char *c = text;
    bool any = false, point = false;
    long exponent = 0, zeros = 0;
    if (*c == '+' || *c == '-') d->negative = *c++ == '-';
    for (; is_digit(*c) || (*c == '.' && !point); c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point) exponent--;
        /* Zeros wait until a digit follows them: trailing ones belong to the exponent. */
        if (*c == '0') {
            zeros += d->count > 0;
            exponent += d->count == 0 ? 0 : 1;
            continue;
        }
        if (d->count + zeros >= (long)sizeof d->digits) return false;
        exponent -= zeros;
        for (; zeros > 0; zeros--) d->digits[d->count++] = '0';
        d->digits[d->count++] = *c;
    }
    if (!any) return false;
    if (*c == 'e' || *c == 'E') {
        char *end;
        if (!is_digit(c[1]) && !((c[1] == '+' || c[1] == '-') && is_digit(c[2]))) return false;
        long written = strtol(c + 1, &end, 10);
        if (written > 100000 || written < -100000) return false;
        exponent += written;
        c = end;
    }
    d->exponent = d->count ? exponent : 0;
    return *c == '\0';
}

/* "1.000", "20.000": is the point a decimal's or the thousands'? */
static bool is_ambiguous(const char *text)
{
    text += *text == '-' || *text == '+';
    const size_t before = strspn(text, "0123456789");
    return before >= 1 && before <= 3 && *text != '0' && text[before] == '.' && strcmp(text + before + 1, "000") == 0;
}

bool text_to_int(const char *text, int64_t *value)
{
    struct decimal d;
    if (!decimal_parse(text, &d) || d.exponent < 0 || d.count + d.exponent > 19 || is_ambiguous(text)) return false;
    int64_t result = 0;
    for (int i = 0; i < d.count + (int)d.exponent; i++) {
        int digit = i < d.count ? d.digits[i] - '0' : 0;
        if (__builtin_mul_overflow(result, (int64_t)10, &result)) return false;
        if (__builtin_add_overflow(result, (int64_t)(d.negative ? -digit : digit), &result)) return false;
    }
    *value = result;
    return true;
}

bool text_to_real(const char *text, double *value)
{
    /* Only decimal notation: strtod alone would take hexadecimal, "inf", "nan" and leading blanks. */
    if (!*text || text[strspn(text, "0123456789+-.eE")] != '\0') return false;
    char *end;
    double result = strtod(text, &end);
    if (*end != '\0' || !isfinite(result)) return false;
    if (result == 0 && is_digit(text[strcspn(text, "123456789eE")])) return false; /* 1e-400 */
    *value = result;
    return true;
}

bool text_is_decimal(const char *text)
{
    text += strspn(text, "+-") == 1;
    const size_t whole = strspn(text, "0123456789"), point = text[whole] == '.';
    const size_t digits = whole + (point ? strspn(text + whole + 1, "0123456789") : 0);
    if (!digits) return false;
    text += digits + point;
    if (*text != 'e' && *text != 'E') return !*text;
    text += 1 + (text[1] == '+' || text[1] == '-');
    return *text && !text[strspn(text, "0123456789")];
}

bool text_to_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0) return *value = true, true;
        if (strcasecmp(text, no[i]) == 0) return *value = false, true;
    }
    return false;
}

/* "1e-05" → "1e-5", "1e+15" → "1e15". */
static void tidy_exponent(char *text)
{
    char *from = strchr(text, 'e');
    if (!from) return;
    char *to = ++from;
    if (*from == '-')
        to++, from++;
    else if (*from == '+')
        from++;
    while (*from == '0' && from[1]) from++;
    memmove(to, from, strlen(from) + 1);
}

void text_fixed(char *out, size_t size, double value, int decimals)
{
    text_format(out, size, "%.*f", decimals, value);
    if (out[0] == '-' && out[strspn(out, "-0.")] == '\0') memmove(out, out + 1, strlen(out));
}

int text_decimals(double value)
{
    enum { USUAL = 2, MOST = 12 };
    const double size = fabs(value);
    if (!(size > 0) || size >= 0.1) return USUAL;
    const int decimals = USUAL - (int)floor(log10(size));
    return decimals < MOST ? decimals : MOST;
}

void text_short_real(char *out, size_t size, double value)
{
    char text[40];
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(text, sizeof text, "%.0f", value);
    } else {
        for (int precision = 1; precision <= 17; precision++) {
            snprintf(text, sizeof text, "%.*g", precision, value);
            if (strtod(text, NULL) == value) break;
        }
        if (isfinite(value)) tidy_exponent(text);
    }
    snprintf(out, size, "%s", text);
}

/* ---- as people write ----------------------------------------------------------------------------------------------------------------- */

const char *text_unquoted(const char *text, size_t *length)
{
    static const char *const pairs[][2] = {{"\"", "\""},         {"'", "'"},           {"`", "`"},
                                           {"\u201c", "\u201d"}, {"\u201e", "\u201c"}, {"\u201d", "\u201d"},
                                           {"\u2018", "\u2019"}, {"\u2019", "\u2019"}, {"\u00ab", "\u00bb"}};
    const size_t size = strlen(text);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const size_t before = strlen(pairs[i][0]), behind = strlen(pairs[i][1]);
        if (size < before + behind || strncmp(text, pairs[i][0], before) != 0 || strcmp(text + size - behind, pairs[i][1]) != 0) continue;
        *length = size - before - behind;
        return text + before;
    }
    return NULL;
}

const char *text_strange_end(const char *text)
{
    static const struct {
        const char *bytes, *name;
    } strange[] = {{"\u00a0", "a no-break space (U+00A0)"},   {"\u2009", "a thin space (U+2009)"},
                   {"\u202f", "a no-break space (U+202F)"},   {"\u3000", "a wide space (U+3000)"},
                   {"\u200b", "a zero-width space (U+200B)"}, {"\ufeff", "a byte order mark (U+FEFF)"},
                   {"\u201c", "a typographic quote (“)"},     {"\u201d", "a typographic quote (”)"},
                   {"\u2018", "a typographic quote (‘)"},     {"\u2019", "a typographic quote (’)"}};
    const size_t length = strlen(text);
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        const size_t size = strlen(strange[i].bytes);
        if (length >= size && (strncmp(text, strange[i].bytes, size) == 0 || strcmp(text + length - size, strange[i].bytes) == 0))
            return strange[i].name;
    }
    return NULL;
}

const char *text_unkept(const char *text)
{
    const size_t length = strlen(text);
    size_t inner;
    if (length && (text[0] == ' ' || text[length - 1] == ' ' || text[0] == ';' || strstr(text, " ;")))
        return "may not begin or end with a blank, begin with ; or hold \" ;\"";
    if (text[0] == '#' || strstr(text, " #")) return "may not begin with # or hold \" #\"";
    if (text_unquoted(text, &inner)) return "may not stand in quotes";
    return text_strange_end(text) ? "may not begin or end with a blank or quote of word processors" : NULL;
}

/* Bytes of the character at the beginning of `text`; 0: that is none (cut off, written too long, a surrogate, beyond U+10FFFF). */
static size_t utf8_length(const unsigned char *text)
{
    const size_t length = text[0] < 0x80 ? 1 : text[0] < 0xC2 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : text[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < length; i++)
        if (text[i] >> 6 != 2) return 0;
    const bool wrong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) || (text[0] == 0xF0 && text[1] < 0x90) ||
                       (text[0] == 0xF4 && text[1] > 0x8F);
    return wrong ? 0 : length;
}

bool text_is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = 1;
    for (; *at && length; at += length) length = utf8_length(at);
    return length > 0;
}

bool text_lists(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; length && (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
    return false;
}

size_t text_look_alike(const char *text, char *plain)
{
    static const struct {
        const char *written;
        char plain;
    } look_alikes[] = {{"\u2010", '-'}, {"\u2011", '-'}, {"\u2012", '-'}, {"\u2013", '-'}, {"\u2014", '-'}, {"\u2212", '-'},
                       {"\u00a0", ' '}, {"\u2007", ' '}, {"\u2009", ' '}, {"\u202f", ' '}, {"\u2019", '\''}};
    for (size_t i = 0; i < sizeof look_alikes / sizeof *look_alikes; i++) {
        const size_t length = strlen(look_alikes[i].written);
        if (strncmp(text, look_alikes[i].written, length) != 0) continue;
        *plain = look_alikes[i].plain;
        return length;
    }
    *plain = *text;
    return *text != '\0';
}

const char *text_behind_dashes(const char *text)
{
    char plain;
    for (size_t length; (length = text_look_alike(text, &plain)) > 0 && plain == '-';) text += length;
    return text;
}

bool text_same_letters(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "-._ ");
        b += strspn(b, "-._ ");
        if (!*a || !*b) return !*a && !*b;
        if (strncasecmp(a, b, 1) != 0) return false;
    }
}

/* ---- the nearest word ---------------------------------------------------------------------------------------------------------------- */

enum { WORD_MAX = 96, EDIT = 2, TAIL = 1 };

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, swap neighbours cost EDIT each; what one word has beyond the end of the other only
 * TAIL, because people lengthen and shorten names ("cliprange" is meant as "clip" rather than "clip_value"). Case doesn't count. */
static int distance(const char *a, const char *b)
{
    static const int far = INT_MAX / 4;
    int la = (int)strlen(a), lb = (int)strlen(b);
    if (la >= WORD_MAX || lb >= WORD_MAX) return far;
    int rows[3][WORD_MAX], best = far;
    for (int i = 0; i <= la; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        for (int j = 0; j <= lb; j++) {
            if (i == 0 || j == 0) {
                row[j] = (i + j) * EDIT;
            } else {
                bool same = strncasecmp(a + i - 1, b + j - 1, 1) == 0;
                row[j] = min_int(min_int(above[j], row[j - 1]) + EDIT, above[j - 1] + (same ? 0 : EDIT));
                bool swapped = i > 1 && j > 1 && strncasecmp(a + i - 1, b + j - 2, 1) == 0 && strncasecmp(a + i - 2, b + j - 1, 1) == 0;
                if (swapped) row[j] = min_int(row[j], before[j - 2] + EDIT);
            }
            /* The rest of either word, where the other is used up. */
            if (i == la || j == lb) best = min_int(best, row[j] + (la - i + lb - j) * TAIL);
        }
    }
    return best;
}

/* Names are made of words: "num_good", "lbf/8x8-2p-3f". */
static const char word_breaks[] = "_/-. ";

/* Is `word` [n] among the words of `name`, shortened perhaps ("len" of "ep_length")? */
static bool has_word(const char *name, const char *word, size_t n)
{
    enum { SHORTENED = 3 };
    for (name += strspn(name, word_breaks); *name; name += strspn(name, word_breaks)) {
        const size_t own = strcspn(name, word_breaks);
        if (own >= n && strncasecmp(name, word, n) == 0 && (own == n || n >= SHORTENED)) return true;
        name += own;
    }
    return false;
}

static int words_of(const char *name)
{
    int count = 0;
    for (name += strspn(name, word_breaks); *name; count++, name += strspn(name, word_breaks)) name += strcspn(name, word_breaks);
    return count;
}

/* Words that a name has beyond those that were written; INT_MAX where it lacks one of these. */
static int words_beyond(const char *written, const char *name)
{
    for (const char *at = written + strspn(written, word_breaks); *at; at += strspn(at, word_breaks)) {
        const size_t n = strcspn(at, word_breaks);
        if (!has_word(name, at, n)) return INT_MAX;
        at += n;
    }
    return words_of(name) - words_of(written);
}

bool text_has_words(const char *name, const char *words)
{
    return strlen(words) > 1 && words_beyond(words, name) < INT_MAX;
}

/* Near enough: less is changed than the shorter word has letters, but for a longer word's end. */
static bool is_near(const char *word, const char *candidate, int d)
{
    const int written = (int)strlen(word), known = (int)strlen(candidate), longer = written > known ? written : known;
    if (written == 1 && d > 0) return false; /* every name that begins so would be near */
    return d < longer && d <= written;
}

int text_meant(const char *word, const char *const *candidates, int count, const char *meant[TEXT_MEANT])
{
    int fewest = INT_MAX, found = 0, least = INT_MAX;
    for (int i = 0; i < count && strlen(word) > 1; i++) {
        const int beyond = words_beyond(word, candidates[i]);
        if (beyond < fewest) fewest = beyond, found = 0;
        if (beyond == fewest && beyond < INT_MAX && found++ < TEXT_MEANT) meant[found - 1] = candidates[i];
    }
    if (found && found <= TEXT_MEANT) return found;
    /* None, or too many: by letters. */
    for (int i = 0; i < count; i++) {
        const int d = distance(word, candidates[i]);
        if (found && words_beyond(word, candidates[i]) != fewest) continue;
        if (d < least && (found || is_near(word, candidates[i], d))) least = d, meant[0] = candidates[i];
    }
    return least < INT_MAX;
}

const char *text_nearest(const char *word, const char *const *candidates, int count)
{
    const char *meant[TEXT_MEANT];
    return text_meant(word, candidates, count, meant) ? meant[0] : NULL;
}

void text_suggestion(char *text, size_t size, const char *word, const char *prefix, const char *const *candidates, int count)
{
    const char *meant[TEXT_MEANT];
    const int found = text_meant(word, candidates, count, meant);
    text[0] = '\0';
    if (found == 1) text_format(text, size, "; did you mean \"%s%s\"?", prefix, meant[0]);
    if (found == 2) text_format(text, size, "; did you mean \"%s%s\" or \"%s%s\"?", prefix, meant[0], prefix, meant[1]);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------------------- */

void text_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c == '\n')
            fputs("\\n", out);
        else if (*c == '\t')
            fputs("\\t", out);
        else if (*c < ' ' || *c == 0x7f)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

void text_json_real(FILE *out, double value)
{
    if (!isfinite(value)) {
        fputs("null", out);
        return;
    }
    char text[40];
    text_short_real(text, sizeof text, value);
    fputs(text, out);
}

void text_count(char *text, size_t size, double value)
{
    if (!isfinite(value))
        text_format(text, size, "-");
    else if (value >= 999.995e6) /* what would be 1000.00M */
        text_format(text, size, "%.2fG", value / 1e9);
    else if (value >= 999.5e3)
        text_format(text, size, "%.2fM", value / 1e6);
    else if (value >= 9999.5)
        text_format(text, size, "%.0fk", value / 1e3);
    else
        text_format(text, size, "%.0f", value);
}

void text_known(char *text, size_t size, double value, int decimals)
{
    if (isfinite(value))
        text_fixed(text, size, value, decimals);
    else
        text_format(text, size, "-");
}

void text_duration(char *text, size_t size, double seconds)
{
    const long s = isfinite(seconds) && seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (s < 60)
        text_format(text, size, "%lds", s);
    else if (s < 3600)
        text_format(text, size, "%ldm%02lds", s / 60, s % 60);
    else
        text_format(text, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
}

void text_bytes(char *text, size_t size, double bytes)
{
    static const char *const unit[] = {"bytes", "kB", "MB", "GB", "TB"};
    int u = 0;
    while (bytes >= 999.5 && u < 4) bytes /= 1000, u++;
    text_format(text, size, u == 0 || bytes >= 99.5 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
}
