#include "modules/tickets.h"

#include <string.h>

#define ROOM_FIRST 8

static void
grow(struct ticket_list *tickets, struct arena *arena)
{
	const struct ticket *old = tickets->list;

	tickets->room = tickets->room == 0 ? ROOM_FIRST : 2 * tickets->room;
	tickets->list = arena_array(arena, struct ticket, tickets->room);
	if (tickets->count > 0)
		memcpy(tickets->list, old + tickets->first,
		    tickets->count * sizeof(*old));
	tickets->first = 0;
}

static void
make_room(struct ticket_list *tickets, struct arena *arena)
{
	if (tickets->first + tickets->count < tickets->room)
		return;
	if (tickets->first <= tickets->room / 2) {
		grow(tickets, arena);
		return;
	}
	memmove(tickets->list, tickets->list + tickets->first,
	    tickets->count * sizeof(tickets->list[0]));
	tickets->first = 0;
}

static void
add(struct ticket_list *tickets, struct arena *arena, struct ticket ticket)
{
	make_room(tickets, arena);
	tickets->list[tickets->first + tickets->count++] = ticket;
	tickets->last = ticket.number;
}

uint64_t
tickets_add(
    struct tickets *tickets, struct arena *arena, uint64_t row, bool is_read)
{
	struct ticket_list *list = is_read ? &tickets->read : &tickets->sent;

	add(list, arena, (struct ticket){list->last + 1, row});
	return is_read ? list->last | TICKET_READ : list->last;
}

static bool
take(struct ticket_list *list, uint64_t upto, uint64_t *row_r)
{
	const struct ticket *oldest;

	if (list->count == 0)
		return false;
	oldest = list->list + list->first;
	if (oldest->number > upto)
		return false;
	*row_r = oldest->row;
	list->first++;
	list->count--;
	return true;
}

bool
tickets_take(struct tickets *tickets, uint64_t ticket, uint64_t *row_r)
{
	const bool is_read = (ticket & TICKET_READ) != 0;

	return take(is_read ? &tickets->read : &tickets->sent,
	    ticket & ~TICKET_ROWS, row_r);
}

bool
tickets_take_one(struct tickets *tickets, uint64_t ticket, uint64_t *row_r)
{
	struct ticket_list *list = &tickets->sent;
	struct ticket *oldest = list->list + list->first;
	size_t at = list->count;

	while (at > 0 && oldest[at - 1].number > (ticket & ~TICKET_ROWS))
		at--;
	if (at == 0 || oldest[at - 1].number != (ticket & ~TICKET_ROWS))
		return false;
	*row_r = oldest[at - 1].row;
	memmove(oldest + at - 1, oldest + at,
	    (list->count-- - at) * sizeof(*oldest));
	return true;
}

bool
tickets_take_any(struct tickets *tickets, uint64_t *row_r)
{
	return take(&tickets->sent, UINT64_MAX, row_r) ||
	       take(&tickets->read, UINT64_MAX, row_r);
}

uint64_t *
tickets_row(struct tickets *tickets, size_t i)
{
	struct ticket_list *list = &tickets->sent;

	if (i >= list->count) {
		i -= list->count;
		list = &tickets->read;
	}
	return i < list->count ? &list->list[list->first + i].row : NULL;
}

/* --- over a restart ------------------------------------------------------ */

static void
set_number(struct node *node, const char *name, uint64_t number)
{
	node_set_format(node, name, "%llu", (unsigned long long)number);
}

static uint64_t
number_of(const struct node *node, const char *name)
{
	uint64_t number = 0;

	(void)str_to_u64(node_attr(node, name), UINT64_MAX, &number);
	return number;
}

/* What waits behind a place is not in the queue. */
static void
save(const struct ticket_list *list, struct node *node, const char *name,
    const char *ns, uint64_t held)
{
	const uint64_t below = held & ~TICKET_ROWS;

	set_number(node, name, list->last);
	for (size_t i = 0; i < list->count; i++) {
		const struct ticket *each = &list->list[list->first + i];
		struct node *item;

		if (each->number >= below)
			break;
		if (each->row == 0)
			continue;
		item = node_add(node, name, ns);
		set_number(item, "ticket", each->number);
		set_number(item, "id", each->row);
	}
}

void
tickets_save(const struct tickets *tickets, const struct session *session,
    uint64_t bit, struct node *node, const char *ns)
{
	save(&tickets->sent, node, "sent", ns,
	    session_held_ticket(session, bit));
	save(&tickets->read, node, "read", ns,
	    session_held_ticket(session, bit | TICKET_READ));
}

static void
restore(struct ticket_list *list, struct arena *arena, const struct node *node,
    const char *name)
{
	node_each (item, node)
		if (str_equal(item->name, str_of(name)))
			add(list, arena,
			    (struct ticket){number_of(item, "ticket"),
				number_of(item, "id")});
	list->last = number_of(node, name);
}

void
tickets_restore(
    struct tickets *tickets, struct arena *arena, const struct node *node)
{
	restore(&tickets->sent, arena, node, "sent");
	restore(&tickets->read, arena, node, "read");
}
