/*
 * base/rand.h - random bytes from the kernel; a world may give a seed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

void rand_bytes(void *, size_t len);
uint64_t rand_u64(void);
/* Even in [0, below); below > 0. */
uint64_t rand_below(uint64_t below);
/* len letters and digits, about 5 bits each: ids of streams, stanzas,
 * resources. */
struct str rand_id(struct arena *, size_t len);

/* From now on this thread's randomness follows from the seed; 0 ends it.
 * Only for worlds and tests. */
void rand_fake(uint64_t seed);
