#include "replication/raft_log.h"

#include <stdlib.h>

void raft_log_init(struct raft_log *log, uint64_t first)
{
    *log = (struct raft_log){.first = first};
}

static struct raft_log_entry *slot(const struct raft_log *log, size_t i)
{
    return &log->ring[(log->head + i) & (log->capacity - 1)];
}

static void drop(struct raft_log *log, struct raft_log_entry *entry)
{
    HF_ASSERT(log->bytes >= entry->len);
    log->bytes -= entry->len;
    free(entry->data);
    *entry = (struct raft_log_entry){0};
}

void raft_log_reset(struct raft_log *log, uint64_t first)
{
    for (size_t i = 0; i < log->count; i++)
        drop(log, slot(log, i));
    log->head = log->count = 0;
    log->first = first;
}

void raft_log_deinit(struct raft_log *log)
{
    raft_log_reset(log, 0);
    free(log->ring);
    log->ring = NULL;
    log->capacity = 0;
}

static bool grow(struct raft_log *log)
{
    size_t capacity = log->capacity == 0 ? 64 : log->capacity * 2;
    struct raft_log_entry *ring = calloc(capacity, sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < log->count; i++)
        ring[i] = *slot(log, i);
    free(log->ring);
    log->ring = ring;
    log->capacity = capacity;
    log->head = 0;
    return true;
}

bool raft_log_append(struct raft_log *log, const struct repl_entry *entry)
{
    HF_ASSERT(log->first > 0 && entry->term > 0 && entry->data.len <= REPL_MAX_ENTRY_BYTES);
    if (log->count == log->capacity && !grow(log))
        return false;
    uint8_t *data = NULL;
    if (entry->data.len > 0) {
        data = malloc(entry->data.len);
        if (data == NULL)
            return false;
        memcpy(data, entry->data.data, entry->data.len);
    }
    *slot(log, log->count) = (struct raft_log_entry){
        .term = entry->term, .data = data, .len = (uint32_t)entry->data.len, .kind = entry->kind};
    log->count++;
    log->bytes += entry->data.len;
    return true;
}

uint64_t raft_log_last(const struct raft_log *log)
{
    return log->first + log->count - 1;
}

const struct raft_log_entry *raft_log_get(const struct raft_log *log, uint64_t index)
{
    if (index < log->first || index - log->first >= log->count)
        return NULL;
    return slot(log, (size_t)(index - log->first));
}

void raft_log_truncate(struct raft_log *log, uint64_t index)
{
    HF_ASSERT(index >= log->first);
    while (log->count > 0 && raft_log_last(log) >= index) {
        drop(log, slot(log, log->count - 1));
        log->count--;
    }
}

void raft_log_trim(struct raft_log *log, uint64_t index)
{
    while (log->count > 0 && log->first <= index) {
        drop(log, slot(log, 0));
        log->head = (log->head + 1) & (log->capacity - 1);
        log->count--;
        log->first++;
    }
    if (log->count == 0 && log->first <= index)
        log->first = index + 1;
}
