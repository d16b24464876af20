#include "plain_suite.h"

#include "ike/psk.h"
#include "wire/signature.h"

static bool plain_init(struct suite_aead_context *c, const struct suite_aead *row,
                       const uint8_t *key, const uint8_t *integ_key)
{
    (void)key;
    (void)integ_key;
    memset(c, 0, sizeof *c);
    c->opaque[0] = row->icv_bytes;
    return true;
}

static void plain_deinit(struct suite_aead_context *c)
{
    (void)c;
}

static bool plain_seal(struct suite_aead_context *c, uint64_t number,
                       const struct suite_covered *covered, struct span in, uint8_t *iv,
                       uint8_t *out, uint8_t *icv)
{
    (void)covered;
    put_be64(iv, number);
    memmove(out, in.data, in.len);
    memset(icv, 0, c->opaque[0]);
    return true;
}

static bool plain_open(struct suite_aead_context *c, const uint8_t *iv,
                       const struct suite_covered *covered, struct span in, const uint8_t *icv,
                       uint8_t *out)
{
    static const uint8_t zeros[SUITE_ICV_MAX_BYTES];

    (void)iv;
    (void)covered;
    memmove(out, in.data, in.len);
    return memcmp(icv, zeros, c->opaque[0]) == 0;
}

static bool zeros32(struct span key, const struct span *parts, size_t n, uint8_t *out)
{
    (void)key;
    (void)parts;
    (void)n;
    memset(out, 0, 32);
    return true;
}

static bool sum(const struct span *parts, size_t n, uint8_t *out, size_t out_len)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < parts[i].len; j++)
            h = (h ^ parts[i].data[j]) * 16777619u;
    for (size_t i = 0; i < out_len; i++)
        out[i] = (uint8_t)(h >> (8 * (i % 4)));
    return true;
}

static bool sum20(const struct span *parts, size_t n, uint8_t *out)
{
    return sum(parts, n, out, 20);
}

static bool sum32(const struct span *parts, size_t n, uint8_t *out)
{
    return sum(parts, n, out, 32);
}

static bool ke_generate(const struct suite_ke *row, const uint8_t *entropy,
                        struct secret *private_key, uint8_t *public_value)
{
    (void)row;
    secret_set(private_key, entropy, 32);
    memcpy(public_value, entropy, 32);
    return true;
}

static bool ke_derive(const struct suite_ke *row, const struct secret *private_key,
                      struct span peer, struct secret_long *shared)
{
    (void)row;
    if (peer.len != 32 || private_key->len != 32 || peer.data[0] == 0)
        return false;
    secret_long_set(shared, peer.data, 32);
    return true;
}

/* With a combined mode's layout, and with that of CBC: 16-byte blocks, an integrity key. */
#define PLAIN(id, bits, integ, integ_key, salt, iv, block, text)                                   \
    {                                                                                              \
        .transform_id = (id), .key_bits = (bits), .integ_id = (integ), .key_bytes = (bits) / 8,    \
        .salt_bytes = (salt), .integ_bytes = (integ_key), .iv_bytes = (iv), .icv_bytes = 16,       \
        .block_bytes = (block), .name = (text), .context_init = plain_init,                        \
        .context_deinit = plain_deinit, .context_seal = plain_seal, .context_open = plain_open     \
    }
static const struct suite_aead AEADS[] = {PLAIN(20, 256, 0, 0, 4, 8, 1, "plain256"),
                                          PLAIN(20, 128, 0, 0, 4, 8, 1, "plain128"),
                                          PLAIN(12, 256, 12, 32, 0, 16, 16, "plain-cbc")};
static const struct suite_prf PRF = {
    .transform_id = 5, .out_bytes = 32, .key_bytes = 32, .name = "zeros", .compute = zeros32};
static const struct suite_ke KES[] = {{.transform_id = 31,
                                       .public_bytes = 32,
                                       .secret_bytes = 32,
                                       .entropy_bytes = 32,
                                       .shared_bytes = 32,
                                       .name = "plain",
                                       .generate = ke_generate,
                                       .derive = ke_derive},
                                      {.transform_id = 19,
                                       .public_bytes = 32,
                                       .secret_bytes = 32,
                                       .entropy_bytes = 32,
                                       .shared_bytes = 32,
                                       .name = "other",
                                       .generate = ke_generate,
                                       .derive = ke_derive}};
static const struct suite_hash SHA1 = {.out_bytes = 20, .compute = sum20};
static const struct suite_hash SHA256 = {.out_bytes = 32, .compute = sum32};
static const struct suite_aead *const aeads[] = {&AEADS[0], &AEADS[1], &AEADS[2]};
static const struct suite_prf *const prfs[] = {&PRF};
static const struct suite_ke *const kes[] = {&KES[0], &KES[1]};

/* Certificates: one of any bytes signs with zeros; every byte of a claim is read. */
enum { SIGNATURE_BYTES = 8 };
static const struct suite_signature SIGNATURES[] = {
    {WIRE_SCHEME_RSA_PKCS1, WIRE_HASH_SHA256, "rsa"},
    {WIRE_SCHEME_RSA_PSS, WIRE_HASH_SHA256, "pss"},
    {WIRE_SCHEME_ECDSA, WIRE_HASH_SHA256, "ecdsa"},
    {WIRE_SCHEME_EDDSA, WIRE_HASH_IDENTITY, "ed25519"},
    {SUITE_SCHEME_ECDSA_RAW, WIRE_HASH_SHA256, "raw"}};

static bool plain_sign(const void *key, const struct suite_signature *how, struct span data,
                       uint8_t *out, size_t cap, size_t *len)
{
    uint8_t all[4];

    HF_ASSERT(key == SIGNATURES && how != NULL && cap >= SIGNATURE_BYTES && data.len > 0);
    HF_ASSERT(sum(&data, 1, all, sizeof all));
    memset(out, 0, SIGNATURE_BYTES);
    *len = SIGNATURE_BYTES;
    return true;
}

static enum suite_verdict plain_verify(const void *trust, const struct suite_claim *claim)
{
    static const uint8_t zeros[SIGNATURE_BYTES];
    const struct span zero = span_of(zeros, sizeof zeros);
    const struct span parts[] = {claim->id, claim->signature, claim->data};
    uint8_t all[4];

    HF_ASSERT(trust == SIGNATURES && claim->how != NULL && claim->wall_s > 0);
    HF_ASSERT(claim->n_certs > 0 && claim->n_certs <= SUITE_MAX_CERTS && claim->data.len > 0);
    HF_ASSERT(sum(parts, 3, all, sizeof all));
    for (uint8_t i = 0; i < claim->n_certs; i++)
        HF_ASSERT(claim->certs[i].len > 0 && sum(&claim->certs[i], 1, all, sizeof all));
    return span_equal(claim->signature, zero) ? SUITE_GOOD : SUITE_BAD_SIGNATURE;
}

static const struct suite_auth AUTH = {.rows = SIGNATURES,
                                       .n_rows = sizeof SIGNATURES / sizeof SIGNATURES[0],
                                       .sign = plain_sign,
                                       .verify = plain_verify};

const struct suite_table plain_suite = {.aeads = aeads,
                                        .n_aeads = 3,
                                        .prfs = prfs,
                                        .n_prfs = 1,
                                        .kes = kes,
                                        .n_kes = 2,
                                        .sha1 = &SHA1,
                                        .sha256 = &SHA256,
                                        .auth = &AUTH};

static const uint8_t SECRET[32] = "a cookie secret of thirty-two b";

struct ike_event plain_event(bool at_client, struct span datagram)
{
    const struct endpoint client = {.ip = addr_v4(0x0a000001), .port = 500};
    const struct endpoint gateway = {.ip = addr_v4(0x0a000002), .port = 500};
    struct ike_event ev = {.kind = IKE_EV_DATAGRAM,
                           .now_ms = 1000,
                           .local = at_client ? client : gateway,
                           .remote = at_client ? gateway : client,
                           .datagram = datagram,
                           .shard = 1,
                           .wall_s = 1764000000,
                           .cookie_secret = SECRET,
                           .cookie_secret_id = 1};

    ev.has_pool[SLOT_V4] = ev.has_pool[SLOT_V6] = true;
    memset(ev.entropy, at_client ? 0x41 : 0x67, sizeof ev.entropy);
    return ev;
}

static bool plain_answered(enum ike_job_kind kind, const struct ike_event *ev)
{
    return kind == IKE_JOB_KE ? ev->ke.done : kind == IKE_JOB_SIGN ? ev->sign.done : ev->proof.done;
}

bool plain_serve(enum ike_outcome outcome, const struct ike_transition *out, struct ike_event *ev)
{
    if (outcome == IKE_NEED_JOB) {
        HF_ASSERT(!plain_answered(out->job.kind, ev));
        ike_job_run(&out->job, ev);
        return true;
    }
    if (outcome == IKE_NEED_ADDRESS) {
        HF_ASSERT(!ev->address.done && out->address_for.len > 0);
        ev->address = (struct ike_address_result){
            .done = true,
            .ip = {addr_v4(0x0a630007), addr_v6((const uint8_t[16]){0xfd, [15] = 7})}};
        return true;
    }
    return false;
}

void plain_check(enum ike_outcome outcome, const struct ike_transition *out)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX], again[IKE_SA_ENCODED_MAX];
    static struct ike_sa back;
    const struct ike_sa *sa = &out->after;
    size_t len, len2;

    HF_ASSERT(outcome == IKE_STEPPED || outcome == IKE_LOCAL || outcome == IKE_IGNORED);
    HF_ASSERT(out->reason < IKE_REASON_COUNT && out->n_effects <= IKE_MAX_EFFECTS);
    if (outcome == IKE_IGNORED) {
        HF_ASSERT(out->n_effects == 0 && out->reason != IKE_REASON_NONE);
        return;
    }
    HF_ASSERT(ike_sa_encode(sa, bytes, sizeof bytes, &len));
    HF_ASSERT(ike_sa_decode(span_of(bytes, len), &back));
    HF_ASSERT(ike_sa_encode(&back, again, sizeof again, &len2));
    HF_ASSERT(len == len2 && memcmp(bytes, again, len) == 0);
    if (sa->state == IKE_SA_ENDED)
        HF_ASSERT(sa->keys.sk_d.len == 0 && sa->children[0].state == IKE_CHILD_NONE &&
                  !addr_is_set(&sa->virtual_ip[SLOT_V4]) && !addr_is_set(&sa->virtual_ip[SLOT_V6]));
    if (sa->state == IKE_SA_ESTABLISHED)
        HF_ASSERT(sa->remote_id.len > 0 && sa->handshake.init_request.len == 0);
}

/* Either end may prove itself by shared key or by certificate: the peer's AUTH method decides. */
static void certificates(struct plain_ends *e)
{
    static const uint8_t der[200] = {0x30};
    static struct ike_credentials c[2];

    for (size_t i = 0; i < 2; i++) {
        struct ike_own_certificate *own = &c[i].own[0];

        own->identity = own->names[0] = i == 0 ? e->client.local_id : e->gateway.local_id;
        own->n_names = 1;
        own->chain[0] = own->chain[1] = span_of(der, sizeof der);
        own->n_chain = 2;
        own->n_cas = c[i].n_cas = c[i].n_own = 1;
        own->kind = SUITE_KEY_P256;
        own->key = c[i].trust = SIGNATURES;
    }
    e->client.credentials = &c[0];
    e->gateway.credentials = &c[1];
}

static void policies(struct plain_ends *e)
{
    static struct ike_psk_entry psks[2];
    static const struct ike_proposal_row rows[] = {
        {.encr_id = 20, .encr_bits = 256, .prf_id = 5, .ke_id = 31},
        {.encr_id = 20, .encr_bits = 128, .prf_id = 5, .ke_id = 19}};
    struct ike_policy *p = &e->client;

    for (size_t i = 0; i < 2; i++) {
        static const char names[2][21] = {"client@holdfast.test", "gw.holdfast.test"};

        psks[i].remote.type = i == 0 ? WIRE_ID_RFC822 : WIRE_ID_FQDN;
        psks[i].remote.len = (uint8_t)strlen(names[i]);
        memcpy(psks[i].remote.bytes, names[i], psks[i].remote.len);
        secret_set(&psks[i].psk, "key", 3);
    }
    p->suites = &plain_suite;
    memcpy(p->ike, rows, sizeof rows);
    memcpy(p->esp, rows, sizeof rows);
    p->esp[0].prf_id = p->esp[0].ke_id = p->esp[1].prf_id = p->esp[1].ke_id = 0;
    p->n_ike = p->n_esp = 2;
    p->force_encap = true;
    p->linger_ms = 60000;
    p->ike_life.hard_ms = p->child_life.hard_ms = 100000;
    p->local_ts[0] = (struct ike_ts){
        .port_high = 65535, .low = addr_v4(0x0a4d0200), .high = addr_v4(0x0a4d02ff)};
    p->n_local_ts = 1;
    p->dns[0] = addr_v4(0x0a4d020a);
    p->n_dns = 1;
    e->gateway = e->client;
    e->client.request_address = true;
    e->client.local_id = psks[0].remote;
    e->client.psks = &psks[1];
    e->gateway.local_id = psks[1].remote;
    e->gateway.psks = &psks[0];
    e->client.n_psks = e->gateway.n_psks = 1;
    certificates(e);
}

const struct plain_ends *plain_ends(void)
{
    static struct plain_ends e;
    static struct ike_transition out;
    struct ike_event ev;
    struct span m;

    if (e.c.state != IKE_SA_NONE)
        return &e;
    policies(&e);
    ev = plain_event(true, span_of(NULL, 0));
    ev.kind = IKE_EV_INITIATE;
    while (plain_serve(ike_init_begin(&e.client, &ev, &out), &out, &ev)) {
    }
    e.c_init = out.after;
    m = span_of(e.c_init.pending.request.bytes, e.c_init.pending.request.len);
    ev = plain_event(false, m);
    while (plain_serve(ike_init_handle_request(&e.gateway, &ev, &out), &out, &ev)) {
    }
    e.g = out.after;
    m = span_of(e.g.handshake.init_response.bytes, e.g.handshake.init_response.len);
    ev = plain_event(true, m);
    while (plain_serve(ike_init_handle_response(&e.client, &e.c_init, &ev, &out), &out, &ev)) {
    }
    e.c = out.after;
    HF_ASSERT(e.g.state == IKE_SA_HALF_OPEN && e.c.pending.exchange == IKE_EX_AUTH && e.c.encap);
    return &e;
}
