/* Tables that may hold 100,000 begin with as many buckets (2 MiB, touched as they are used): one that
 * grows later moves everything at once, for 20 ms. Included after internal.h, for the uses behind
 * it. */
#ifndef HF_CONDUCTOR_MANY_H
#define HF_CONDUCTOR_MANY_H

#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 131072U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 17U

#endif
