/*
 * modules/tickets.h - what a session was sent and has not proved: rows of a
 * module, each with the number of the ticket that its receipt proves
 * (HOOK_PROVED), in the order sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "xml/node.h"

/* Zeroed at first. */
struct tickets {
	struct ticket {
		uint64_t number, row;
	} * list; /* oldest first, from first on */
	size_t first, count, room;
	uint64_t last; /* number that was ever given */
};

/* The number of the row's ticket; the list grows in the session's arena. */
uint64_t tickets_add(struct tickets *, struct arena *, uint64_t row);
/* Takes out the oldest, if its number is up to this one. */
bool tickets_take(struct tickets *, uint64_t upto, uint64_t *row_r);

/* The rows that are there: i from 0 to below count. */
static inline uint64_t
tickets_row(const struct tickets *tickets, size_t i)
{
	return tickets->list[tickets->first + i].row;
}

/* Over a restart: as attributes of an element, and children of its namespace;
 * of those below this number. */
void tickets_save(
    const struct tickets *, struct node *, const char *ns, uint64_t below);
void tickets_restore(struct tickets *, struct arena *, const struct node *);
