#include "server/remote.h"

#include "server/router.h"

void
remote_take(struct shard *shard, struct post *letter)
{
	router_bounce(shard, letter, STANZA_ERR_REMOTE_SERVER_NOT_FOUND, NULL);
}

void
remote_take_path(struct shard *shard, struct post *letter)
{
	(void)shard;
	post_free(&letter);
}
