/* Any bytes are an ARP request or not. What is taken is answered to its sender, and the answer is no
 * request: two nodes never answer each other for ever. */
#include "io/arp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    uint8_t answer[ARP_FRAME_BYTES];
    struct arp_request asked, back;

    if (!arp_request_decode(span_of(data, size), &asked))
        return 0;
    HF_ASSERT(size >= 42 && (asked.sender_mac[0] & 1) == 0);
    arp_reply_encode(&asked, mac, answer);
    HF_ASSERT(memcmp(answer, asked.sender_mac, 6) == 0 && memcmp(answer + 6, mac, 6) == 0);
    HF_ASSERT(!arp_request_decode(span_of(answer, sizeof answer), &back));
    arp_announcement_encode(asked.target_ip, mac, answer);
    HF_ASSERT(arp_request_decode(span_of(answer, sizeof answer), &back));
    HF_ASSERT(back.target_ip == asked.target_ip && back.sender_ip == asked.target_ip);
    return 0;
}
