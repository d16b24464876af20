#include "esp/tally.h"

#include "base/number.h"

static uint64_t slack_of(uint64_t soft, uint64_t hard, uint64_t most)
{
    uint64_t between = soft < hard ? hard - soft : 0;
    uint64_t wanted = number_larger(between / 4, hard / (ESP_TALLY_RECORDS_MAX / 2));

    if (hard == 0)
        return 0;
    return number_larger(number_smaller(wanted, most), 1);
}

uint64_t esp_tally_slack(uint64_t soft_packets, uint64_t hard_packets)
{
    return slack_of(soft_packets, hard_packets, ESP_TALLY_SLACK_MAX);
}

uint64_t esp_tally_slack_bytes(uint64_t soft_bytes, uint64_t hard_bytes)
{
    return slack_of(soft_bytes, hard_bytes, number_larger(hard_bytes / 64, ESP_TALLY_SLACK_BYTES));
}

bool esp_tally_soft_near(uint64_t hard, uint64_t counted, uint64_t per_second)
{
    uint64_t bounded = number_smaller(per_second, UINT64_C(1) << 48);

    return hard != 0 && counted >= hard / 2 && counted + bounded * ESP_TALLY_LEAD_MS / 1000 >= hard;
}

uint64_t esp_tally_packets_of(uint64_t bytes)
{
    const uint64_t few = 64; /* a worker's batch: nobody looks more often than that */

    if (bytes >> 16 >= few)
        return bytes >> 16;
    return number_larger(number_smaller(bytes >> 11, few), 1);
}

uint64_t esp_tally_at_grant(uint64_t told, uint64_t untold_owners, uint64_t slack)
{
    if (slack != 0 && untold_owners > (UINT64_MAX - told) / slack)
        return UINT64_MAX;
    return told + untold_owners * slack;
}

uint64_t esp_tally_soft_at_grant(uint64_t soft, uint64_t hard, uint64_t unsure, uint64_t slack)
{
    uint64_t latest = hard / 2 > slack ? hard - 2 * slack : 0;
    uint64_t moved = unsure > UINT64_MAX - soft ? UINT64_MAX : soft + unsure;

    if (soft == 0 || slack == 0)
        return soft;
    return number_larger(soft, number_smaller(moved, latest));
}

uint64_t esp_tally_left(uint64_t told, uint64_t counted, uint64_t slack)
{
    uint64_t at = told > UINT64_MAX - number_larger(slack / 2, 1)
                      ? UINT64_MAX
                      : told + number_larger(slack / 2, 1);

    HF_ASSERT(slack > 0);
    return at > counted ? at - counted : 0;
}
