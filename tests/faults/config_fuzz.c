/* Feeds mutated configuration files and command lines to the readers. What they take must be written and read back identically; what they
 * refuse must come with one line that says why. Built with sanitizers by test_config_fuzz.sh: config_fuzz ROUNDS FILE.ini … a fixed number
 * of rounds from fixed seeds: the same every time clang -DLIBFUZZER -fsanitize=fuzzer,address …  the same checks under libFuzzer, for as
 * long as one likes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/philox.h"
#include "base/text.h"
#include "config/config.h"

enum { INPUT_MAX = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(int code, const struct error *err)
{
    CHECK(code == EXIT_USAGE && err->code == code, "refused with code %d", code);
    CHECK(err->text[0] && !strpbrk(err->text, "\n\r\033"), "refused without one clean line");
}

static void check_taken(const struct config *config)
{
    static struct config read;
    struct error err = {0};
    char *text, path[CONFIG_TEXT + 64];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int code = config_write(config, out, &err);
    fclose(out);
    CHECK(code == 0, "was taken, but can't be written: %s", err.text);
    config_defaults(&read);
    CHECK(config_load_text(&read, text, "written", ORIGIN_FILE, &err) == 0, "what was written is refused: %s", err.text);
    CHECK(config_hash(&read) == config_hash(config), "what was written reads back differently");
    free(text);
    config_run_folder(config, path, sizeof path);
    CHECK(strlen(path) > 0, "the run has no folder");
}

static int taken, refused;

static void read_as_file(const char *text)
{
    static struct config config;
    struct error err = {0};
    config_defaults(&config);
    int code = config_load_text(&config, text, "fuzz.ini", ORIGIN_FILE, &err);
    if (code == 0)
        check_taken(&config), taken++;
    else
        check_refusal(code, &err), refused++;
}

/* Each line is an argument. */
static void read_as_command_line(char *text)
{
    static struct arguments args;
    static struct config config;
    static char *argv[1024];
    struct error err = {0};
    char *rest = text;
    int argc = 0;
    argv[argc++] = "mappo";
    for (char *line; argc < 1024 && (line = strsep(&rest, "\n"));) argv[argc++] = line;
    int code = arguments_parse(&args, argc, argv, &err);
    /* Names of files could be anything on this machine. */
    if (code == 0 && args.files == 0) code = config_build(&config, &args, NULL, &err);
    if (code)
        check_refusal(code, &err), refused++;
    else if (args.files == 0)
        check_taken(&config), taken++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX) return 0;
    char *text = malloc(size + 1);
    CHECK(text, "out of memory");
    /* Files with zero bytes are refused before they are read. */
    for (size_t i = 0; i < size; i++) text[i] = data[i] ? (char)data[i] : '0';
    text[size] = '\0';
    read_as_file(text);
    read_as_command_line(text);
    free(text);
    return 0;
}

#ifndef LIBFUZZER

struct input {
    size_t size;
    uint8_t bytes[INPUT_MAX];
};

static const char *const dictionary[] = {"[",
                                         "]",
                                         "=",
                                         ":",
                                         ";",
                                         " ;",
                                         "#",
                                         "\n",
                                         "\r\n",
                                         " ",
                                         "\t",
                                         "=\n",
                                         "\xef\xbb\xbf",
                                         "\x1b[2J",
                                         "[env]\n",
                                         "[ppo]\n",
                                         "env.N=",
                                         "clip = ",
                                         "-1",
                                         "0",
                                         "1e15",
                                         "9e999",
                                         "-0.0",
                                         "nan",
                                         "0x10",
                                         "20M",
                                         "true",
                                         "tanh",
                                         "9223372036854775808",
                                         "preset=",
                                         "--config",
                                         "--help",
                                         "--",
                                         "%s%n",
                                         "../",
                                         "section.that.is.deep = 1\n",
                                         "\xff\xfe",
                                         "'",
                                         "\""};

static uint32_t below(struct philox *rng, size_t n)
{
    return n ? (uint32_t)philox_below(rng, (int32_t)n) : 0;
}

static void insert(struct input *in, size_t at, const void *bytes, size_t n)
{
    if (n > INPUT_MAX - in->size) n = INPUT_MAX - in->size;
    memmove(in->bytes + at + n, in->bytes + at, in->size - at);
    memcpy(in->bytes + at, bytes, n);
    in->size += n;
}

static void cut(struct input *in, size_t at, size_t n)
{
    if (n > in->size - at) n = in->size - at;
    memmove(in->bytes + at, in->bytes + at + n, in->size - at - n);
    in->size -= n;
}

static void mutate(struct input *in, struct philox *rng, const struct input *corpus, size_t inputs)
{
    char key[128];
    size_t at = below(rng, in->size + 1);
    const struct input *other = &corpus[below(rng, inputs)];
    switch (below(rng, 8)) {
    case 0:
        if (at < in->size) in->bytes[at] ^= (uint8_t)(1u << below(rng, 8));
        return;
    case 1:
        if (at < in->size) in->bytes[at] = (uint8_t)below(rng, 256);
        return;
    case 2:
        cut(in, at, below(rng, 40));
        return;
    case 3: {
        const char *word = dictionary[below(rng, sizeof dictionary / sizeof *dictionary)];
        insert(in, at, word, strlen(word));
        return;
    }
    case 4: {
        int k = (int)below(rng, CONFIG_KEYS);
        text_format(key, sizeof key, "\n%s.%s=", config_keys[k].section, config_keys[k].name);
        insert(in, at, key, strlen(key));
        return;
    }
    case 5: {
        uint8_t repeated[400];
        memset(repeated, (int)below(rng, 256), sizeof repeated);
        insert(in, at, repeated, below(rng, sizeof repeated));
        return;
    }
    case 6:
        in->size = at;
        return;
    default: {
        size_t from = below(rng, other->size + 1), n = below(rng, 200);
        if (n > other->size - from) n = other->size - from;
        insert(in, at, other->bytes + from, n);
    }
    }
}

static void read_corpus(struct input *corpus, int files, char **path)
{
    for (int i = 0; i < files; i++) {
        FILE *file = fopen(path[i], "rb");
        if (!file) die(EXIT_USAGE, "cannot read %s", path[i]);
        corpus[i].size = fread(corpus[i].bytes, 1, INPUT_MAX, file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    int64_t rounds;
    if (argc < 3 || !text_to_int(argv[1], &rounds)) die(EXIT_USAGE, "config_fuzz ROUNDS FILE.ini …");
    size_t inputs = (size_t)argc - 2;
    struct input *corpus = calloc(inputs, sizeof *corpus), *input = malloc(sizeof *input);
    CHECK(corpus && input, "out of memory");
    read_corpus(corpus, argc - 2, argv + 2);
    struct philox rng;
    for (int64_t round = 0; round < rounds; round++) {
        philox_start(&rng, 1, 0, (uint32_t)round);
        *input = corpus[(size_t)round % inputs];
        for (uint32_t i = round < (int64_t)inputs ? 0 : 1 + below(&rng, 6); i > 0; i--) mutate(input, &rng, corpus, inputs);
        LLVMFuzzerTestOneInput(input->bytes, input->size);
    }
    printf("%lld rounds: %d taken, %d refused\n", (long long)rounds, taken, refused);
    free(corpus);
    free(input);
    return 0;
}
#endif
