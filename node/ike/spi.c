/* SPIs are made of the event's entropy; the log refuses one that is taken in the cluster. */
#include "ike/exchange.h"

enum { FIRST_ESP_SPI = 256, SPI_STEP = 0x10000 };

static bool spi_taken(const struct ike_sa *sa, uint32_t spi)
{
    if (spi < FIRST_ESP_SPI)
        return true;
    if (sa == NULL)
        return false;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi)
            return true;
    for (size_t i = 0; i < sa->n_owed_deletes; i++)
        if (sa->owed_deletes[i] == spi)
            return true;
    return sa->pending.new_spi_in == spi || sa->handshake.child_spi_in == spi;
}

uint32_t ike_new_esp_spi(const struct ike_sa *sa, const uint8_t entropy[4])
{
    uint32_t spi = get_be32(entropy);

    while (spi_taken(sa, spi)) /* at most a dozen are taken */
        spi += SPI_STEP;
    return spi;
}

uint64_t ike_new_ike_spi(const uint8_t entropy[8])
{
    uint64_t spi = get_be64(entropy);

    return spi != 0 ? spi : 1;
}
