/* holdfast-drill: validate, plan, list and run drills. `holdfast drill ...` hands its arguments to
 * this program. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"
#include "verdict.h"

enum { EXIT_USAGE = 64, MAX_DRILLS = 256, MAX_TIMES = 100000 };
enum { EVIDENCE_PATH = 400 }; /* bytes; a cell's folder and a file's name follow */

static const char usage[] =
    "usage: holdfast drill validate|plan|list FILE_OR_DIR...\n"
    "       holdfast drill run FILE_OR_DIR... [options]\n"
    "  -o json          the verdict as JSON on stdout\n"
    "  --repeat N       each cell N times        --seed S         instead of the drill's own\n"
    "  --only GLOB      cells whose id matches   --sample N       N of them, chosen by the seed\n"
    "  --jobs N         N of them at once, at most 16: more load, so only where gaps are not "
    "measured\n"
    "  --evidence DIR   captures and logs        --stay           keep the lab until Ctrl-C (one "
    "cell)\n"
    "  --screen         80x24 on a terminal      -q               say nothing while it runs\n"
    "  --bin DIR        where holdfastd is (beside this program)\n"
    "exit: 0 pass, 1 fail, 2 inconclusive, 3 aborted (also a bad drill), 64 a bad command line\n";

struct options {
    unsigned repeat, sample, jobs;
    bool seeded, json, stay, screen, quiet;
    uint64_t seed;
    const char *only, *evidence, *bin_dir, *beside;
};

struct set {
    struct drill *drills; /* cells point into it: never grown after drill_cells() */
    size_t n;
    struct drill_cell *cells;
    size_t n_cells;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The .yaml files of a directory, by name; or the file itself. Returns how many, at most
 * MAX_DRILLS. */
static size_t find_files(const char *path, char *files[MAX_DRILLS])
{
    struct stat st;
    struct dirent *e;
    size_t n = 0;
    DIR *d;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        files[0] = strdup(path);
        return files[0] != NULL;
    }
    d = opendir(path);
    while (d && n < MAX_DRILLS && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);

        if (len > 5 && strcmp(e->d_name + len - 5, ".yaml") == 0 &&
            asprintf(&files[n], "%s/%s", path, e->d_name) > 0)
            n++;
    }
    if (d)
        (void)closedir(d);
    qsort(files, n, sizeof *files, by_text);
    return n;
}

/* Reads every drill named; errors go to stderr, all of them. */
static bool load(struct set *set, char **paths, int n_paths)
{
    bool ok = true;

    set->drills = calloc(MAX_DRILLS, sizeof *set->drills);
    for (int i = 0; set->drills && i < n_paths; i++) {
        char *files[MAX_DRILLS], error[DRILL_ERROR];
        size_t n = find_files(paths[i], files);

        if (n == 0) {
            (void)fprintf(stderr, "%s: no drill there\n", paths[i]);
            ok = false;
        }
        for (size_t k = 0; k < n; k++) {
            if (set->n == MAX_DRILLS || !drill_parse(&set->drills[set->n], files[k], error)) {
                (void)fprintf(stderr, "%s\n", set->n == MAX_DRILLS ? "too many drills" : error);
                ok = false;
            } else {
                set->n++;
            }
            free(files[k]);
        }
    }
    return ok && set->drills;
}

static bool make_cells(struct set *set, const struct options *o)
{
    for (size_t i = 0; i < set->n; i++) {
        if (o->seeded)
            set->drills[i].seed = o->seed;
        if (!drill_cells(&set->drills[i], &set->cells, &set->n_cells))
            return false;
    }
    if (o->only)
        drill_only(set->cells, &set->n_cells, o->only);
    if (o->sample && set->n)
        drill_sample(set->cells, &set->n_cells, o->sample, set->drills[0].seed);
    return true;
}

static void print_cell(const json_t *c)
{
    const json_t *gap = json_object_get(c, "gap_ms"), *v;
    const char *why = json_string_value(json_object_get(c, "why"));
    size_t i;

    printf("%-12s %s\n", json_string_value(json_object_get(c, "verdict")),
           json_string_value(json_object_get(c, "id")));
    printf("             lost %lld, twice %lld, gap in %.1f out %.1f ms, copies compared %lld\n",
           (long long)json_integer_value(json_object_get(c, "lost")),
           (long long)json_integer_value(json_object_get(c, "duplicated")),
           json_real_value(json_object_get(gap, "in")),
           json_real_value(json_object_get(gap, "out")),
           (long long)json_integer_value(json_object_get(c, "copies_compared")));
    json_array_foreach(json_object_get(c, "violations"), i, v)
        printf("    violation: %s\n", json_string_value(v));
    if (why)
        printf("    %s\n", why);
}

static void print_verdict(const struct set *set, const struct options *o, enum verdict code,
                          json_t *cells)
{
    const struct drill *d = &set->drills[0];
    json_t *j;
    const json_t *c;
    size_t i;

    if (!o->json) {
        json_array_foreach(cells, i, c) print_cell(c);
        printf("%s: %zu cells\n", verdict_word(code), json_array_size(cells));
        json_decref(cells);
        return;
    }
    j = json_pack("{s:s, s:s, s:I, s:s, s:i, s:{s:i, s:i, s:i, s:i}, s:o, s:s?}", "schema",
                  "holdfast/verdict/1", "drill", set->n == 1 ? d->name : "several", "seed",
                  (json_int_t)d->seed, "verdict", verdict_word(code), "jobs", (int)o->jobs,
                  "timing", "election_ms", (int)d->timing.election_ms, "heartbeat_ms",
                  (int)d->timing.heartbeat_ms, "lease_ms", (int)d->timing.lease_ms,
                  "lease_heartbeat_ms", (int)d->timing.lease_heartbeat_ms, "cells", cells,
                  "evidence", o->evidence);
    (void)json_dumpf(j, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(j);
}

static int run(struct set *set, const struct options *o)
{
    struct screen screen = {.mode = o->quiet                             ? SCREEN_QUIET
                                    : o->jobs > 1                        ? SCREEN_RESULTS
                                    : o->screen && isatty(STDERR_FILENO) ? SCREEN_FULL
                                                                         : SCREEN_LINES,
                            .fd = STDERR_FILENO,
                            .cells = set->n_cells * o->repeat};
    struct run_options options = {.bin_dir = o->bin_dir,
                                  .beside = o->beside,
                                  .evidence_dir = o->evidence,
                                  .stay = o->stay,
                                  .screen = &screen};
    struct run_plan plan = {
        .cells = set->cells, .n_cells = set->n_cells, .repeat = o->repeat, .jobs = o->jobs};
    size_t planned = set->n_cells * o->repeat;
    struct run_kept kept = {0};
    enum verdict code;
    json_t *cells;

    run_catch_signals();
    cells = run_cells(&plan, &options, &kept);
    screen_end(&screen);
    code = verdict_of_cells(cells, planned);
    if (json_array_size(cells) != planned || planned == 0)
        (void)fprintf(stderr, "%zu of %zu cells ran\n", json_array_size(cells), planned);
    print_verdict(set, o, code, cells);
    (void)fflush(stdout);
    if (kept.outer) /* whoever reads the verdict has it by now */
        run_stay(&kept, &screen);
    return (int)code;
}

/* The number that a word is, all of it. */
static bool take_number(const char *word, uint64_t most, uint64_t *to)
{
    char *end;

    errno = 0;
    *to = strtoull(word, &end, 10);
    return word[0] >= '0' && word[0] <= '9' && !*end && errno == 0 && *to <= most;
}

static bool take_options(int argc, char **argv, struct options *o)
{
    enum { REPEAT = 256, SEED, ONLY, JOBS, SAMPLE, EVIDENCE, STAY, SCREEN, BIN };
    static const struct option known[] = {{"repeat", required_argument, NULL, REPEAT},
                                          {"seed", required_argument, NULL, SEED},
                                          {"only", required_argument, NULL, ONLY},
                                          {"jobs", required_argument, NULL, JOBS},
                                          {"sample", required_argument, NULL, SAMPLE},
                                          {"evidence", required_argument, NULL, EVIDENCE},
                                          {"stay", no_argument, NULL, STAY},
                                          {"screen", no_argument, NULL, SCREEN},
                                          {"bin", required_argument, NULL, BIN},
                                          {NULL, 0, NULL, 0}};
    uint64_t n;
    int c;

    while ((c = getopt_long(argc, argv, "o:q", known, NULL)) != -1) {
        switch (c) {
        case 'o':
            o->json = strcmp(optarg, "json") == 0;
            if (!o->json)
                return false;
            break;
        case 'q':
            o->quiet = true;
            break;
        case REPEAT:
            if (!take_number(optarg, MAX_TIMES, &n))
                return false;
            o->repeat = (unsigned)n;
            break;
        case SEED:
            if (!take_number(optarg, UINT64_MAX, &o->seed))
                return false;
            o->seeded = true;
            break;
        case SAMPLE:
            if (!take_number(optarg, MAX_TIMES, &n))
                return false;
            o->sample = (unsigned)n;
            break;
        case JOBS:
            if (!take_number(optarg, RUN_MAX_JOBS, &n))
                return false;
            o->jobs = (unsigned)n;
            break;
        case ONLY:
            o->only = optarg;
            break;
        case EVIDENCE:
            o->evidence = optarg;
            break;
        case STAY:
            o->stay = true;
            break;
        case SCREEN:
            o->screen = true;
            break;
        case BIN:
            o->bin_dir = optarg;
            break;
        default:
            return false;
        }
    }
    return o->repeat > 0 && o->jobs > 0 && !(o->stay && o->jobs > 1) && optind < argc;
}

/* mkdir -p. False: errno. */
static bool make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    struct stat st;

    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    errno = ENOTDIR;
    return false;
}

/* The evidence folder exists and is named from the root. */
static bool check_paths(struct options *o, char absolute[PATH_MAX])
{
    if (!o->evidence)
        return true;
    if (!make_folders(o->evidence) || !realpath(o->evidence, absolute)) {
        (void)fprintf(stderr, "--evidence %s: %s\n", o->evidence, strerror(errno));
        return false;
    }
    if (strlen(absolute) > EVIDENCE_PATH) {
        (void)fprintf(stderr, "--evidence %s: longer than %d bytes\n", absolute, EVIDENCE_PATH);
        return false;
    }
    o->evidence = absolute;
    return true;
}

static bool is_verb(const char *word)
{
    static const char *const verbs[] = {"run", "validate", "plan", "list"};

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(word, verbs[i]) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    char self[PATH_MAX] = "", absolute[PATH_MAX];
    struct options o = {.repeat = 1, .jobs = 1};
    struct set set = {0};
    const char *verb = argc > 1 ? argv[1] : "";
    int code = VERDICT_PASS;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return VERDICT_ABORTED;
    o.bin_dir = o.beside = dirname(self);
    if (!is_verb(verb) || !take_options(argc - 1, argv + 1, &o)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (!load(&set, argv + 1 + optind, argc - 1 - optind) || !make_cells(&set, &o) ||
        !check_paths(&o, absolute)) {
        code = VERDICT_ABORTED;
    } else if (strcmp(verb, "run") == 0) {
        size_t planned = set.n_cells * o.repeat;

        code = o.stay && planned != 1 ? EXIT_USAGE : run(&set, &o);
        if (code == EXIT_USAGE)
            (void)fprintf(stderr, "--stay needs exactly one cell, here are %zu\n", planned);
    } else if (strcmp(verb, "plan") == 0) {
        for (size_t i = 0; i < set.n_cells; i++)
            printf("%s\n", set.cells[i].id);
    } else {
        for (size_t i = 0; i < set.n; i++)
            printf("%-32s %s\n", set.drills[i].name, set.drills[i].file);
    }
    free(set.cells);
    free(set.drills);
    return code;
}
