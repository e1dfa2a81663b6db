/*
 * base/arena.h - memory that is freed all at once.
 *
 * Every allocation belongs to an arena whose lifetime has a name: config,
 * shard, owner, stream, letter, iq. An arena may be handed to another thread
 * but is used by one thread at a time. Running out of memory aborts.
 */
#pragma once

#include <stddef.h>

struct arena;

/* A new arena. first is a guess of the bytes it will hold, 0 when unknown;
 * small arenas come from a free list of the thread and cost no malloc. */
struct arena *arena_make(size_t first);

/* Frees all that was allocated from it and nulls the pointer; NULL is fine. */
void arena_free(struct arena **);

/* Zeroed memory, aligned for any type, living as long as the arena. */
void *arena_alloc(struct arena *, size_t len);
/* The same without zeroing and alignment: for bytes of text. */
char *arena_text(struct arena *, size_t len);
/* A copy of len bytes, with a NUL behind them. */
char *arena_dup(struct arena *, const void *bytes, size_t len);

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
/* count items; aborts when the product overflows. */
#define arena_array(arena, type, count) \
	((type *)arena_alloc_array((arena), sizeof(type), (count)))
void *arena_alloc_array(struct arena *, size_t item_len, size_t count);

/* Bytes taken from the system, for quotas and metrics. */
size_t arena_len(const struct arena *);

/* Gives back the calling thread's free list; called when a thread ends. */
void arena_thread_done(void);
