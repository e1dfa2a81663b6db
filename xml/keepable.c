#include "xml/keepable.h"

#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"

/* A normal one that says nothing at all is kept (XEP-0160, section 3). */
bool
stanza_is_only_chat_state(const struct stanza *stanza)
{
	bool has_state = stanza->type == STANZA_CHAT;

	if (stanza->type != STANZA_CHAT && stanza->type != STANZA_NORMAL &&
	    stanza->type != STANZA_GROUPCHAT)
		return false;
	node_each (child, stanza->node) {
		if (str_is(child->ns, NS_CHAT_STATES))
			has_state = true;
		else if (!str_is(child->ns, NS_HINTS) &&
			 !str_is(child->name, "thread"))
			return false;
	}
	return has_state;
}

static bool
may_be_kept(const struct stanza *stanza)
{
	return node_child(stanza->node, "no-store", NS_HINTS) == NULL &&
	       !stanza_is_only_chat_state(stanza);
}

bool
stanza_is_keepable(const struct stanza *stanza)
{
	return stanza->kind == STANZA_MESSAGE &&
	       (stanza->type == STANZA_NORMAL || stanza->type == STANZA_CHAT) &&
	       may_be_kept(stanza);
}

bool
stanza_is_keepable_on_its_way(const struct stanza *stanza)
{
	return stanza_is_keepable(stanza) ||
	       (stanza->kind == STANZA_MESSAGE &&
		   stanza->type == STANZA_GROUPCHAT && may_be_kept(stanza));
}
