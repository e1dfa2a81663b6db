#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

#include "base/err.h"

/* The kernel is asked for many bytes at a time: a call costs more than they
 * do. Bytes that were handed out are wiped. */
static _Thread_local struct {
	unsigned char bytes[256];
	size_t left; /* the last ones */
	uint64_t fake;
} pool;

static void
ask_kernel(unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(bytes, len, 0);

		must(got > 0 || errno == EINTR);
		if (got > 0) {
			bytes += got;
			len -= (size_t)got;
		}
	}
}

/* splitmix64, Steele, Lea and Flood 2014. */
static uint64_t
fake_u64(void)
{
	uint64_t x = pool.fake += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void
fake_bytes(unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(fake_u64() >> 32);
}

void
rand_bytes(void *bytes, size_t len)
{
	unsigned char *from;

	if (len == 0)
		return;
	if (pool.fake != 0) {
		fake_bytes(bytes, len);
		return;
	}
	if (len > sizeof(pool.bytes) / 4) {
		ask_kernel(bytes, len);
		return;
	}
	if (pool.left < len) {
		ask_kernel(pool.bytes, sizeof(pool.bytes));
		pool.left = sizeof(pool.bytes);
	}
	from = pool.bytes + sizeof(pool.bytes) - pool.left;
	memcpy(bytes, from, len);
	explicit_bzero(from, len);
	pool.left -= len;
}

uint64_t
rand_u64(void)
{
	uint64_t number;

	rand_bytes(&number, sizeof(number));
	return number;
}

uint64_t
rand_below(uint64_t below)
{
	uint64_t number, uneven;

	must(below > 0);
	/* 2^64 mod below numbers are too many to be even. */
	uneven = (0 - below) % below;
	do {
		number = rand_u64();
	} while (number < uneven);
	return number % below;
}

struct str
rand_id(struct arena *arena, size_t len)
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char *text = arena_text(arena, len + 1);

	rand_bytes(text, len);
	for (size_t i = 0; i < len; i++)
		text[i] = letters[(unsigned char)text[i] % 32];
	text[len] = '\0';
	return (struct str){text, len};
}

void
rand_fake(uint64_t seed)
{
	pool.fake = seed;
}

/* Parent and child must not hand out the same bytes. */
static void
forget(void)
{
	pool.left = 0;
}

__attribute__((constructor)) static void
forget_in_children(void)
{
	pthread_atfork(NULL, NULL, forget);
}
