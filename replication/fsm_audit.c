/* What operators did becomes the audit: each record of theirs has its entry in the same apply (I17). Only where all members know of
 * it: an older one's state has no such part, and its digest would differ. */
#include "replication/fsm_parts.h"
#include "replication/text.h"

enum { CHANGES_SHOWN = 16 };

/* --- what the record says by itself --- */

static void put_pair(char *out, size_t cap, const char *word, uint64_t value)
{
    struct text_out o = {.out = out, .cap = cap};

    text_put(&o, word);
    text_put_number(&o, value);
}

static void note_move(const struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n)
{
    const struct fsm_shard *s = fsm_shard(fsm, r->shard);

    n->operation = "shard.move";
    put_pair(n->target, sizeof n->target, "shards/", r->shard);
    put_pair(n->before, sizeof n->before, "home ", s == NULL ? 0 : s->home);
    put_pair(n->after, sizeof n->after, "home ", r->move->node);
}

static void note_drain(const struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n)
{
    const struct fsm_member *m = fsm_member(fsm, r->drain->node);

    n->operation = r->drain->drained ? "node.drain" : "node.undrain";
    put_pair(n->target, sizeof n->target, "nodes/", r->drain->node);
    put_pair(n->before, sizeof n->before, "drained ", m != NULL && m->drained);
    put_pair(n->after, sizeof n->after, "drained ", r->drain->drained != 0);
}

/* The token's hash is no secret, but nobody's business either. */
static void note_token(const Holdfast__Record *r, struct fsm_note *n)
{
    struct text_out o = {.out = n->after, .cap = sizeof n->after};

    n->operation = "node.token";
    put_pair(n->target, sizeof n->target, "nodes/", r->join_token->node);
    if (text_valid(r->join_token->address, RECORD_MAX_ADDRESS_TEXT, "")) {
        text_put(&o, "address ");
        text_put(&o, r->join_token->address);
        text_put(&o, ", ");
    }
    text_put(&o, "valid for ms ");
    text_put_number(&o, r->join_token->valid_ms);
}

static void note_member(const struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n)
{
    bool leaves = r->member->change == HOLDFAST__MEMBER__CHANGE__LEAVE;

    n->operation = leaves ? "node.leave" : "node.join";
    put_pair(n->target, sizeof n->target, "nodes/", r->member->node);
    put_pair(n->before, sizeof n->before, "members ", fsm_present(fsm));
    put_pair(n->after, sizeof n->after, "members ", fsm_present(fsm) + 1 - 2 * leaves);
}

static void note_rotation(const struct fsm *fsm, struct fsm_note *n)
{
    n->operation = "keys.rotate";
    memcpy(n->target, "session-key", sizeof "session-key");
    put_pair(n->before, sizeof n->before, "wished at ", fsm->rotate_wish);
    put_pair(n->after, sizeof n->after, "wished at ", fsm->applied_index);
}

/* Versions name the contents for ever, and tell nothing of them: a hash of a secret could be guessed. */
static void note_documents(const struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n)
{
    struct text_out target = {.out = n->target, .cap = sizeof n->target};
    struct text_out o = {.out = n->changes, .cap = sizeof n->changes};
    const Holdfast__Documents *d = r->documents;

    n->operation = "documents.change";
    text_put(&target, d->changes[0]->kind);
    text_put(&target, "/");
    text_put(&target, d->changes[0]->name);
    for (size_t i = 0; i < d->n_changes && i < CHANGES_SHOWN; i++) {
        const Holdfast__DocumentChange *c = d->changes[i];
        const struct repl_document *now = fsm_document(fsm, c->kind, c->name);

        text_put(&o, i == 0 ? "" : "\n");
        text_put(&o, c->kind);
        text_put(&o, "/");
        text_put(&o, c->name);
        text_put(&o, " ");
        text_put_number(&o, now == NULL ? 0 : now->version);
        text_put(&o, c->remove ? " deleted" : " put");
    }
    put_pair(n->before, sizeof n->before, "documents ", fsm->documents.n);
    put_pair(n->after, sizeof n->after, "changes ", d->n_changes);
}

void fsm_audit_begin(const struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n)
{
    n->wanted = record_is_admin(r) && fsm_spoken(fsm) >= RECORD_SPEAKS_DOCUMENTS;
    if (!n->wanted)
        return;
    *n = (struct fsm_note){.wanted = true, .operation = ""};
    if (r->body_case == HOLDFAST__RECORD__BODY_MOVE)
        note_move(fsm, r, n);
    if (r->body_case == HOLDFAST__RECORD__BODY_DRAIN)
        note_drain(fsm, r, n);
    if (r->body_case == HOLDFAST__RECORD__BODY_JOIN_TOKEN)
        note_token(r, n);
    if (r->body_case == HOLDFAST__RECORD__BODY_MEMBER)
        note_member(fsm, r, n);
    if (r->body_case == HOLDFAST__RECORD__BODY_ROTATE_KEYS)
        note_rotation(fsm, n);
    if (r->body_case == HOLDFAST__RECORD__BODY_DOCUMENTS)
        note_documents(fsm, r, n);
}

/* --- the entry --- */

const struct audit_entry *fsm_audit_kept(const struct fsm *fsm, size_t i)
{
    return fsm->audit.entries[(fsm->audit.first + i) % AUDIT_KEEP];
}

static void drop_oldest(struct fsm_audit *a)
{
    struct audit_entry *e = a->entries[a->first];

    a->entries[a->first] = NULL;
    a->first = (a->first + 1) % AUDIT_KEEP;
    a->n--;
    a->bytes -= e->bytes;
    audit_entry_drop(e);
}

void fsm_audit_add(struct fsm *fsm, const struct audit_draft *draft)
{
    struct fsm_audit *a = &fsm->audit;

    if (a->n == AUDIT_KEEP)
        drop_oldest(a);

    struct audit_entry *e = audit_entry_new(&a->head, draft);

    a->entries[(a->first + a->n++) % AUDIT_KEEP] = e;
    a->bytes += e->bytes;
    while (a->bytes > AUDIT_KEEP_BYTES)
        drop_oldest(a);
}

/* Refused changes cost nothing but the entry, so whoever makes them may not push all else out of what is kept. */
static bool has_room(struct fsm *fsm, enum repl_verdict verdict)
{
    struct fsm_audit *a = &fsm->audit;

    if (verdict == REPL_ACCEPTED)
        return true;
    if (a->refused == 0 || fsm->cluster_ms - a->refused_since_ms >= AUDIT_MINUTE_MS) {
        a->refused_since_ms = fsm->cluster_ms;
        a->refused = 0;
    }
    if (a->refused == AUDIT_REFUSED_A_MINUTE) {
        a->unaudited++;
        return false;
    }
    a->refused++;
    return true;
}

/* What the operator's own word says comes before what the record says by itself. */
static void take_word(struct audit_draft *d, enum audit_text text, const char *word)
{
    if (word[0] != '\0')
        d->texts[text] = word;
}

static void take_admin(struct audit_draft *d, const Holdfast__Admin *a)
{
    d->wall_ms = a->wall_ms;
    take_word(d, AUDIT_ROLE, a->role);
    take_word(d, AUDIT_PRINCIPAL, a->principal);
    take_word(d, AUDIT_ADDRESS, a->address);
    take_word(d, AUDIT_REQUEST_ID, a->request_id);
    take_word(d, AUDIT_OPERATION, a->operation);
    take_word(d, AUDIT_TARGET, a->target);
    take_word(d, AUDIT_BEFORE, a->before);
    take_word(d, AUDIT_AFTER, a->after);
    take_word(d, AUDIT_OUTCOME, a->outcome);
}

void fsm_audit_end(struct fsm *fsm, const Holdfast__Record *r, struct fsm_note *n,
                   struct fsm_outcome *out)
{
    if (!n->wanted || !has_room(fsm, out->verdict))
        return;

    struct audit_draft d = {.index = fsm->applied_index,
                            .cluster_ms = fsm->cluster_ms,
                            .node = r->node,
                            .unaudited = fsm->audit.unaudited,
                            .texts = {[AUDIT_OPERATION] = n->operation,
                                      [AUDIT_TARGET] = n->target,
                                      [AUDIT_BEFORE] = n->before,
                                      [AUDIT_AFTER] = n->after,
                                      [AUDIT_CHANGES] = n->changes,
                                      [AUDIT_OUTCOME] = repl_verdict_name(out->verdict)}};

    if (r->admin != NULL)
        take_admin(&d, r->admin);
    fsm->audit.unaudited = 0;
    fsm_audit_add(fsm, &d);
    out->audit = fsm->audit.head.count;
}

/* Of recover and restore: there is no record, for there was nobody to agree. */
void fsm_audit_beginning(struct fsm *fsm, const struct repl_beginning *b)
{
    char target[64], before[64], after[320] = "";
    char who[REPL_WHO_BYTES + 1] = "", why[REPL_WHY_BYTES + 1] = "";
    struct text_out o = {.out = after, .cap = sizeof after};
    struct audit_draft d = {.index = fsm->applied_index,
                            .cluster_ms = fsm->cluster_ms,
                            .wall_ms = b->word.wall_s * 1000,
                            .node = b->node,
                            .unaudited = fsm->audit.unaudited,
                            .texts = {[AUDIT_PRINCIPAL] = who,
                                      [AUDIT_OPERATION] = b->how == REPL_RECOVERED
                                                              ? "cluster.recover"
                                                              : "cluster.restore",
                                      [AUDIT_TARGET] = target,
                                      [AUDIT_BEFORE] = before,
                                      [AUDIT_AFTER] = after,
                                      [AUDIT_OUTCOME] = repl_verdict_name(REPL_ACCEPTED)}};

    memcpy(who, b->word.who, REPL_WHO_BYTES);
    memcpy(why, b->word.why, REPL_WHY_BYTES);
    text_clean(who);
    text_clean(why);
    put_pair(target, sizeof target, "nodes/", b->node);
    put_pair(before, sizeof before, "incarnation ", b->former);
    text_put(&o, "incarnation ");
    text_put_number(&o, b->incarnation);
    for (size_t i = 0; i < b->n_given_up; i++) {
        text_put(&o, i == 0 ? ", without nodes " : ", ");
        text_put_number(&o, b->given_up[i]);
    }
    text_put(&o, why[0] == '\0' ? "" : ": ");
    text_put(&o, why);
    fsm->audit.unaudited = 0;
    fsm_audit_add(fsm, &d);
}

/* Zero while there is none: then the digest is an older member's, too. The entries themselves are in the head's hash. */
struct digest fsm_audit_digest(const struct fsm *fsm)
{
    const struct fsm_audit *a = &fsm->audit;
    struct digest_item d;

    if (a->head.count == 0)
        return (struct digest){0, 0};
    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 8);
    digest_item_u64(&d, a->head.count);
    digest_item_span(&d, span_of(a->head.hash, sizeof a->head.hash));
    digest_item_u64(&d, a->n);
    digest_item_u64(&d, a->refused_since_ms);
    digest_item_u64(&d, a->refused);
    digest_item_u64(&d, a->unaudited);
    return digest_item_final(&d);
}

void fsm_audit_deinit(struct fsm *fsm)
{
    while (fsm->audit.n > 0)
        drop_oldest(&fsm->audit);
}
