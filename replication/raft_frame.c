#include "replication/raft_frame.h"

#include "base/bytes.h"

/* A bounded reader: after an overrun everything reads as zero and `ok` stays false. */
struct reader {
    struct span rest;
    bool ok;
};

static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[16];
    if (!r->ok || r->rest.len < n) {
        r->ok = false;
        HF_ASSERT(n <= sizeof zeros);
        return zeros;
    }
    const uint8_t *p = r->rest.data;
    r->rest = span_of(p + n, r->rest.len - n);
    return p;
}

static struct span take_span(struct reader *r, size_t n)
{
    if (!r->ok || r->rest.len < n) {
        r->ok = false;
        return (struct span){0};
    }
    struct span s = span_of(r->rest.data, n);
    r->rest = span_of(r->rest.data + n, r->rest.len - n);
    return s;
}

static bool all_zero(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != 0)
            return false;
    return true;
}

bool raft_configuration_take(struct span *bytes, struct repl_configuration *configuration)
{
    struct reader r = {.rest = *bytes, .ok = true};
    struct repl_configuration c = {.index = get_be64(take(&r, 8)), .n_servers = *take(&r, 1)};
    bool voter = false;
    if (!r.ok || c.n_servers == 0 || c.n_servers > REPL_MAX_SERVERS)
        return false;
    for (unsigned i = 0; i < c.n_servers; i++) {
        c.servers[i].node = get_be32(take(&r, 4));
        c.servers[i].role = *take(&r, 1);
        voter = voter || c.servers[i].role == 1;
        if (!r.ok || c.servers[i].node == 0 || c.servers[i].role > 2)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (c.servers[k].node == c.servers[i].node)
                return false;
    }
    if (!voter)
        return false;
    *bytes = r.rest;
    *configuration = c;
    return true;
}

size_t raft_configuration_put(const struct repl_configuration *configuration, uint8_t *out)
{
    HF_ASSERT(configuration->n_servers <= REPL_MAX_SERVERS);
    uint8_t *p = out;
    put_be64(p, configuration->index);
    p[8] = configuration->n_servers;
    p += 9;
    for (unsigned i = 0; i < configuration->n_servers; i++, p += 5) {
        put_be32(p, configuration->servers[i].node);
        p[4] = configuration->servers[i].role;
    }
    return (size_t)(p - out);
}

size_t raft_change_put(const struct repl_configuration *configuration, uint8_t *out)
{
    memset(out, 0, RAFT_CHANGE_BYTES);
    struct repl_configuration c = *configuration;
    c.index = 0;
    return (raft_configuration_put(&c, out) + 7) & ~(size_t)7;
}

size_t raft_command_bytes(size_t len)
{
    return (4 + len + 7) & ~(size_t)7;
}

void raft_command_put(struct span command, uint8_t *out)
{
    size_t end = raft_command_bytes(command.len);
    put_be32(out, (uint32_t)command.len);
    if (command.len > 0)
        memcpy(out + 4, command.data, command.len);
    memset(out + 4 + command.len, 0, end - 4 - command.len);
}

struct span raft_command_get(struct span data)
{
    HF_ASSERT(data.len >= 4);
    uint32_t len = get_be32(data.data);
    HF_ASSERT(len <= data.len - 4);
    return span_of(data.data + 4, len);
}

bool raft_entry_valid(enum repl_entry_kind kind, struct span data)
{
    if (data.len % 8 != 0 || data.len > REPL_MAX_ENTRY_BYTES)
        return false;
    switch (kind) {
    case REPL_ENTRY_COMMAND: {
        if (data.len < 8)
            return false;
        uint32_t len = get_be32(data.data);
        if (len > data.len - 4 || raft_command_bytes(len) != data.len)
            return false;
        return all_zero(span_of(data.data + 4 + len, data.len - 4 - len));
    }
    case REPL_ENTRY_BARRIER:
        return data.len == 0;
    case REPL_ENTRY_CHANGE: {
        struct repl_configuration c;
        return raft_configuration_take(&data, &c) && c.index == 0 && data.len < 8 && all_zero(data);
    }
    }
    return false;
}

struct repl_entry raft_frame_next_entry(struct span *entries)
{
    HF_ASSERT(entries->len >= RAFT_FRAME_ENTRY_BYTES);
    const uint8_t *p = entries->data;
    uint32_t len = get_be32(p + 9);
    HF_ASSERT(len <= entries->len - RAFT_FRAME_ENTRY_BYTES);
    struct repl_entry entry = {.term = get_be64(p),
                               .kind = (enum repl_entry_kind)p[8],
                               .data = span_of(p + RAFT_FRAME_ENTRY_BYTES, len)};
    size_t used = RAFT_FRAME_ENTRY_BYTES + len;
    *entries = span_of(p + used, entries->len - used);
    return entry;
}

/* Terms never fall along a log, and nothing in it is newer than the leader's term. */
static bool decode_append(struct reader *r, struct raft_frame *f)
{
    f->index = get_be64(take(r, 8));
    f->index_term = get_be64(take(r, 8));
    f->commit = get_be64(take(r, 8));
    f->n_entries = get_be32(take(r, 4));
    if (!r->ok || f->n_entries > RAFT_FRAME_MAX_ENTRIES || f->index > UINT64_MAX / 2 ||
        (f->index == 0) != (f->index_term == 0) || f->index_term > f->term)
        return false;
    f->entries = r->rest;
    uint64_t term = f->index_term;
    for (uint32_t i = 0; i < f->n_entries; i++) {
        uint64_t entry_term = get_be64(take(r, 8));
        uint8_t kind = *take(r, 1);
        uint32_t len = get_be32(take(r, 4));
        struct span data = take_span(r, len);
        if (!r->ok || entry_term == 0 || entry_term < term || entry_term > f->term ||
            !raft_entry_valid((enum repl_entry_kind)kind, data) ||
            (f->index == 0 && i == 0 && kind != REPL_ENTRY_CHANGE)) /* entry 1 is a configuration */
            return false;
        term = entry_term;
    }
    return true;
}

static bool decode_install(struct reader *r, struct raft_frame *f)
{
    f->index = get_be64(take(r, 8));
    f->index_term = get_be64(take(r, 8));
    if (!r->ok || f->index == 0 || f->index > UINT64_MAX / 2 || f->index_term == 0 ||
        f->index_term > f->term || !raft_configuration_take(&r->rest, &f->configuration) ||
        f->configuration.index == 0 || f->configuration.index > f->index)
        return false;
    f->transfer = get_be32(take(r, 4));
    f->total = get_be64(take(r, 8));
    f->offset = get_be64(take(r, 8));
    uint32_t len = get_be32(take(r, 4));
    f->data = take_span(r, len);
    return r->ok && len <= RAFT_FRAME_MAX_PIECE && f->total <= REPL_MAX_SNAPSHOT_BYTES &&
           f->offset <= f->total && len <= f->total - f->offset && (len > 0 || f->total == 0);
}

static bool decode_install_ack(struct reader *r, struct raft_frame *f)
{
    f->index = get_be64(take(r, 8));
    f->transfer = get_be32(take(r, 4));
    f->offset = get_be64(take(r, 8));
    return f->index > 0 && f->offset <= REPL_MAX_SNAPSHOT_BYTES;
}

static bool decode_body(struct reader *r, struct raft_frame *f, uint8_t flags)
{
    switch (f->type) {
    case RAFT_FRAME_APPEND:
        return flags == 0 && decode_append(r, f);
    case RAFT_FRAME_APPEND_RESULT:
        f->rejected = get_be64(take(r, 8));
        f->index = get_be64(take(r, 8));
        f->muted = (flags & 1) != 0;
        return flags <= 1 && f->index <= UINT64_MAX / 2 &&
               (f->rejected == 0 || f->index < f->rejected);
    case RAFT_FRAME_REQUEST_VOTE:
    case RAFT_FRAME_TIMEOUT_NOW:
        f->disrupt = (flags & 1) != 0;
        f->pre_vote = (flags & 2) != 0;
        f->index = get_be64(take(r, 8));
        f->index_term = get_be64(take(r, 8));
        return flags <= (f->type == RAFT_FRAME_REQUEST_VOTE ? 3 : 0) &&
               (f->index == 0) == (f->index_term == 0) && f->index_term <= f->term;
    case RAFT_FRAME_REQUEST_VOTE_RESULT:
        f->granted = (flags & 1) != 0;
        f->pre_vote = (flags & 2) != 0;
        return flags <= 3;
    case RAFT_FRAME_INSTALL:
        return flags == 0 && decode_install(r, f);
    case RAFT_FRAME_INSTALL_ACK:
        f->again = (flags & 1) != 0;
        return flags <= 1 && decode_install_ack(r, f);
    case RAFT_FRAME_TRUST:
        f->peer_boot = get_be64(take(r, 8));
        f->index = get_be64(take(r, 8));
        f->index_term = get_be64(take(r, 8));
        return flags == 0 && f->peer_boot != 0 && f->index > 0 && f->index <= UINT64_MAX / 2 &&
               f->index_term == f->term; /* a barrier of the leader's own term */
    case RAFT_FRAME_DISTRUST:
        f->peer_boot = get_be64(take(r, 8));
        f->index = get_be64(take(r, 8));
        return flags == 0 && f->peer_boot != 0 && f->index <= UINT64_MAX / 2;
    case RAFT_FRAME_FOUND:
        f->agreed = (flags & 1) != 0;
        f->begun = (flags & 2) != 0;
        f->peer_boot = get_be64(take(r, 8));
        return flags <= 2; /* not both */
    }
    return false;
}

bool raft_frame_decode(struct span bytes, struct raft_frame *frame)
{
    struct reader r = {.rest = bytes, .ok = true};
    const uint8_t *p = take(&r, 4);
    if (!r.ok || (p[0] != RAFT_FRAME_VERSION && p[0] != RAFT_FRAME_UNNAMED) || p[3] != 0)
        return false;
    uint8_t flags = p[2];
    struct raft_frame f = {.type = (enum raft_frame_type)p[1], .named = p[0] == RAFT_FRAME_VERSION};
    f.boot = get_be64(take(&r, 8));
    f.sequence = get_be64(take(&r, 8));
    f.term = get_be64(take(&r, 8));
    if (f.named)
        f.incarnation = get_be64(take(&r, 8));
    if (!r.ok || f.term == 0 || f.term > UINT64_MAX / 2 || !decode_body(&r, &f, flags) || !r.ok ||
        r.rest.len != 0)
        return false;
    *frame = f;
    return true;
}

size_t raft_frame_encode_entry(const struct repl_entry *entry, uint8_t *out)
{
    put_be64(out, entry->term);
    out[8] = (uint8_t)entry->kind;
    put_be32(out + 9, (uint32_t)entry->data.len);
    if (entry->data.len > 0)
        memcpy(out + RAFT_FRAME_ENTRY_BYTES, entry->data.data, entry->data.len);
    return RAFT_FRAME_ENTRY_BYTES + entry->data.len;
}

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    put_be64(p, v);
    return p + 8;
}

size_t raft_frame_append_bytes(const struct raft_frame *frame)
{
    size_t without = RAFT_FRAME_HEADER_BYTES - RAFT_FRAME_UNNAMED_BYTES;

    return RAFT_FRAME_APPEND_BYTES - (frame->named ? 0 : without);
}

size_t raft_frame_encode(const struct raft_frame *frame, uint8_t *out)
{
    bool vote = frame->type == RAFT_FRAME_REQUEST_VOTE;
    bool result = frame->type == RAFT_FRAME_REQUEST_VOTE_RESULT;
    out[0] = frame->named ? RAFT_FRAME_VERSION : RAFT_FRAME_UNNAMED;
    out[1] = (uint8_t)frame->type;
    bool again = frame->type == RAFT_FRAME_INSTALL_ACK && frame->again;
    bool muted = frame->type == RAFT_FRAME_APPEND_RESULT && frame->muted;
    bool found = frame->type == RAFT_FRAME_FOUND;
    bool first = (vote && frame->disrupt) || (result && frame->granted) || again || muted ||
                 (found && frame->agreed);
    out[2] = first ? 1 : 0;
    out[2] |= ((vote || result) && frame->pre_vote) || (found && frame->begun) ? 2 : 0;
    out[3] = 0;
    uint8_t *p = put_u64(out + 4, frame->boot);
    p = put_u64(p, frame->sequence);
    p = put_u64(p, frame->term);
    if (frame->named)
        p = put_u64(p, frame->incarnation);
    switch (frame->type) {
    case RAFT_FRAME_REQUEST_VOTE_RESULT:
        break;
    case RAFT_FRAME_APPEND_RESULT:
        p = put_u64(p, frame->rejected);
        p = put_u64(p, frame->index);
        break;
    case RAFT_FRAME_APPEND:
        p = put_u64(p, frame->index);
        p = put_u64(p, frame->index_term);
        p = put_u64(p, frame->commit);
        put_be32(p, frame->n_entries);
        p += 4;
        break;
    case RAFT_FRAME_REQUEST_VOTE:
    case RAFT_FRAME_TIMEOUT_NOW:
        p = put_u64(p, frame->index);
        p = put_u64(p, frame->index_term);
        break;
    case RAFT_FRAME_INSTALL:
        p = put_u64(p, frame->index);
        p = put_u64(p, frame->index_term);
        p += raft_configuration_put(&frame->configuration, p);
        put_be32(p, frame->transfer);
        p = put_u64(p + 4, frame->total);
        p = put_u64(p, frame->offset);
        put_be32(p, (uint32_t)frame->data.len);
        p += 4;
        break;
    case RAFT_FRAME_INSTALL_ACK:
        p = put_u64(p, frame->index);
        put_be32(p, frame->transfer);
        p = put_u64(p + 4, frame->offset);
        break;
    case RAFT_FRAME_TRUST:
        p = put_u64(p, frame->peer_boot);
        p = put_u64(p, frame->index);
        p = put_u64(p, frame->index_term);
        break;
    case RAFT_FRAME_DISTRUST:
        p = put_u64(p, frame->peer_boot);
        p = put_u64(p, frame->index);
        break;
    case RAFT_FRAME_FOUND:
        p = put_u64(p, frame->peer_boot);
        break;
    }
    return (size_t)(p - out);
}
