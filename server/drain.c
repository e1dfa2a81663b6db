#include "server/drain.h"

#include "server/account.h"
#include "server/iq.h"
#include "server/owner.h"
#include "server/remote.h"
#include "server/resume_private.h"

static struct resume *
next_resume(struct shard *shard, struct resume *resume)
{
	struct handled *handled = handled_next(
	    shard, &resume_handled, resume == NULL ? NULL : &resume->handled);

	return handled == NULL ? NULL
			       : container_of(handled, struct resume, handled);
}

void
drain_answer(struct shard *shard)
{
	shard->is_draining = true;
	remote_give_up_iqs(shard);
}

bool
drain_is_asked(const struct shard *shard)
{
	return !list_is_empty(&shard->iqs);
}

void
drain_give_up(struct shard *shard)
{
	remote_give_up_iqs(shard);
	owner_give_up_iqs(shard);
	iq_give_up(shard);
}

void
drain_begin(struct shard *shard)
{
	struct resume *resume = NULL;

	remote_give_up_iqs(shard);
	account_drain_all(shard);
	remote_keep_all(shard);
	while ((resume = next_resume(shard, resume)) != NULL)
		resume_hurry(resume);
}

bool
drain_is_open(struct shard *shard)
{
	return handled_is_open(shard, &resume_handled);
}
