/* The page: report.html with style, script and data in the places that it has for them. The assembler reads these files into this object, from
 * the project's root (the Makefile makes it again when one changes). */
#include <string.h>

#include "report/parts.h"

#define FILES(...)           ".section .rodata\n" __VA_ARGS__ ".previous\n"
#define FILE_TEXT(name, ...) "mappo_report_" name ":\n" __VA_ARGS__ ".byte 0\n"
#define PART(file)           ".incbin \"src/report/" file "\"\n"

__asm__(FILES(FILE_TEXT("html", PART("report.html")) FILE_TEXT("css", PART("report.css"))
                  FILE_TEXT("js", PART("data.js") PART("statistics.js") PART("plot.js") PART("export.js") PART("replay.js") PART("sweep.js")
                                      PART("tables.js") PART("report.js") PART("start.js"))));
__attribute__((visibility("hidden"))) extern const char mappo_report_html[], mappo_report_css[], mappo_report_js[];

/* JSON inside a page: a "<" can only stand in its strings, where this says the same and ends no script. */
static void write_json(FILE *out, const char *json)
{
    for (const char *c = json; *c; c++) {
        const size_t plain = strcspn(c, "<");
        fwrite(c, 1, plain, out);
        c += plain;
        if (!*c) break;
        fputs("\\u003c", out);
    }
}

void page_write(FILE *out, const char *json)
{
    static const char *const place[] = {"/*STYLE*/", "/*DATA*/", "/*SCRIPT*/"};
    const char *at = mappo_report_html;
    for (int i = 0; i < 3; i++) {
        const char *found = strstr(at, place[i]);
        CHECK(found, "report.html has no %s", place[i]);
        fwrite(at, 1, (size_t)(found - at), out);
        if (i == 1)
            write_json(out, json);
        else
            fputs(i == 0 ? mappo_report_css : mappo_report_js, out);
        at = found + strlen(place[i]);
    }
    fputs(at, out);
}
