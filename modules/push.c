#include "modules/push.h"

#include "base/rand.h"

void
push_send(struct session *session, const struct node *payload)
{
	struct arena *arena = arena_make(0);
	struct stanza *push;

	push = stanza_make(arena, STANZA_IQ, STANZA_SET,
	    account_jid(session->account), session->jid, rand_id(arena, 12));
	node_add_copy(stanza_body(push), payload);
	session_send(session, push);
	arena_free(&arena);
}
