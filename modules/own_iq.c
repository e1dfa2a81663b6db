#include "modules/own_iq.h"

#include "base/rand.h"

static const struct stanza *
make(struct arena *arena, struct session *session, const struct node *payload)
{
	struct stanza *push;

	push = stanza_make(arena, STANZA_IQ, STANZA_SET,
	    account_jid(session->account), session->jid, rand_id(arena, 12));
	node_add_copy(stanza_body(push), payload);
	return push;
}

void
own_iq_send(struct session *session, const struct node *payload)
{
	struct arena *arena = arena_make(0);

	session_send(session, make(arena, session, payload));
	arena_free(&arena);
}

void
own_iq_fill(struct session *session, unsigned place, const struct node *payload)
{
	struct arena *arena = arena_make(0);

	session_fill(session, place, make(arena, session, payload), 0);
	arena_free(&arena);
}
