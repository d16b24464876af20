/* ARP frames and the filter, without a kernel. */
#include <criterion/criterion.h>
#include <string.h>

#include "io/arp_frame.h"
#include "io/clock.h"
#include "io/entropy.h"

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0, 0xb};

Test(arp_frame, an_announcement_is_a_request_of_itself_to_all)
{
    uint8_t f[ARP_FRAME_BYTES];
    struct arp_request r;

    arp_announcement_encode(0x0a4d0164, mac_a, f);
    cr_assert(arp_request_decode(span_of(f, sizeof f), &r));
    cr_assert(r.sender_ip == 0x0a4d0164 && r.target_ip == 0x0a4d0164);
    cr_assert(memcmp(r.sender_mac, mac_a, 6) == 0);
    for (int i = 0; i < 6; i++)
        cr_assert(f[i] == 0xff && f[32 + i] == 0);
}

Test(arp_frame, a_reply_goes_to_who_asked_and_is_no_request)
{
    struct arp_request asked = {.sender_ip = 0x0a4d0132, .target_ip = 0x0a4d0164}, r;
    uint8_t f[ARP_FRAME_BYTES];

    memcpy(asked.sender_mac, mac_b, 6);
    arp_reply_encode(&asked, mac_a, f);
    cr_assert(memcmp(f, mac_b, 6) == 0 && memcmp(f + 6, mac_a, 6) == 0);
    cr_assert(get_be16(f + 20) == 2 && memcmp(f + 22, mac_a, 6) == 0);
    cr_assert(get_be32(f + 28) == asked.target_ip && get_be32(f + 38) == asked.sender_ip);
    cr_assert(memcmp(f + 32, mac_b, 6) == 0);
    cr_assert(!arp_request_decode(span_of(f, sizeof f), &r));
}

/* Every header byte that matters, wrong in turn; and every length that is too short. */
Test(arp_frame, what_is_no_request_is_refused)
{
    static const int matters[] = {12, 13, 14, 15, 16, 17, 18, 19, 20, 21};
    uint8_t good[ARP_FRAME_BYTES], f[ARP_FRAME_BYTES];
    struct arp_request r;

    arp_announcement_encode(1, mac_a, good);
    for (size_t i = 0; i < sizeof matters / sizeof matters[0]; i++) {
        memcpy(f, good, sizeof f);
        f[matters[i]] ^= 0x40;
        cr_assert(!arp_request_decode(span_of(f, sizeof f), &r), "byte %d", matters[i]);
    }
    for (size_t n = 0; n < 42; n++)
        cr_assert(!arp_request_decode(span_of(good, n), &r));
    memcpy(f, good, sizeof f);
    f[22] |= 1; /* a group address as the sender */
    cr_assert(!arp_request_decode(span_of(f, sizeof f), &r));
}

/* The few instructions that arp_filter() uses. */
static uint32_t run_filter(const struct sock_filter *code, size_t n, const uint8_t *frame)
{
    uint32_t a = 0;

    for (size_t pc = 0; pc < n; pc++)
        switch (code[pc].code) {
        case BPF_LD | BPF_H | BPF_ABS:
            a = get_be16(frame + code[pc].k);
            break;
        case BPF_LD | BPF_W | BPF_ABS:
            a = get_be32(frame + code[pc].k);
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == code[pc].k ? code[pc].jt : code[pc].jf;
            break;
        default:
            cr_assert(code[pc].code == (BPF_RET | BPF_K));
            return code[pc].k;
        }
    cr_assert_fail("the program has no end");
    return 0;
}

Test(arp_frame, the_filter_passes_requests_for_our_addresses_only)
{
    static const size_t sizes[] = {1, 2, 3, 64, 128};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct sock_filter code[ARP_FILTER_MAX];
        uint32_t ips[128];
        uint8_t f[ARP_FRAME_BYTES];
        size_t n;

        for (size_t i = 0; i < sizes[s]; i++)
            ips[i] = 0x0a000000 + (uint32_t)i * 3;
        n = arp_filter(ips, sizes[s], code);
        cr_assert(n <= ARP_FILTER_MAX);
        for (size_t i = 0; i < sizes[s]; i++) {
            arp_announcement_encode(ips[i], mac_a, f);
            cr_assert(run_filter(code, n, f) >= 42);
            f[21] = 2;
            cr_assert(run_filter(code, n, f) == 0, "a reply passed");
            arp_announcement_encode(ips[i] + 1, mac_a, f);
            cr_assert(run_filter(code, n, f) == 0, "a foreign address passed");
            arp_announcement_encode(ips[i], mac_a, f);
            f[12] = 0x86;
            cr_assert(run_filter(code, n, f) == 0, "another protocol passed");
        }
    }
}

Test(io_basics, clocks_run_and_entropy_differs)
{
    uint64_t a = io_boottime_ns(), b, m = io_monotonic_ns();
    uint8_t x[32], y[32];

    while ((b = io_boottime_ns()) == a)
        ;
    cr_assert(b > a && io_monotonic_ns() >= m);
    io_entropy(x, sizeof x);
    io_entropy(y, sizeof y);
    cr_assert(memcmp(x, y, sizeof x) != 0);
    cr_assert(io_entropy_u64() != 0 && io_entropy_u64() != io_entropy_u64());
}
