#include "replication/documents.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/secret.h"
#include "replication/text.h"

bool document_kind_valid(const char *kind)
{
    size_t n = strlen(kind);

    if (n == 0 || n > DOCUMENT_MAX_KIND || kind[0] < 'a' || kind[0] > 'z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((kind[i] >= 'a' && kind[i] <= 'z') || (kind[i] >= '0' && kind[i] <= '9') ||
              kind[i] == '-'))
            return false;
    return true;
}

bool document_name_valid(const char *name)
{
    return name[0] != '\0' && text_valid(name, DOCUMENT_MAX_NAME, "");
}

size_t document_size(const char *kind, const char *name, size_t len)
{
    return strlen(kind) + 1 + strlen(name) + 1 + len;
}

struct repl_document *document_new(const char *kind, const char *name, uint64_t version,
                                   struct span bytes)
{
    size_t n_kind = strlen(kind) + 1, n_name = strlen(name) + 1;
    struct repl_document *d = calloc(1, sizeof *d + n_kind + n_name + bytes.len);

    HF_ASSERT(d != NULL);
    atomic_init(&d->references, 1);
    d->version = version;
    memcpy(d->text, kind, n_kind);
    memcpy(d->text + n_kind, name, n_name);
    if (bytes.len > 0)
        memcpy(d->text + n_kind + n_name, bytes.data, bytes.len);
    d->kind = d->text;
    d->name = d->text + n_kind;
    d->bytes = (const uint8_t *)d->text + n_kind + n_name;
    d->len = bytes.len;
    return d;
}

struct repl_document *document_share(struct repl_document *d)
{
    (void)atomic_fetch_add_explicit(&d->references, 1, memory_order_relaxed);
    return d;
}

void document_drop(struct repl_document *d)
{
    if (d == NULL || atomic_fetch_sub_explicit(&d->references, 1, memory_order_acq_rel) > 1)
        return;
    secret_wipe_bytes(d->text, document_size(d->kind, d->name, d->len));
    free(d);
}

int document_compare(const struct repl_document *d, const char *kind, const char *name)
{
    int c = strcmp(d->kind, kind);

    return c != 0 ? c : strcmp(d->name, name);
}

size_t document_find(struct repl_document *const *list, size_t n, const char *kind,
                     const char *name, bool *found)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (document_compare(list[middle], kind, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < n && document_compare(list[low], kind, name) == 0;
    return low;
}
