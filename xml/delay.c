#include "xml/delay.h"

#include "base/clock.h"

struct stanza *
delay_add(struct arena *arena, const struct stanza *stanza, struct str from,
    uint64_t time_us)
{
	struct stanza *late = arena_new(arena, struct stanza);
	struct node *node = node_copy(arena, stanza->node);
	struct node *delay = node_add(node, "delay", NS_DELAY);

	if (from.len > 0)
		node_set(delay, "from", str_dup(arena, from));
	node_set(delay, "stamp", clock_format(arena, time_us));
	*late = *stanza;
	late->node = node;
	return late;
}

bool
delay_is_by(const struct node *node, struct str from)
{
	return node_is(node, "delay", NS_DELAY) &&
	       str_equal(node_attr(node, "from"), from);
}

bool
delay_has(const struct stanza *stanza, struct str from)
{
	node_each (child, stanza->node)
		if (delay_is_by(child, from))
			return true;
	return false;
}
