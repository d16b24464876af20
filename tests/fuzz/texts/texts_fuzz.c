/* Short texts that come from a request, the log, a directory or a certificate. The first byte says what
 * it is taken for; what is taken means the same when it is written again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conductor/steppoint.h"
#include "replication/replica_parts.h"
#include "replication/tls_internal.h"
#include "replication/wal_segment.h"
#include "replication/wal_snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void address(const char *text)
{
    struct endpoint e, again;
    char out[64];
    const uint8_t *b = e.ip.bytes;

    if (!replica_address_parse(text, &e)) {
        HF_ASSERT(!repl_address_valid(text));
        return;
    }
    HF_ASSERT(repl_address_valid(text) == (e.port != 0));
    if (e.ip.family == ADDR_V4) {
        (void)snprintf(out, sizeof out, "%d.%d.%d.%d:%d", b[0], b[1], b[2], b[3], e.port);
    } else {
        char *at = out;

        HF_ASSERT(e.ip.family == ADDR_V6);
        for (int i = 0; i < 8; i++)
            at += sprintf(at, "%c%x", i == 0 ? '[' : ':', get_be16(b + 2 * i));
        (void)sprintf(at, "]:%d", e.port);
    }
    HF_ASSERT(replica_address_parse(out, &again) && endpoint_equal(&e, &again));
}

static void point(const char *text)
{
    struct steppoint s = {.enabled = true, .fd = 1};
    const char *why = NULL;
    char out[96];

    if (!steppoint_arm(&s, text, "process", &why)) {
        HF_ASSERT(why != NULL && why[0] != '\0' && !s.armed);
        return;
    }
    if (text[0] == '\0')
        return;
    HF_ASSERT(s.armed && s.point < POINT_COUNT);
    (void)snprintf(out, sizeof out, "%s:%s:%s", ike_exchange_name(s.exchange),
                   s.begun == IKE_BY_US ? "gateway" : "client", step_point_name(s.point));
    HF_ASSERT(strcmp(out, text) == 0);
}

static void file_name(const char *text)
{
    uint64_t a, b;
    char again[WAL_NAME_BYTES];

    if (wal_segment_parse_name(text, &a)) {
        wal_segment_name(a, again);
        HF_ASSERT(strcmp(again, text) == 0);
    }
    if (wal_snapshot_parse_name(text, &a, &b)) {
        wal_snapshot_name(a, b, again);
        HF_ASSERT(strcmp(again, text) == 0);
    }
}

static void name(struct span text)
{
    char cluster[TLS_CLUSTER_BYTES], again[128];
    uint32_t node;
    int n;

    if (!tls_name_parse(text, cluster, &node))
        return;
    n = snprintf(again, sizeof again, "urn:holdfast:cluster:%s:node:%u", cluster, node);
    HF_ASSERT(node >= 1 && node <= TLS_MAX_NODE && cluster[0] != '\0');
    HF_ASSERT(span_equal(text, span_of(again, (size_t)n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    text = malloc(size);
    HF_ASSERT(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 4) {
    case 0:
        address(text);
        break;
    case 1:
        point(text);
        break;
    case 2:
        file_name(text);
        break;
    default:
        name(span_of(text, size - 1));
        break;
    }
    free(text);
    return 0;
}
