#include "server/keys_job.h"

#include <string.h>
#include <uv.h>

#include "base/err.h"
#include "server/shard.h"

/* Lives in the arena of the wait. */
struct work {
	uv_work_t work;
	struct keys_job *job;
	struct shard *shard;
	struct str password;
	unsigned iterations;
};

static void
run(uv_work_t *on_pool)
{
	struct work *work = container_of(on_pool, struct work, work);
	struct keys_job *job = work->job;

	keys_make(job->arena, work->password, work->iterations, &job->keys);
	explicit_bzero((char *)work->password.text, work->password.len);
}

static void
done(uv_work_t *on_pool, int status)
{
	struct work *work = container_of(on_pool, struct work, work);

	must(status == 0);
	shard_enter(work->shard);
	work->job->done(work->job);
}

void
keys_job_start(struct keys_job *job, struct shard *shard, struct arena *arena,
    struct str password, unsigned iterations,
    void (*on_done)(struct keys_job *))
{
	struct work *work = arena_new(arena, struct work);

	job->done = on_done;
	job->arena = arena;
	work->job = job;
	work->shard = shard;
	work->password = str_dup(arena, password);
	work->iterations = iterations;
	if (shard->loop != NULL &&
	    uv_queue_work(shard->loop, &work->work, run, done) == 0)
		return;
	run(&work->work);
	done(&work->work, 0);
}
