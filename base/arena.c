#include "base/arena.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

/* AddressSanitizer finds what is used after its arena's end only when the
 * memory goes back to malloc. */
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define KEPT_LEN_MAX 0
#else
#define KEPT_LEN_MAX (64 * 1024) /* of each class and thread */
#endif
#define DEPOT_SHARE 2 /* the depot holds so many times as much */

#define ALIGN         alignof(max_align_t)
#define ALIGN_UP(len) (((len) + ALIGN - 1) & ~(size_t)(ALIGN - 1))
#define CLASS_COUNT   7
#define CLASS_UNKNOWN 3 /* for arena_make(0) */
#define LARGE_SHARE   4 /* more than this part of a chunk gets its own */
#define CLASS_NONE    CLASS_COUNT

static const size_t class_len[CLASS_COUNT] = {
    192, 256, 512, 1024, 2048, 4096, 16384};

struct chunk {
	struct chunk *next;
	uint32_t len; /* all of it */
	uint32_t class;
};

#define CHUNK_HEAD ALIGN_UP(sizeof(struct chunk))

struct arena {
	char *at, *end; /* free bytes of the newest chunk */
	struct chunk *chunks;
	size_t len;
};

#define ARENA_HEAD ALIGN_UP(sizeof(struct arena))

struct shelf {
	struct chunk *chunks;
	unsigned count;
};

static _Thread_local struct shelf kept[CLASS_COUNT];

/* Letters are made on one thread and freed on another: what piles up at one
 * end goes back to the other through here, a batch at a time. */
static struct {
	pthread_mutex_t lock;
	struct shelf shelves[CLASS_COUNT];
} depot = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned
kept_max(unsigned class)
{
	return (unsigned)(KEPT_LEN_MAX / class_len[class]);
}

static unsigned
batch(unsigned class)
{
	return kept_max(class) / 2;
}

static void
shelf_move(struct shelf *to, struct shelf *from, unsigned count)
{
	while (count-- > 0 && from->chunks != NULL) {
		struct chunk *chunk = from->chunks;

		from->chunks = chunk->next;
		from->count--;
		chunk->next = to->chunks;
		to->chunks = chunk;
		to->count++;
	}
}

static void
shelf_free(struct shelf *shelf)
{
	while (shelf->chunks != NULL) {
		struct chunk *chunk = shelf->chunks;

		shelf->chunks = chunk->next;
		free(chunk);
	}
	shelf->count = 0;
}

static struct chunk *
chunk_take(unsigned class)
{
	struct shelf *shelf = &kept[class];
	struct chunk *chunk;

	if (shelf->chunks == NULL && KEPT_LEN_MAX > 0) {
		pthread_mutex_lock(&depot.lock);
		shelf_move(shelf, &depot.shelves[class], batch(class));
		pthread_mutex_unlock(&depot.lock);
	}
	chunk = shelf->chunks;
	if (chunk != NULL) {
		shelf->chunks = chunk->next;
		shelf->count--;
	}
	return chunk;
}

static void
shelf_relieve(struct shelf *shelf, unsigned class)
{
	struct shelf surplus = {0};

	shelf_move(&surplus, shelf, batch(class));
	pthread_mutex_lock(&depot.lock);
	if (depot.shelves[class].count < DEPOT_SHARE * kept_max(class))
		shelf_move(&depot.shelves[class], &surplus, batch(class));
	pthread_mutex_unlock(&depot.lock);
	shelf_free(&surplus);
}

static void
chunk_give(struct chunk *chunk)
{
	struct shelf *shelf;

	if (KEPT_LEN_MAX == 0 || chunk->class == CLASS_NONE) {
		free(chunk);
		return;
	}
	shelf = &kept[chunk->class];
	if (shelf->count >= kept_max(chunk->class))
		shelf_relieve(shelf, chunk->class);
	chunk->next = shelf->chunks;
	shelf->chunks = chunk;
	shelf->count++;
}

static unsigned
class_of(size_t len)
{
	unsigned class = 0;

	while (class < CLASS_COUNT && class_len[class] < len)
		class ++;
	return class;
}

/* A chunk of at least len bytes, its head included. */
static struct chunk *
chunk_make(size_t len)
{
	unsigned class = class_of(len);
	struct chunk *chunk = NULL;

	must(len <= UINT32_MAX);
	if (class != CLASS_NONE) {
		chunk = chunk_take(class);
		len = class_len[class];
	}
	if (chunk == NULL) {
		chunk = malloc(len);
		must(chunk != NULL);
		chunk->len = (uint32_t)len;
		chunk->class = class;
	}
	return chunk;
}

struct arena *
arena_make(size_t first)
{
	struct chunk *chunk;
	struct arena *arena;

	must(first <= PTRDIFF_MAX);
	if (first == 0)
		first = class_len[CLASS_UNKNOWN];
	else if (first > class_len[CLASS_COUNT - 1])
		first += CHUNK_HEAD + ARENA_HEAD;
	chunk = chunk_make(first);
	chunk->next = NULL;
	arena = (struct arena *)(void *)((char *)chunk + CHUNK_HEAD);
	arena->at = (char *)arena + ARENA_HEAD;
	arena->end = (char *)chunk + chunk->len;
	arena->chunks = chunk;
	arena->len = chunk->len;
	return arena;
}

void
arena_free(struct arena **arena)
{
	struct chunk *chunk = *arena == NULL ? NULL : (*arena)->chunks;

	*arena = NULL;
	while (chunk != NULL) {
		struct chunk *next = chunk->next;

		/* The last one holds the arena itself. */
		chunk_give(chunk);
		chunk = next;
	}
}

/* Where the newest chunk has no room: a new one, each time twice as large. */
static char *
take_slowly(struct arena *arena, size_t len)
{
	struct chunk *newest = arena->chunks, *chunk;
	size_t most = class_len[CLASS_COUNT - 1];
	size_t want = newest->len < most / 2 ? newest->len * 2 : most;

	must(len <= PTRDIFF_MAX);
	if (len + CHUNK_HEAD > want / LARGE_SHARE) {
		chunk = chunk_make(len + CHUNK_HEAD);
		chunk->next = newest->next;
		newest->next = chunk;
		arena->len += chunk->len;
		return (char *)chunk + CHUNK_HEAD;
	}
	chunk = chunk_make(want);
	chunk->next = newest;
	arena->chunks = chunk;
	arena->at = (char *)chunk + CHUNK_HEAD + len;
	arena->end = (char *)chunk + chunk->len;
	arena->len += chunk->len;
	return (char *)chunk + CHUNK_HEAD;
}

char *
arena_text(struct arena *arena, size_t len)
{
	char *at = arena->at;

	if (len > (size_t)(arena->end - at))
		return take_slowly(arena, len);
	arena->at = at + len;
	return at;
}

void *
arena_alloc(struct arena *arena, size_t len)
{
	size_t pad = (size_t)(-(uintptr_t)arena->at & (ALIGN - 1));
	size_t room = (size_t)(arena->end - arena->at);
	char *at = arena->at + pad;

	if (pad > room || len > room - pad)
		at = take_slowly(arena, len);
	else
		arena->at = at + len;
	return memset(at, 0, len);
}

void *
arena_alloc_array(struct arena *arena, size_t item_len, size_t count)
{
	size_t len;

	must(!__builtin_mul_overflow(item_len, count, &len));
	return arena_alloc(arena, len);
}

char *
arena_dup(struct arena *arena, const void *bytes, size_t len)
{
	char *copy;

	must(len < PTRDIFF_MAX);
	copy = arena_text(arena, len + 1);
	if (len > 0)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

size_t
arena_len(const struct arena *arena)
{
	return arena->len;
}

void
arena_thread_done(void)
{
	for (size_t i = 0; i < CLASS_COUNT; i++)
		shelf_free(&kept[i]);
}
