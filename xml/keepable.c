#include "xml/keepable.h"

#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"

bool
stanza_is_only_chat_state(const struct stanza *stanza)
{
	if (stanza->type != STANZA_CHAT)
		return false;
	node_each (child, stanza->node)
		if (!str_is(child->ns, NS_CHAT_STATES) &&
		    !str_is(child->ns, NS_HINTS) &&
		    !str_is(child->name, "thread"))
			return false;
	return true;
}

bool
stanza_is_keepable(const struct stanza *stanza)
{
	return stanza->kind == STANZA_MESSAGE &&
	       (stanza->type == STANZA_NORMAL || stanza->type == STANZA_CHAT) &&
	       node_child(stanza->node, "no-store", NS_HINTS) == NULL &&
	       !stanza_is_only_chat_state(stanza);
}
