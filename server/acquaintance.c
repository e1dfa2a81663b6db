#include "server/acquaintance.h"

#include "base/hash.h"

static size_t
word_of(struct str domain, uint64_t *bit_r)
{
	const uint64_t place = hash_keyed(domain) % ACQUAINTANCE_BITS;

	*bit_r = (uint64_t)1 << (place % 64);
	return place / 64;
}

void
acquaintance_add(struct acquaintances *all, struct str domain)
{
	uint64_t bit;
	_Atomic uint64_t *word = &all->words[word_of(domain, &bit)];

	/* Written once, not for each stanza, by threads that share it. */
	if ((atomic_load_explicit(word, memory_order_relaxed) & bit) == 0)
		atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

bool
acquaintance_find(const struct acquaintances *all, struct str domain)
{
	uint64_t bit;
	const size_t word = word_of(domain, &bit);

	return (atomic_load_explicit(&all->words[word], memory_order_relaxed) &
		   bit) != 0;
}
