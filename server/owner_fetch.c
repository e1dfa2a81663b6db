/* Asking for the memory of owners before they are needed. */
#include "base/prefetch.h"
#include "server/owner_private.h"
#include "server/session.h"

void
owner_fetch(struct shard *shard, uint64_t hash)
{
	struct owner *owner =
	    table_entry(table_fetch(&shard->owners, hash), struct owner, link);

	if (owner == NULL)
		return;
	prefetch(&owner->stage);
	prefetch(&account_in(owner)->host);
	prefetch(&account_in(owner)->sessions);
}

void
owner_fetch_rest(struct shard *shard, uint64_t hash)
{
	struct owner *owner =
	    table_entry(table_fetch(&shard->owners, hash), struct owner, link);
	struct session *session;

	if (owner == NULL)
		return;
	prefetch(owner->jid);
	prefetch(account_in(owner)->slots);
	session = list_entry(
	    list_first(&account_in(owner)->sessions), struct session, link);
	prefetch(session);
	if (session != NULL)
		prefetch(&session->held);
}
