/*
 * bench/mark.h - the mark inside each stanza that is counted, and the count.
 *
 * A mark names its sender, the stanza's place among those of its sender, and
 * when it was sent, or should have been. It survives any server, for it is
 * plain text of a body or a status; it is found without parsing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARK_LEN 36

struct mark {
	unsigned sender;
	uint32_t place; /* 0, 1, ... */
	uint64_t at_ns;
};

/* MARK_LEN bytes, without NUL. */
void mark_write(const struct mark *, char *text_r);

/* Takes the next whole mark out of a text and moves the text behind it. When
 * there is none, false, and what is left is what has to be seen again
 * together with the text that follows: the start of a mark, or nothing. */
bool mark_next(const char **text, size_t *len, struct mark *mark_r);

/* What a receiver has had from one sender; all zero at first. */
struct mark_seen {
	uint32_t next;
	uint64_t skipped; /* bit n: place next - 1 - n has not come yet */
};

struct mark_count {
	uint64_t came; /* without repetitions */
	uint64_t repeated;
	uint64_t out_of_order;
};

void mark_check(struct mark_seen *, uint32_t place, struct mark_count *);
