#include "modules/tickets.h"

#include <string.h>

#define ROOM_FIRST 8

static void
grow(struct tickets *tickets, struct arena *arena)
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
make_room(struct tickets *tickets, struct arena *arena)
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
add(struct tickets *tickets, struct arena *arena, struct ticket ticket)
{
	make_room(tickets, arena);
	tickets->list[tickets->first + tickets->count++] = ticket;
	tickets->last = ticket.number;
}

uint64_t
tickets_add(struct tickets *tickets, struct arena *arena, uint64_t row)
{
	add(tickets, arena, (struct ticket){tickets->last + 1, row});
	return tickets->last;
}

bool
tickets_take(struct tickets *tickets, uint64_t upto, uint64_t *row_r)
{
	const struct ticket *oldest;

	if (tickets->count == 0)
		return false;
	oldest = tickets->list + tickets->first;
	if (oldest->number > upto)
		return false;
	*row_r = oldest->row;
	tickets->first++;
	tickets->count--;
	return true;
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

void
tickets_save(const struct tickets *tickets, struct node *node, const char *ns,
    uint64_t below)
{
	set_number(node, "tickets", tickets->last);
	for (size_t i = 0; i < tickets->count; i++) {
		const struct ticket *each = &tickets->list[tickets->first + i];
		struct node *item;

		if (each->number >= below)
			break;
		item = node_add(node, "sent", ns);
		set_number(item, "ticket", each->number);
		set_number(item, "id", each->row);
	}
}

void
tickets_restore(
    struct tickets *tickets, struct arena *arena, const struct node *node)
{
	node_each (item, node) {
		const struct ticket ticket = {
		    number_of(item, "ticket"), number_of(item, "id")};

		if (ticket.row != 0)
			add(tickets, arena, ticket);
	}
	tickets->last = number_of(node, "tickets");
}
