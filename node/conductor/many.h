/* Tables that may hold 100,000 begin with as many buckets (2 MiB, touched as they are used): one that
 * grows later moves everything at once, for 20 ms. Included after internal.h, for the uses behind
 * it. A build with sanitizers begins with 1,024: its allocator fills each page at once, which was
 * nearly all that a short run of a fuzzer did, and tables that grow are judged there. */
#ifndef HF_CONDUCTOR_MANY_H
#define HF_CONDUCTOR_MANY_H

#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#ifndef CONDUCTOR_MANY_LOG2
#define CONDUCTOR_MANY_LOG2 17U
#endif
#define HASH_INITIAL_NUM_BUCKETS (1U << CONDUCTOR_MANY_LOG2)
#define HASH_INITIAL_NUM_BUCKETS_LOG2 CONDUCTOR_MANY_LOG2

#endif
