/*
 * modules/tickets.h - what a session was sent and has not proved: rows of a
 * module, each with the ticket that its receipt proves (HOOK_PROVED).
 *
 * A ticket proves all before it. What is read and fills a place overtakes what
 * was sent meanwhile and waits behind the place; so there are two sequences,
 * and the tickets of what was read have TICKET_READ.
 */
#pragma once

#include "server/session.h"

/* Zeroed at first. */
struct tickets {
	struct ticket_list {
		struct ticket {
			uint64_t number, row;
		} *list; /* oldest first, from first on */
		size_t first, count, room;
		uint64_t last; /* number that was ever given */
	} sent, read;
};

/* A ticket for the row; the lists grow in the session's arena. */
uint64_t tickets_add(
    struct tickets *, struct arena *, uint64_t row, bool is_read);
/* Takes out the oldest row that this ticket proves, or any. */
bool tickets_take(struct tickets *, uint64_t ticket, uint64_t *row_r);
bool tickets_take_any(struct tickets *, uint64_t *row_r);
/* Takes out the row of this ticket alone, which is not TICKET_READ. */
bool tickets_take_one(struct tickets *, uint64_t ticket, uint64_t *row_r);
/* The place of a row: i counts from 0; NULL after the last. 0 in its stead: it
 * is not saved. */
uint64_t *tickets_row(struct tickets *, size_t i);

/* Over a restart: what of them is in the session's queue, as attributes of an
 * element and children of its namespace. bit: of these tickets. */
void tickets_save(const struct tickets *, const struct session *, uint64_t bit,
    struct node *, const char *ns);
void tickets_restore(struct tickets *, struct arena *, const struct node *);
