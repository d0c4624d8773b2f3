/* Compares this program with golden data: every *.h5 file of a folder (and of folders in it), by name. Exits 1 where a supported file
 * differs or where none is recognised. Built twice: parity (learning and environments in float) and parity_double (both in double). */
#include <dirent.h>
#include <sys/stat.h>

#include "parity/parity_algo.h"
#include "parity/parity_env.h"
#include "parity/parity_maddpg.h"

struct tally {
    int passed, failed, unsupported, unknown;
};

static void compare_file(const char *path, const char *name, struct tally *tally)
{
    struct parity_report report = {0};
    enum parity_result result = parity_maddpg_file(path, "cpu", &report);
    if (result == PARITY_UNKNOWN) result = parity_algo(path, NULL, &report);
    if (result == PARITY_UNKNOWN) result = parity_env(path, &report);
    if (result == PARITY_PASSED)
        printf("passed  %s: %d tensors, worst at %.2g %% of its bound (%s)%s%s\n", name, report.checked, 100 * report.worst,
               report.worst_name, report.left_out[0] ? "; not yet supported: " : "", report.left_out);
    if (result == PARITY_FAILED) printf("FAILED  %s: %d of %d tensors differ\n%s", name, report.differing, report.checked, report.text);
    if (result == PARITY_UNSUPPORTED) printf("not yet supported  %s\n", name);
    tally->passed += result == PARITY_PASSED;
    tally->failed += result == PARITY_FAILED;
    tally->unsupported += result == PARITY_UNSUPPORTED;
    tally->unknown += result == PARITY_UNKNOWN;
    fflush(stdout);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void compare_folder(const char *folder, struct tally *tally)
{
    struct dirent **entry;
    const int count = scandir(folder, &entry, visible, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        const size_t length = strlen(path);
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
            compare_folder(path, tally);
        else if (length > 3 && strcmp(path + length - 3, ".h5") == 0)
            compare_file(path, entry[i]->d_name, tally);
        free(entry[i]);
    }
    if (count >= 0) free(entry);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: parity FOLDER\n");
        return 2;
    }
    struct tally tally = {0};
    compare_folder(argv[1], &tally);
    printf("%s: %d passed, %d failed, %d not yet supported, %d not recognised\n", REAL_IS_DOUBLE ? "double" : "float", tally.passed,
           tally.failed, tally.unsupported, tally.unknown);
    const bool nothing = tally.passed + tally.failed + tally.unsupported == 0;
    if (nothing) fprintf(stderr, "parity: no golden data in %s\n", argv[1]);
    return tally.failed > 0 || nothing;
}
