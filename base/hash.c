#include "base/hash.h"

#include "base/rand.h"

/* SipHash, Aumasson and Bernstein 2012. */
struct sip {
	uint64_t a, b, c, d;
};

struct sip_key {
	uint64_t low, high;
};

/* The bytes 0 to 15, so that the published test values are ours. */
static const struct sip_key frozen_key = {
    0x0706050403020100, 0x0f0e0d0c0b0a0908};

static struct sip_key table_key;

static inline uint64_t
read64(const void *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

static inline uint64_t
turn(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void
sip_rounds(struct sip *v, unsigned count)
{
	while (count-- > 0) {
		v->a += v->b;
		v->c += v->d;
		v->b = turn(v->b, 13) ^ v->a;
		v->d = turn(v->d, 16) ^ v->c;
		v->a = turn(v->a, 32);
		v->c += v->b;
		v->a += v->d;
		v->b = turn(v->b, 17) ^ v->c;
		v->d = turn(v->d, 21) ^ v->a;
		v->c = turn(v->c, 32);
	}
}

static inline void
sip_add(struct sip *v, uint64_t word, unsigned rounds)
{
	v->d ^= word;
	sip_rounds(v, rounds);
	v->a ^= word;
}

/* Inlined twice, so that the counts of rounds are constants. */
static inline __attribute__((always_inline)) uint64_t
sip_hash(struct str str, struct sip_key key, unsigned each, unsigned last)
{
	struct sip v = {
	    key.low ^ 0x736f6d6570736575,
	    key.high ^ 0x646f72616e646f6d,
	    key.low ^ 0x6c7967656e657261,
	    key.high ^ 0x7465646279746573,
	};
	uint64_t tail = (uint64_t)str.len << 56;
	size_t whole = str.len & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		sip_add(&v, read64(str.text + i), each);
	for (size_t i = whole; i < str.len; i++)
		tail |= (uint64_t)(unsigned char)str.text[i] << (i - whole) * 8;
	sip_add(&v, tail, each);
	v.c ^= 0xff;
	sip_rounds(&v, last);
	return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t
hash_frozen(struct str str)
{
	return sip_hash(str, frozen_key, 2, 4);
}

uint64_t
hash_keyed(struct str str)
{
	return sip_hash(str, table_key, 1, 3);
}

uint64_t
hash_secret(const uint8_t key[16], struct str str)
{
	return sip_hash(
	    str, (struct sip_key){read64(key), read64(key + 8)}, 2, 4);
}

void
hash_set_key(const uint8_t key[16])
{
	table_key.low = read64(key);
	table_key.high = read64(key + 8);
}

__attribute__((constructor)) static void
draw_key(void)
{
	uint8_t key[16];

	rand_bytes(key, sizeof(key));
	hash_set_key(key);
}
