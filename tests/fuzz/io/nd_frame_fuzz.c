/* Any bytes are a frame of neighbour discovery or not. The first byte says whether the checksum is
 * made to hold, or no input would get past it. What is taken is answered, and the answer is one. */
#include "io/nd_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FRAME = 512 };

static void seal(uint8_t *f, size_t n)
{
    size_t icmp = get_be16(f + 18);
    uint64_t sum;

    if (n < 78 || icmp < 24 || icmp > n - 54)
        return;
    sum = 58 + icmp;
    f[56] = f[57] = 0;
    for (size_t i = 22; i < 54 + icmp; i++)
        sum += i % 2 == 0 ? (uint64_t)f[i] << 8 : f[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    put_be16(f + 56, (uint16_t)~sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    uint8_t frame[MAX_FRAME], answer[ND_FRAME_BYTES];
    struct nd_message asked, back;
    size_t n = size > 0 ? size - 1 : 0;

    if (n == 0 || n > sizeof frame)
        return 0;
    memcpy(frame, data + 1, n);
    if (data[0] % 2 != 0 && n >= 78)
        seal(frame, n);
    if (!nd_decode(span_of(frame, n), &asked))
        return 0;
    HF_ASSERT(asked.source.family == ADDR_V6 && asked.target.family == ADDR_V6);
    HF_ASSERT((asked.mac[0] & 1) == 0 && asked.target.bytes[0] != 0xff);
    nd_advertisement_encode(&asked.target, mac, &asked, answer);
    HF_ASSERT(nd_decode(span_of(answer, sizeof answer), &back) && back.advertisement);
    HF_ASSERT(addr_equal(&back.target, &asked.target) && memcmp(back.mac, mac, 6) == 0);
    return 0;
}
