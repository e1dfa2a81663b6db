#include "server/drain.h"

#include "server/account.h"
#include "server/remote.h"
#include "server/resume_private.h"

static struct resume *
next_resume(struct shard *shard, const struct resume *resume)
{
	return table_entry(
	    table_next(&shard->resumes, resume == NULL ? NULL : &resume->link),
	    struct resume, link);
}

void
drain_begin(struct shard *shard)
{
	struct resume *resume = NULL;

	account_drain_all(shard);
	remote_keep_all(shard);
	while ((resume = next_resume(shard, resume)) != NULL)
		resume_hurry(resume);
}

bool
drain_is_open(struct shard *shard)
{
	struct resume *resume = NULL;

	while ((resume = next_resume(shard, resume)) != NULL)
		if (resume->settled != resume->taken)
			return true;
	return false;
}
