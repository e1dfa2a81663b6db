#include "storage/gate.h"

#include <stdlib.h>

#include "base/err.h"
#include "storage/backend.h"

struct gate {
	struct table_link link;
	struct link spare;
	owner_id owner;
	struct list holds; /* in the order of their writes */
};

void
gates_init(struct gates *gates)
{
	table_init(&gates->table);
	list_init(&gates->spare);
}

void
gates_deinit(struct gates *gates)
{
	struct table_link *link = table_next(&gates->table, NULL);

	while (link != NULL) {
		struct gate *gate = table_entry(link, struct gate, link);

		link = table_next(&gates->table, link);
		free(gate);
	}
	list_each (gate, &gates->spare, struct gate, spare)
		free(gate);
	table_deinit(&gates->table);
	list_init(&gates->spare);
}

static bool
is_of(const struct table_link *link, const void *owner)
{
	return container_of(link, struct gate, link)->owner ==
	       *(const owner_id *)owner;
}

/* Owners are numbered in order, so mixing by one multiplication will do. */
static uint64_t
owner_hash(owner_id owner)
{
	uint64_t mixed = owner * 0x9e3779b97f4a7c15;

	return mixed ^ mixed >> 32;
}

static struct gate *
find(const struct gates *gates, owner_id owner)
{
	return table_entry(
	    table_find(&gates->table, owner_hash(owner), is_of, &owner),
	    struct gate, link);
}

static struct gate *
make(struct gates *gates, owner_id owner)
{
	struct link *spare = list_take_first(&gates->spare);
	struct gate *gate = list_entry(spare, struct gate, spare);

	if (gate == NULL) {
		gate = calloc(1, sizeof(*gate));
		must(gate != NULL);
		list_init(&gate->holds);
	}
	gate->owner = owner;
	table_add(&gates->table, &gate->link, owner_hash(owner));
	return gate;
}

void
gates_hold(struct gates *gates, struct job *write, owner_id owner)
{
	struct gate_hold *hold;

	for (hold = write->holds; hold != NULL; hold = hold->next) {
		if (hold->gate->owner == owner)
			return;
	}
	hold = arena_new(write->arena, struct gate_hold);
	hold->gate = find(gates, owner);
	if (hold->gate == NULL)
		hold->gate = make(gates, owner);
	list_init(&hold->waiting);
	list_add_last(&hold->gate->holds, &hold->link);
	hold->next = write->holds;
	write->holds = hold;
}

/* Who waits for this write waits on for those before it, should it have ended
 * sooner. */
static void
let_go(struct gate_hold *hold, struct list *ready)
{
	struct list *holds = &hold->gate->holds;

	if (list_first(holds) == &hold->link)
		list_move(ready, &hold->waiting);
	else
		list_move(&container_of(hold->link.prev, struct gate_hold, link)
			      ->waiting,
		    &hold->waiting);
	list_remove(&hold->link);
}

void
gates_release(struct gates *gates, struct job *write, struct list *ready)
{
	for (struct gate_hold *hold = write->holds; hold != NULL;
	    hold = hold->next) {
		struct gate *gate = hold->gate;

		let_go(hold, ready);
		if (!list_is_empty(&gate->holds))
			continue;
		table_remove(&gates->table, &gate->link);
		list_add_first(&gates->spare, &gate->spare);
	}
	write->holds = NULL;
}

bool
gates_stop(struct gates *gates, struct job *read)
{
	struct gate *gate;
	struct link *last;

	if (gates->table.count == 0)
		return false;
	gate = find(gates, read->owner);
	if (gate == NULL)
		return false;
	last = list_last(&gate->holds);
	list_add_last(
	    &container_of(last, struct gate_hold, link)->waiting, &read->link);
	return true;
}
