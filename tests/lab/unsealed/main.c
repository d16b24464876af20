/* Who has the disks, and the keys that are in memory now: what can be read?
 *
 *   holdfast-unsealed keys PID...            the keys of sessions in those processes' memory, a line each
 *   holdfast-unsealed memory PID HEX...      those of the byte strings that stand anywhere in its memory
 *   holdfast-unsealed open --key HEX... --find HEX... DIR...
 *       opens every record and every item of a snapshot in the files there, with those keys of sessions
 *       and the configuration's keys that lie beside them; one JSON object: how many, and which of the
 *       byte strings stand in what was opened. Only tests have it.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "lab/unsealed/memory.h"
#include "replication/seal_ring.h"

enum {
    MAX_WORDS = 512,
    MAX_WORD_BYTES = 64,
    PLACE_BYTES = 8 + SEAL_KEY_BYTES,
    KEY_FILE_BYTES = 48
};

struct word {
    const char *text;
    uint8_t bytes[MAX_WORD_BYTES];
    size_t len, found;
};

static struct word words[MAX_WORDS];
static size_t n_words;
static struct seal_ring ring;
static size_t opened, refused, files;

static bool of_hex(const char *text, uint8_t *out, size_t cap, size_t *len)
{
    size_t n = strlen(text);

    if (n == 0 || n % 2 != 0 || n / 2 > cap)
        return false;
    for (size_t i = 0; i < n / 2; i++) {
        unsigned byte;

        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    *len = n / 2;
    return true;
}

static bool add_word(const char *text)
{
    struct word *w = &words[n_words];

    if (n_words == MAX_WORDS || !of_hex(text, w->bytes, sizeof w->bytes, &w->len))
        return false;
    w->text = text;
    n_words++;
    return true;
}

static void look(void *self, struct span bytes)
{
    (void)self;
    for (size_t i = 0; i < n_words; i++)
        words[i].found += memmem(bytes.data, bytes.len, words[i].bytes, words[i].len) != NULL;
}

/* --- keys --- */

static void print_keys(void *self, struct span kept)
{
    (void)self;
    for (size_t at = 0; at + PLACE_BYTES <= kept.len; at += PLACE_BYTES) {
        const uint8_t *place = kept.data + at;

        if (get_be64(place) == 0 ||
            seal_key_id(&ring.means, SEAL_SESSION, place + 8) != get_be64(place))
            continue;
        for (size_t i = 0; i < SEAL_KEY_BYTES; i++)
            (void)printf("%02x", place[8 + i]);
        (void)printf("\n");
    }
}

/* --- disks --- */

/* Something sealed of `n` bytes at `at`? */
static bool try_one(const uint8_t *at, size_t n)
{
    uint8_t *plain = malloc(n);
    size_t len = 0;
    bool ok = false;

    for (int purpose = SEAL_RECORD; plain != NULL && !ok && purpose <= SEAL_SNAPSHOT; purpose++)
        ok = ring.seal.open(&ring, (enum seal_purpose)purpose, span_of(at, n), plain, &len);
    if (ok)
        look(NULL, span_of(plain, len));
    free(plain);
    return ok;
}

/* How long it is stands in front of it: four bytes for an item, a varint for a record. */
static bool try_at(const uint8_t *data, size_t size, size_t at)
{
    size_t left = size - at;
    size_t length = 0;

    if (at >= 4 && get_be32(data + at - 4) >= SEAL_OVERHEAD_BYTES &&
        get_be32(data + at - 4) <= left && try_one(data + at, get_be32(data + at - 4)))
        return true;
    for (size_t bytes = 1; bytes <= 4 && bytes <= at; bytes++) {
        length = 0;
        for (size_t i = 0; i < bytes; i++)
            length |= (size_t)(data[at - bytes + i] & 0x7f) << (7 * i);
        if (length >= SEAL_OVERHEAD_BYTES && length <= left && try_one(data + at, length))
            return true;
    }
    return false;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long n;

    if (f == NULL)
        return NULL;
    if (fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0 &&
        (data = malloc((size_t)n + 1)) != NULL)
        *size = fread(data, 1, (size_t)n, f);
    (void)fclose(f);
    return data;
}

static bool is_key_file(const char *path)
{
    size_t n = strlen(path);

    return n >= 4 && strcmp(path + n - 4, ".key") == 0;
}

static int take_configuration_key(const char *path, const struct stat *about, int kind,
                                  struct FTW *at)
{
    size_t size = 0;
    uint8_t *data = kind == FTW_F && is_key_file(path) ? read_file(path, &size) : NULL;

    (void)about;
    (void)at;
    if (data != NULL && size == KEY_FILE_BYTES)
        (void)seal_ring_add(&ring, SEAL_CONFIGURATION, data + 16);
    free(data);
    return 0;
}

static int open_all_of(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    size_t size = 0;
    uint8_t *data = kind == FTW_F ? read_file(path, &size) : NULL;

    (void)about;
    (void)at;
    files += data != NULL;
    for (size_t i = 0; data != NULL && i + SEAL_OVERHEAD_BYTES <= size; i++) {
        if (data[i] != SEAL_VERSION || !seal_ring_has(&ring, get_be64(data + i + 1)))
            continue;
        if (try_at(data, size, i))
            opened++;
        else
            refused++;
    }
    free(data);
    return 0;
}

static int open_disks(int argc, char **argv)
{
    int i = 2;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        uint8_t key[SEAL_KEY_BYTES];
        size_t n = 0;

        if (strcmp(argv[i], "--find") == 0
                ? !add_word(argv[i + 1])
                : !of_hex(argv[i + 1], key, sizeof key, &n) || n != sizeof key ||
                      seal_ring_add(&ring, SEAL_SESSION, key) == 0)
            return 2;
    }
    for (int k = i; k < argc; k++)
        if (nftw(argv[k], take_configuration_key, 16, FTW_PHYS) != 0)
            return 1;
    for (int k = i; k < argc; k++)
        if (nftw(argv[k], open_all_of, 16, FTW_PHYS) != 0)
            return 1;
    (void)printf("{\"files\":%zu,\"opened\":%zu,\"refused\":%zu,\"found\":[", files, opened,
                 refused);
    for (size_t k = 0, n = 0; k < n_words; k++)
        if (words[k].found > 0)
            (void)printf("%s\"%s\"", n++ == 0 ? "" : ",", words[k].text);
    (void)printf("]}\n");
    return 0;
}

static int search_memory(int argc, char **argv)
{
    for (int i = 3; i < argc; i++)
        if (!add_word(argv[i]))
            return 2;
    if (!memory_each(strtol(argv[2], NULL, 10), NULL, look, NULL))
        return 1;
    for (size_t i = 0; i < n_words; i++)
        if (words[i].found > 0)
            (void)printf("%s\n", words[i].text);
    return 0;
}

int main(int argc, char **argv)
{
    struct seal_means means;
    int status = 2;

    if (argc < 3 || !crypto_ready() || !seal_means_of(&suite_default, &means))
        return 2;
    seal_ring_init(&ring, &means, 1, 1);
    if (strcmp(argv[1], "open") == 0)
        status = open_disks(argc, argv);
    else if (strcmp(argv[1], "memory") == 0)
        status = search_memory(argc, argv);
    else if (strcmp(argv[1], "keys") == 0)
        for (int i = 2; i < argc && (i == 2 || status == 0); i++)
            status =
                memory_each(strtol(argv[i], NULL, 10), "holdfast-keys", print_keys, NULL) ? 0 : 1;
    seal_ring_deinit(&ring);
    return status;
}
