#include "daemon/drops.h"

#include <utlist.h>

static void add_sa(struct datapath_drops *sum, struct esp_sa *sa)
{
    struct esp_sa_view v;

    esp_sa_read(sa, &v);
    for (int i = 0; i < ESP_DROP_COUNT; i++) {
        sum->in[i] += v.drops_in[i];
        sum->out[i] += v.drops_out[i];
    }
    sum->packets_in += v.in_packets;
    sum->packets_out += v.out_packets;
    sum->bytes_in += v.in_bytes;
    sum->bytes_out += v.out_bytes;
}

static void add(struct datapath_drops *sum, const struct datapath_drops *more)
{
    for (int i = 0; i < ESP_DROP_COUNT; i++) {
        sum->in[i] += more->in[i];
        sum->out[i] += more->out[i];
    }
    sum->packets_in += more->packets_in;
    sum->packets_out += more->packets_out;
    sum->bytes_in += more->bytes_in;
    sum->bytes_out += more->bytes_out;
}

void drops_add(struct drops_account *a, struct drops_node *node, struct esp_sa *sa)
{
    *node = (struct drops_node){.sa = sa, .walk = a->walk - 1};
    DL_APPEND(a->all, node);
    a->n++;
}

void drops_remove(struct drops_account *a, struct drops_node *node)
{
    add_sa(node->walk == a->walk ? &a->later : &a->gone, node->sa);
    if (a->next == node)
        a->next = node->next;
    DL_DELETE(a->all, node);
    a->n--;
}

static void end_walk(struct drops_account *a)
{
    a->told = a->gone;
    add(&a->told, &a->sum);
    add(&a->gone, &a->later);
    a->later = a->sum = (struct datapath_drops){.packets_in = 0};
    a->walk++;
}

void drops_walk(struct drops_account *a)
{
    struct drops_node *node = a->next != NULL ? a->next : a->all;

    for (int i = 0; i < DROPS_AT_ONCE && node != NULL; i++) {
        if (node->walk != a->walk)
            add_sa(&a->sum, node->sa);
        node->walk = a->walk;
        node = node->next;
    }
    a->next = node;
    if (node == NULL)
        end_walk(a);
}

void drops_read(struct drops_account *a, struct datapath_drops *out)
{
    if (a->n <= DROPS_AT_ONCE) {
        a->next = NULL; /* begins anew: what is in the sum is not added twice */
        drops_walk(a);
    }
    *out = a->told;
}
