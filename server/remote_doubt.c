/*
 * A path ends whose stream can be resumed (XEP-0198): nobody knows whether what
 * it carried arrived before who opened the stream has resumed it.
 */
#include "base/clock.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"

/* Who resumes a stream has so long from the time that there is another. */
#define DOUBT_MS (15 * SECOND)
#define PAUSE_MS (1 * SECOND)

static void
end_doubt(struct pair *pair, bool is_resumed)
{
	pair->doubt = DOUBT_NONE;
	queue_settle_fates(pair, is_resumed);
}

static void
on_doubt_end(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, doubt_end);

	log_info(&pair->log, "the stream was not resumed in time: what was not "
			     "acknowledged goes again");
	end_doubt(pair, false);
	pair_advance(pair);
}

void
doubt_wait(struct pair *pair)
{
	if (!timer_is_running(&pair->doubt_end))
		timer_start(
		    pair_shard(pair), &pair->doubt_end, DOUBT_MS, on_doubt_end);
}

/* For the peer's sake: it waits for that, and what came on the path would come
 * again. If it did not last, not at once, so that nobody keeps us busy. */
static void
want_resumed(struct pair *pair, const struct path *path, bool has_heard)
{
	if (!path_has_lasted(path) && !has_heard)
		return;
	pair->resume_until_ms = clock_mono_ms() + DOUBT_MS;
	if (!path_has_lasted(path) && !timer_is_running(&pair->retry))
		pair_try_later(pair, PAUSE_MS);
}

void
doubt_begin(
    struct pair *pair, const struct path *path, const struct path_note *note)
{
	if (path->is_out && path == pair->paths)
		pair->resume_until_ms = clock_mono_ms() + DOUBT_MS;
	else if (path->is_out)
		want_resumed(pair, path, note->has_heard);
	if (path != pair->paths || list_is_empty(&pair->sent))
		return;
	pair->doubt = path->is_out ? DOUBT_OURS : DOUBT_THEIRS;
	pair->doubted = path->stream;
	log_info(&pair->log, "the stream broke before all was acknowledged: "
			     "what was not waits for its resumption");
}

void
doubt_weigh(struct pair *pair, const struct path_note *note)
{
	const bool is_it =
	    note->is_resumed && stream_id_equal(note->former, pair->doubted);

	if (note->is_out)
		pair->resume_until_ms = 0;
	else if (pair->resume_until_ms != 0 && pair->path_count == 0)
		pair->resume_until_ms = clock_mono_ms() + DOUBT_MS;
	if (pair->doubt == (note->is_out ? DOUBT_OURS : DOUBT_THEIRS) &&
	    (note->is_out || is_it))
		end_doubt(pair, is_it);
}

/* As long as attempts are made in any case, each is one to resume. */
void
doubt_failed(struct pair *pair, bool is_final)
{
	const bool is_wanted = pair->path_count == 0 &&
			       (!queue_is_empty(pair) || pair->broken_ms != 0);

	if (is_final ||
	    (!is_wanted && clock_mono_ms() >= pair->resume_until_ms))
		pair->resume_until_ms = 0;
	if (pair->path_count > 0 && pair->resume_until_ms == 0 &&
	    pair->doubt == DOUBT_OURS)
		end_doubt(pair, false);
}
