/*
 * modules/id_ranges.h - a set of ids, as ranges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_range {
	uint64_t from, to; /* both are in it */
};

/* Zeroed at first. */
struct id_ranges {
	struct id_range *list; /* in order; none touches the next */
	size_t count, room;
};

/* Adds from..to, if from <= to. */
void id_ranges_add(struct id_ranges *, uint64_t from, uint64_t to);
/* Takes out from..to. */
void id_ranges_remove(struct id_ranges *, uint64_t from, uint64_t to);
bool id_ranges_have(const struct id_ranges *, uint64_t id);
/* Empties it. */
void id_ranges_free(struct id_ranges *);
