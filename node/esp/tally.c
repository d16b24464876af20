#include "esp/tally.h"

#include "base/number.h"

uint64_t esp_tally_slack(uint64_t soft_packets, uint64_t hard_packets)
{
    uint64_t between = soft_packets < hard_packets ? hard_packets - soft_packets : 0;
    uint64_t slack = number_larger(between / 4, hard_packets / (ESP_TALLY_RECORDS_MAX / 2));

    if (hard_packets == 0)
        return 0;
    return slack > ESP_TALLY_SLACK_MAX ? ESP_TALLY_SLACK_MAX : number_larger(slack, 1);
}

uint64_t esp_tally_at_grant(uint64_t told, uint64_t untold_owners, uint64_t slack)
{
    if (slack != 0 && untold_owners > (UINT64_MAX - told) / slack)
        return UINT64_MAX;
    return told + untold_owners * slack;
}

uint64_t esp_tally_left(uint64_t told, uint64_t counted, uint64_t slack)
{
    uint64_t at = told > UINT64_MAX - number_larger(slack / 2, 1)
                      ? UINT64_MAX
                      : told + number_larger(slack / 2, 1);

    HF_ASSERT(slack > 0);
    return at > counted ? at - counted : 0;
}
