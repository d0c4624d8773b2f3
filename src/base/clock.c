#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void clock_utc(char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    if (!strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts) && size) text[0] = '\0';
}

void clock_duration(char *text, size_t size, double seconds)
{
    if (!isfinite(seconds)) {
        snprintf(text, size, "?");
        return;
    }
    const char *sign = seconds < 0 ? "-" : "";
    seconds = fabs(seconds);
    /* Rounded first, so that 59.96 s becomes a minute and never "60.0 s". */
    if (seconds < 59.95) {
        snprintf(text, size, "%s%.1f s", sign, seconds);
        return;
    }
    double whole = floor(seconds + 0.5);
    if (whole < 3600) {
        snprintf(text, size, "%s%d min %02d s", sign, (int)whole / 60, (int)whole % 60);
        return;
    }
    double minutes = floor(seconds / 60 + 0.5);
    if (minutes < 24 * 60)
        snprintf(text, size, "%s%d h %02d min", sign, (int)minutes / 60, (int)minutes % 60);
    else
        snprintf(text, size, "%s%.0f d %02d h", sign, floor(minutes / 1440), (int)(fmod(minutes, 1440) / 60));
}
