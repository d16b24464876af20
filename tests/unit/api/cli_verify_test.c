/* `holdfast audit verify`: what was done to a chain is found and named, in what a node answers and in files; and what cannot be seen
 * in a file alone, the node's head shows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hex.h"
#include "replication/audit.h"
#include "unit/api/rig.h"

enum { ENTRIES = 450, FEW = 5, LINES_BYTES = 64 << 10 };

static struct rig rig;
static char output[1 << 16];
static json_t *chain[ENTRIES]; /* as they were written */
static struct audit_head head;

/* What the node answers: of chain, from `kept` on, one of them perhaps another. */
static size_t kept, length;
static json_t *other;
static struct audit_head said;

static json_t *object_of(const struct audit_entry *e)
{
    char line[AUDIT_MAX_LINE];
    json_t *object = json_loadb(line, audit_line(e, line), 0, NULL);

    cr_assert_not_null(object);
    return object;
}

static void make_chain(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char target[32];
        struct audit_draft d = {.index = 7 + i,
                                .cluster_ms = 1000 * i,
                                .wall_ms = 1795921200000 + i,
                                .node = 1,
                                .texts = {[AUDIT_PRINCIPAL] = "cn:J\303\266rg \"x\"\\",
                                          [AUDIT_OPERATION] = "shard.move",
                                          [AUDIT_TARGET] = target,
                                          [AUDIT_CHANGES] = "a\n\tb"}};
        struct audit_entry *e;

        (void)snprintf(target, sizeof target, "shards/%zu", i);
        e = audit_entry_new(&head, &d);
        chain[i] = object_of(e);
        audit_entry_drop(e);
    }
    length = n;
    said = head;
}

static json_t *nth(size_t i)
{
    json_t *sequence = other != NULL ? json_object_get(other, "sequence") : NULL;

    return sequence != NULL && (size_t)json_integer_value(sequence) == i + 1 ? other : chain[i];
}

static json_t *head_json(void)
{
    char hash[2 * SHA256_BYTES + 1];

    hex_put(said.hash, SHA256_BYTES, hash);
    return json_pack("{s:I,s:s}", "sequence", (json_int_t)said.count, "hash", hash);
}

static json_t *answer(void *self, const struct api_audit_query *q, struct api_problem *problem)
{
    json_t *list = json_array(), *out;
    size_t at = q->oldest_first ? kept : length, n = 0;

    (void)self;
    (void)problem;
    out = json_pack("{s:o,s:I,s:o}", "head", head_json(), "first", (json_int_t)kept + 1, "entries",
                    list);
    if (q->after != 0)
        at = q->oldest_first ? q->after : q->after - 1;
    for (; q->oldest_first ? at < length : at > kept; n++) {
        if (q->limit != 0 && n == q->limit) {
            size_t last = q->oldest_first ? at : at + 1;

            json_object_set_new(out, "next", json_sprintf("%016zx", last));
            break;
        }
        json_array_append(list, nth(q->oldest_first ? at : at - 1));
        at = q->oldest_first ? at + 1 : at - 1;
    }
    return out;
}

static json_t *answer_one(void *self, uint64_t sequence, struct api_problem *problem)
{
    (void)self;
    if (sequence > kept && sequence <= length)
        return json_incref(nth(sequence - 1));
    api_problem_set(problem, 404, "unknown-entry", "entry is not kept here");
    return NULL;
}

static void start(void)
{
    rig_init(&rig);
    rig.backend.audit = answer;
    rig.backend.audit_entry = answer_one;
    head = said = (struct audit_head){0};
    kept = length = 0;
    other = NULL;
}

static void end(void)
{
    for (size_t i = 0; i < length; i++)
        json_decref(chain[i]);
    json_decref(other);
    rig_deinit(&rig);
}

TestSuite(cli_verify, .init = start, .fini = end, .timeout = 120);

/* Its exit status; stdout and stderr together in `output`. */
static int run(const char *words)
{
    char command[512];
    FILE *p;
    size_t n;

    (void)snprintf(command, sizeof command, "cd %s && %s --socket %s audit verify %s 2>&1",
                   rig.folder, CLI_PROGRAM, rig.socket, words);
    p = popen(command, "r");
    cr_assert_not_null(p);
    n = fread(output, 1, sizeof output - 1, p);
    output[n] = '\0';
    return WEXITSTATUS(pclose(p));
}

static void expect(const char *words, int status, const char *part)
{
    int got = run(words);

    cr_expect_eq(got, status, "%s ended with %d: %s", words, got, output);
    cr_expect_not_null(strstr(output, part), "%s said:\n%s\nwanted: %s", words, output, part);
}

static void write_file(const char *bytes, size_t n)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/f", rig.folder);
    f = fopen(path, "w");
    cr_assert(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* As `holdfast audit list -o json` prints it. */
static char *export_of(bool oldest_first, uint32_t limit)
{
    struct api_audit_query q = {.oldest_first = oldest_first, .limit = limit};
    json_t *body = answer(NULL, &q, NULL);
    char *text = json_dumps(body, JSON_INDENT(2));

    json_decref(body);
    cr_assert_not_null(text);
    return text;
}

static void write_list(json_t *entries)
{
    json_t *body = json_pack("{s:o,s:i,s:O}", "head", head_json(), "first", 1, "entries", entries);
    char *text = json_dumps(body, JSON_INDENT(2));

    write_file(text, strlen(text));
    free(text);
    json_decref(body);
}

/* --- a node --- */

static json_t *altered(size_t i)
{
    json_t *entry = json_deep_copy(chain[i]);

    json_object_set_new(entry, "principal", json_string("somebody else"));
    return entry;
}

static void ask_node(struct rig *r)
{
    (void)r;
    expect("", 0, "there are no entries\n");
    make_chain(ENTRIES);
    expect("", 0, "sound: entries 1 to 450; the newest is ");
    cr_expect_null(strstr(output, "before"), "%s", output);
    expect("-o json", 0, "\"sound\": true");
    kept = 50;
    expect("", 0, "sound: entries 51 to 450; the newest is ");
    cr_expect_not_null(strstr(output, "what came before entry 51 was not looked at\n"), "%s",
                       output);
    other = altered(299);
    expect("", 1, "BROKEN: entry 300 (number 250 of those looked at) was altered: ");
    expect("-o json", 1, "\"finding\": \"altered\"");
    json_decref(other);
    other = NULL;
    said.hash[31] ^= 1;
    expect("", 1, "BROKEN: entry 450 has another hash than the head says");
    said = head;
    said.count += 2;
    expect("", 1, "BROKEN: the end is missing: entries 451 to 452 are not there");
    expect("--node", 2, "--node is for a file");
}

Test(cli_verify, what_a_node_answers)
{
    rig_run(&rig, ask_node);
}

/* --- what was printed --- */

static void look_at_lists(struct rig *r)
{
    char *text;

    (void)r;
    make_chain(ENTRIES);
    for (int oldest = 0; oldest < 2; oldest++) {
        text = export_of(oldest, 0);
        write_file(text, strlen(text));
        free(text);
        expect("--file f", 0, "sound: entries 1 to 450; the newest is ");
        cr_expect_null(strstr(output, "nothing here says"), "%s", output);
        expect("--file f --node", 0, "sound: entries 1 to 450");
    }
    said.count--;
    expect("--file f --node", 1, "BROKEN: entry 450 lies behind the head");
    said = head;
    text = export_of(false, 50);
    write_file(text, strlen(text));
    free(text);
    expect("--file f", 0, "sound: entries 401 to 450; the newest is ");
    text = export_of(true, 50);
    write_file(text, strlen(text));
    free(text);
    expect("--file f", 0, "nothing here says whether more followed: --node asks the node\n");
    expect("--file f --node", 0, "they are the node's, which has 400 newer ones\n");
    kept = 60;
    expect("--file f --node", 1, "cannot be compared: nothing proves it");
    write_file("{\"head\":1}", 10);
    expect("--file f", 1, "f is neither what `holdfast audit list -o json` prints");
    write_file("", 0);
    expect("--file f", 1, "f is neither");
    expect("--file no-such", 1, "no-such: No such file");
}

Test(cli_verify, what_audit_list_printed)
{
    rig_run(&rig, look_at_lists);
}

/* Each byte of what it says of head and entries, one bit of it. */
static void flip(struct rig *r)
{
    char *text;
    size_t from, to, n = 0;

    (void)r;
    make_chain(2);
    text = export_of(false, 0);
    from = (size_t)(strstr(text, "\"entries\"") - text);
    to = strlen(text);
    for (size_t i = 0; i < to; i += i < from ? 5 : 11) {
        if (i > (size_t)(strstr(text, "\"first\"") - text) - 4 && i < from)
            continue;
        text[i] ^= 1;
        write_file(text, to);
        text[i] ^= 1;
        cr_expect_eq(run("--file f"), 1, "byte %zu ('%c'): %s", i, text[i], output);
        n++;
    }
    write_file(text, to);
    expect("--file f", 0, "sound");
    cr_expect_gt(n, 90);
    printf("compared %zu files\n", n);
    free(text);
}

Test(cli_verify, a_flipped_bit_is_found)
{
    rig_run(&rig, flip);
}

static json_t *all_entries(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < length; i++)
        json_array_append(list, chain[i]);
    return list;
}

/* Takes the list over. */
static void expect_list(json_t *list, int status, const char *part)
{
    write_list(list);
    expect("--file f", status, part);
    json_decref(list);
}

static void change(struct rig *r)
{
    json_t *list, *moved;

    (void)r;
    make_chain(FEW);
    list = all_entries();
    json_array_remove(list, 2);
    expect_list(list, 1,
                "BROKEN: entry 4 (number 3 of those looked at) comes too early: entries 3 to 3 "
                "before it are not there");
    list = all_entries();
    moved = json_incref(json_array_get(list, 1));
    json_array_remove(list, 1);
    json_array_insert_new(list, 2, moved);
    expect_list(list, 1, "BROKEN: entry 3 (number 2 of those looked at) comes too early");
    cr_expect_not_null(strstr(output, "more behind it"), "%s", output);
    list = all_entries();
    json_array_insert(list, 3, chain[2]);
    expect_list(list, 1, "BROKEN: entry 3 (number 4 of those looked at) was moved, or is there");
    list = all_entries();
    moved = json_deep_copy(chain[1]);
    json_object_set_new(moved, "note", json_string("x"));
    json_array_set_new(list, 1, moved);
    expect_list(list, 1, "(number 2 of those looked at) is no entry of an audit");
}

Test(cli_verify, removed_swapped_repeated_and_added_to)
{
    rig_run(&rig, change);
}

/* As whoever cuts the rest off would: that entry is the head. */
static void say_head(const json_t *entry)
{
    const char *hash = json_string_value(json_object_get(entry, "hash"));

    said.count = (uint64_t)json_integer_value(json_object_get(entry, "sequence"));
    for (size_t i = 0; i < SHA256_BYTES; i++)
        said.hash[i] = (uint8_t)(hex_value(hash[2 * i]) << 4 | hex_value(hash[2 * i + 1]));
}

/* The end is seen by the head that the file names, and where that was changed, too, by the node's. */
static void cut(struct rig *r)
{
    json_t *list;

    (void)r;
    make_chain(FEW);
    list = all_entries();
    json_array_remove(list, FEW - 1);
    json_array_remove(list, FEW - 2);
    expect_list(json_incref(list), 1, "BROKEN: the end is missing: entries 4 to 5 are not there");
    say_head(chain[FEW - 3]);
    expect_list(list, 0, "sound: entries 1 to 3");
    said = head;
    expect("--file f --node", 0, "they are the node's, which has 2 newer ones\n");
}

Test(cli_verify, a_truncated_end)
{
    rig_run(&rig, cut);
}

/* A chain that was forged is sound by itself. */
static void forge(struct rig *r)
{
    json_t *list = json_array();
    struct audit_draft d = {.index = 1, .texts = {[AUDIT_OPERATION] = "nothing"}};
    struct audit_head forged = {0};

    (void)r;
    make_chain(FEW);
    for (size_t i = 0; i < FEW; i++) {
        struct audit_entry *e = audit_entry_new(&forged, &d);

        json_array_append_new(list, object_of(e));
        audit_entry_drop(e);
    }
    said = forged;
    expect_list(json_incref(list), 0, "sound: entries 1 to 5");
    said = head;
    expect("--file f --node", 1, "BROKEN: entry 5 has another hash than the head says");
    json_array_remove(list, FEW - 1);
    say_head(json_array_get(list, FEW - 2));
    expect_list(list, 0, "sound: entries 1 to 4");
    said = head;
    expect("--file f --node", 1, "BROKEN: entry 4 has another hash than the head says");
}

Test(cli_verify, a_forged_chain_is_not_the_nodes)
{
    rig_run(&rig, forge);
}

/* --- a node's own file --- */

static size_t put_lines(char out[LINES_BYTES], size_t n)
{
    struct audit_head at = {0};
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        struct audit_draft d = {.index = i + 1, .texts = {[AUDIT_OPERATION] = "shard.move"}};
        struct audit_entry *e = audit_entry_new(&at, &d);
        char line[AUDIT_MAX_LINE];
        size_t one = audit_line(e, line);

        memcpy(out + len, line, one);
        len += one;
        out[len++] = '\n';
        audit_entry_drop(e);
    }
    return len;
}

static void look_at_lines(struct rig *r)
{
    static char lines[LINES_BYTES];
    size_t n = put_lines(lines, 4);
    char *second = memchr(lines, '\n', n), *at;

    (void)r;
    write_file(lines, n);
    expect("--file f", 0, "sound: entries 1 to 4; the newest is ");
    cr_expect_not_null(strstr(output, "nothing here says whether more followed"), "%s", output);
    write_file(second + 1, n - (size_t)(second + 1 - lines));
    expect("--file f", 0, "sound: entries 2 to 4; the newest is ");
    write_file(lines, n - 5);
    expect("--file f", 1, "BROKEN: entry 4 (number 4 of those looked at) is no entry of an audit");
    at = strstr(second, "\"node\":0");
    cr_assert_not_null(at);
    at[7] = '1';
    write_file(lines, n);
    expect("--file f", 1, "BROKEN: entry 2 (number 2 of those looked at) was altered");
    at[7] = '0';
    lines[n] = '\n';
    write_file(lines, n + 1);
    expect("--file f", 1, "(number 5 of those looked at) is no entry of an audit");
    expect("--file f -o json", 1, "\"finding\": \"malformed\"");
}

Test(cli_verify, a_nodes_own_file)
{
    rig_run(&rig, look_at_lines);
}
