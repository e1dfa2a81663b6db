#include "xml/forward.h"

#include "base/clock.h"
#include "xml/delay.h"

static void
set_address(struct node *node, const char *name, const struct jid *jid)
{
	if (jid != NULL)
		node_set(node, name, jid_full(jid));
}

void
forward_add(struct node *parent, const struct stanza *stanza, struct str from,
    uint64_t time_us)
{
	struct arena *arena = parent->arena;
	struct node *forwarded = node_add(parent, "forwarded", NS_FORWARD);
	struct node *delay = node_add(forwarded, "delay", NS_DELAY);
	struct node *inner = node_copy(arena, stanza->node);

	node_set(delay, "from", from);
	node_set(delay, "stamp", clock_format(arena, time_us));
	set_address(inner, "from", stanza->from);
	set_address(inner, "to", stanza->to);
	node_add_copy(forwarded, inner);
}
