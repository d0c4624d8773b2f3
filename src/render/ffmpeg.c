#include "render/ffmpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

extern char **environ;

int ffmpeg_check(struct error *err)
{
    char program[4096];
    const char *path = getenv("PATH");
    for (const char *from = path ? path : ""; *from;) {
        const size_t length = strcspn(from, ":");
        text_format(program, sizeof program, "%.*s/ffmpeg", (int)length, from);
        if (length && access(program, X_OK) == 0) return 0;
        from += length + (from[length] == ':');
    }
    return error_set(err, EXIT_USAGE, "the program ffmpeg, which makes it, is not on PATH (apt: ffmpeg, dnf: ffmpeg-free, conda: ffmpeg)");
}

/* ---- the program --------------------------------------------------------------------------------------------------------------------- */

struct child {
    pid_t pid;
    int in;  /* its standard input */
    int log; /* what it says */
};

/* A file without a name, which the program inherits and opens by its number. */
static int nameless_file(struct error *err)
{
    char path[4096];
    const char *folder = getenv("TMPDIR");
    text_format(path, sizeof path, "%s/.mappo-film-XXXXXX", folder && *folder ? folder : "/tmp");
    const int fd = mkstemp(path);
    if (fd < 0)
        error_set(err, EXIT_USAGE, "no file can be made for ffmpeg in %s (TMPDIR): %s", folder && *folder ? folder : "/tmp",
                  strerror(errno));
    else
        unlink(path);
    return fd;
}

/* arguments [count], before which those stand that all have. */
static int start(struct child *child, const char *const *arguments, int count, struct error *err)
{
    enum { PIPE = 1 << 20 };
    const char *argument[48] = {"ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y"};
    int ends[2], used = 6, failed = 0;
    for (int i = 0; i < count; i++) argument[used++] = arguments[i];
    CHECK(used < 48, "too many arguments for ffmpeg");
    if (pipe2(ends, O_CLOEXEC) != 0) return error_set(err, EXIT_USAGE, "no pipe can be made: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, child->log, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, child->log, STDERR_FILENO);
    failed = posix_spawnp(&child->pid, "ffmpeg", &actions, NULL, (char *const *)(uintptr_t)argument, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    child->in = ends[1];
#ifdef F_SETPIPE_SZ
    fcntl(child->in, F_SETPIPE_SZ, PIPE); /* frames are large: where it stays small they go through in more pieces */
#endif
    if (!failed) return 0;
    close(child->in);
    return error_set(err, EXIT_USAGE, "ffmpeg can't be started: %s", strerror(failed));
}

static bool feed(const struct child *child, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        const ssize_t written = write(child->in, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false; /* it has ended: why is found out by waiting for it */
        at += written;
        size -= (size_t)written;
    }
    return true;
}

/* The whole file; to be freed. */
static char *read_all(int fd, size_t *size)
{
    struct stat info;
    CHECK(fstat(fd, &info) == 0, "a file that ffmpeg wrote can't be read");
    char *bytes = malloc((size_t)info.st_size + 1);
    CHECK(bytes, "out of memory for a film of %lld bytes", (long long)info.st_size);
    *size = 0;
    for (ssize_t got; *size < (size_t)info.st_size && (got = pread(fd, bytes + *size, (size_t)info.st_size - *size, (off_t)*size)) > 0;)
        *size += (size_t)got;
    bytes[*size] = '\0';
    return bytes;
}

/* Its last line is the reason. */
static int finish(struct child *child, struct error *err)
{
    int status = 0;
    close(child->in);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    size_t size;
    char *said = read_all(child->log, &size);
    while (size && said[size - 1] == '\n') said[--size] = '\0';
    const char *last = strrchr(said, '\n');
    error_set(err, EXIT_USAGE, "ffmpeg failed: %s", size ? (last ? last + 1 : said) : "it said nothing");
    free(said);
    return EXIT_USAGE;
}

/* ---- frames -------------------------------------------------------------------------------------------------------------------------- */

struct reel {
    const struct film *film;
    struct page page;
    struct timetable time;
    struct raster raster;
    char size[32], rate[32];
    const char *name;
    double begun, told; /* seconds: when the first frame was made, when it was told last how far it is; 0 = never */
    int sent, all;      /* frames */
};

/* Where people wait, and only there. */
static void tell_progress(struct reel *reel)
{
    const double now = clock_seconds(), patience = 1, pause = 0.2;
    if (!reel->name || now - reel->begun < patience || now - reel->told < pause || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%s: %d of %d frames\033[K", reel->name, reel->sent, reel->all);
    fflush(stderr);
    reel->told = now;
}

static void end_progress(struct reel *reel)
{
    if (reel->told <= 0) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

/* How often frame f is sent, at a constant rate: the last of an episode stands for a while. */
static int times(const struct reel *reel, int f)
{
    const struct timetable *t = &reel->time;
    return (int)(lround(t->seconds[f + 1] * t->fps) - lround(t->seconds[f] * t->fps));
}

static bool send_frame(struct reel *reel, const struct child *child, int f, int count)
{
    bool sent = true;
    tell_progress(reel);
    raster_frame(&reel->raster, reel->film, &reel->page, reel->time.frame[f]);
    for (int i = 0; i < count && sent; i++) {
        sent = feed(child, reel->raster.pixel, (size_t)reel->page.width * (size_t)reel->page.height * sizeof *reel->raster.pixel);
        tell_progress(reel);
    }
    reel->sent++;
    return sent;
}

/* A GIF has 256 colours: those that do best for some of the frames, as a PNG in `palette`. */
static int choose_colours(struct reel *reel, int palette, int log, struct error *err)
{
    enum { SAMPLES = 24 };
    char to[32];
    text_format(to, sizeof to, "/dev/fd/%d", palette);
    const char *const arguments[] = {"-f",        "rawvideo", "-pix_fmt", "bgr0",   "-s",  reel->size,
                                     "-r",        "1",        "-i",       "pipe:0", "-vf", "palettegen=reserve_transparent=0",
                                     "-frames:v", "1",        "-c:v",     "png",    "-f",  "image2pipe",
                                     to};
    struct child child = {.log = log};
    int code = start(&child, arguments, sizeof arguments / sizeof *arguments, err);
    if (code) return code;
    const int count = reel->time.count, samples = count < SAMPLES ? count : SAMPLES;
    reel->all += samples;
    for (int i = 0; i < samples; i++)
        if (!send_frame(reel, &child, samples > 1 ? i * (count - 1) / (samples - 1) : 0, 1)) break;
    return finish(&child, err);
}

/* The last frame stands for a while: it is sent once, and ffmpeg repeats it, without taking a copy through the pipe each time. */
static int encode(struct reel *reel, bool gif, int palette, int out, int log, struct error *err)
{
    char from[32], to[32], filter[160];
    const int last = reel->time.count - 1;
    text_format(from, sizeof from, "/dev/fd/%d", palette);
    text_format(to, sizeof to, "/dev/fd/%d", out);
    /* What is drawn has few colours; of images there may be more than a palette has. */
    text_format(filter, sizeof filter,
                gif ? "[0:v]tpad=stop_mode=clone:stop=%d[film];[film][1:v]paletteuse=diff_mode=rectangle:dither=%s"
                    : "format=yuv420p,tpad=stop_mode=clone:stop=%d",
                times(reel, last) - 1, film_has_images(reel->film) ? "sierra2_4a" : "none");
    const char *const for_gif[] = {"-f",       "rawvideo", "-pix_fmt", "bgr0", "-s",       reel->size, "-framerate",
                                   reel->rate, "-i",       "pipe:0",   "-f",   "png_pipe", "-i",       from,
                                   "-lavfi",   filter,     "-loop",    "0",    "-f",       "gif",      to};
    const char *const for_mp4[] = {"-f",     "rawvideo", "-pix_fmt", "bgr0",      "-s",         reel->size, "-framerate", reel->rate, "-i",
                                   "pipe:0", "-vf",      filter,     "-movflags", "+faststart", "-f",       "mp4",        to};
    struct child child = {.log = log};
    int code =
        gif ? start(&child, for_gif, sizeof for_gif / sizeof *for_gif, err) : start(&child, for_mp4, sizeof for_mp4 / sizeof *for_mp4, err);
    if (code) return code;
    for (int f = 0; f < reel->time.count; f++)
        if (!send_frame(reel, &child, f, f < last ? times(reel, f) : 1)) break;
    return finish(&child, err);
}

int ffmpeg_write(const struct film *film, const struct video *video, char **bytes, size_t *length, struct error *err)
{
    struct reel reel = {.film = film, .page = page_plan(film, video->size), .name = video->name, .begun = clock_seconds()};
    int code = raster_create(&reel.raster, reel.page.width, reel.page.height, err);
    if (code) return code;
    reel.time = timetable_create(film, video->timing);
    reel.all = reel.time.count;
    text_format(reel.size, sizeof reel.size, "%dx%d", reel.page.width, reel.page.height);
    text_format(reel.rate, sizeof reel.rate, "%.6g", reel.time.fps);
    const int palette = nameless_file(err), out = nameless_file(err), log = nameless_file(err);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    if (palette < 0 || out < 0 || log < 0) code = EXIT_USAGE;
    if (!code && video->gif) code = choose_colours(&reel, palette, log, err);
    if (!code) code = encode(&reel, video->gif, palette, out, log, err);
    end_progress(&reel);
    sigaction(SIGPIPE, &before, NULL);
    if (!code) *bytes = read_all(out, length);
    if (palette >= 0) close(palette);
    if (out >= 0) close(out);
    if (log >= 0) close(log);
    timetable_destroy(&reel.time);
    raster_destroy(&reel.raster);
    return code;
}
