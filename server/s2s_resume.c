/* What outlives a stream that was cut, so that the next one goes on where it
 * stopped: XEP-0198, section 5. */
#include "server/s2s_resume.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/remote.h"
#include "server/setting.h"
#include "server/shard.h"

#define KEPT_MAX 1000 /* of a shard */
/* Of those, with one other domain: it must not push out what is others'. */
#define KEPT_OF_DOMAIN 50
#define KEPT_MS        (5 * MINUTE)
#define RANDOM_LEN     20
/* Receipts of the former stream are waited for so long; by who asks, then by
 * who is asked. Both together stay below what the peer's remote waits. */
#define OWN_PATIENCE_MS (4 * SECOND)
#define PATIENCE_MS     (10 * SECOND)

static void on_patience_end(struct timer *);
static void tell_stream(
    struct shard *, struct post **asked, const struct s2s_kept *);

/* Who waits asks for it now; or begins anew, when it is gone. */
static void
let_go_on(struct shard *shard, struct stream_id waiter)
{
	struct stream *stream =
	    waiter.use == 0 ? NULL : stream_find(shard, waiter);

	if (stream != NULL && !stream->is_ending && !stream->is_gone)
		s2s_sm_may_resume(s2s_of(stream));
}

static void
forget(struct shard *shard, struct s2s_kept *kept)
{
	const struct stream_id waiter = kept->waiter;
	struct arena *arena = kept->arena;

	if (kept->asked != NULL)
		tell_stream(shard, &kept->asked, NULL);
	timer_stop(shard, &kept->patience);
	if (kept->handled.role != NULL)
		handled_stop(&kept->handled);
	list_remove(&kept->link);
	shard->kept_count--;
	arena_free(&arena);
	let_go_on(shard, waiter);
}

static struct list *
all(struct shard *shard)
{
	if (shard->kept.head.next == NULL)
		list_init(&shard->kept);
	return &shard->kept;
}

/* Who asked cannot be told any more: its shard may be gone. */
void
s2s_kept_free(struct shard *shard)
{
	list_each (kept, all(shard), struct s2s_kept, link) {
		post_free(&kept->asked);
		kept->waiter = (struct stream_id){0};
		forget(shard, kept);
	}
}

/* The oldest stand first. */
static void
make_room(struct shard *shard, struct str domain)
{
	struct s2s_kept *oldest = NULL;
	unsigned count = 0;

	list_each (old, all(shard), struct s2s_kept, link) {
		if (old->until_ms > clock_mono_ms() &&
		    shard->kept_count < KEPT_MAX)
			break;
		forget(shard, old);
	}
	list_each (kept, all(shard), struct s2s_kept, link) {
		if (!str_equal(kept->domain, domain))
			continue;
		if (count++ == 0)
			oldest = kept;
	}
	if (count >= KEPT_OF_DOMAIN)
		forget(shard, oldest);
}

static struct s2s_kept *
kept_new(struct shard *shard, struct str id, struct str domain)
{
	struct arena *arena = arena_make(0);
	struct s2s_kept *kept = arena_new(arena, struct s2s_kept);

	make_room(shard, domain);
	kept->arena = arena;
	kept->id = str_dup(arena, id);
	kept->domain = str_dup(arena, domain);
	kept->until_ms = clock_mono_ms() + KEPT_MS;
	list_add_last(all(shard), &kept->link);
	shard->kept_count++;
	return kept;
}

/* Of a stream that the peer opened. */
static struct s2s_kept *
find(struct shard *shard, const struct s2s_kept *asked)
{
	list_each (kept, all(shard), struct s2s_kept, link)
		if (!kept->is_out && str_equal(kept->id, asked->id) &&
		    str_equal(kept->local, asked->local) &&
		    str_equal(kept->domain, asked->domain) &&
		    kept->until_ms > clock_mono_ms())
			return kept;
	return NULL;
}

struct s2s_kept *
s2s_kept_of_pair(struct shard *shard, struct str local, struct str domain)
{
	list_each (kept, all(shard), struct s2s_kept, link)
		if (kept->is_out && kept->id.len > 0 &&
		    str_equal(kept->domain, domain) &&
		    str_equal(kept->local, local) &&
		    kept->until_ms > clock_mono_ms())
			return kept;
	return NULL;
}

static void on_returned(struct handled *);

static const struct handled_role kept_role = {
    .window = HANDLED_WINDOW_SERVER,
    .on_returned = on_returned,
};

uint64_t
s2s_kept_h(const struct s2s_kept *kept)
{
	return kept->handled_before +
	       sm_counted(kept->handled.returned, kept->early);
}

static void
keep_marks(struct s2s_kept *kept, struct s2s *s2s)
{
	list_each (mark, &s2s->marks, struct s2s_mark, link)
		kept->mark_count++;
	kept->marks =
	    arena_array(kept->arena, struct s2s_kept_mark, kept->mark_count);
	kept->mark_count = 0;
	list_each (mark, &s2s->marks, struct s2s_mark, link)
		kept->marks[kept->mark_count++] = (struct s2s_kept_mark){
		    mark->ticket, mark->sent - s2s->sent_before};
}

/* What is kept knows a stream by the pair that it was opened for, and what its
 * peer has is told of that. */
static bool
is_of_its_pair(const struct s2s *s2s)
{
	const struct str local = s2s->stream.host_name;

	list_each (path, &s2s->paths, struct s2s_path, link)
		if (!str_equal(path->local, local))
			return false;
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (!str_equal(right->local, local))
			return false;
	return s2s->right_count <= 1;
}

bool
s2s_keep(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct shard *shard = stream->shard;
	const bool can_resume = s2s->sm_id.len > 0;
	struct s2s_kept *kept;

	if (!is_of_its_pair(s2s) || shard->is_draining ||
	    (!can_resume && (s2s->has_acks || list_is_empty(&s2s->marks))))
		return false;
	kept = kept_new(shard, s2s->sm_id,
	    s2s->is_out ? stream->target : jid_full(stream->peer));
	kept->stream = stream->id;
	kept->is_out = s2s->is_out;
	kept->local = str_dup(kept->arena, stream->host_name);
	keep_marks(kept, s2s);
	if (!can_resume)
		return false;
	kept->early = s2s->early;
	kept->handled_before = s2s->handled_before;
	handled_move(&kept->handled, &s2s->handled, &kept_role);
	s2s->handled = (struct handled){0};
	kept->sent = s2s->sent - s2s->sent_before;
	return true;
}

void
s2s_kept_pong(struct shard *shard, const struct post *letter)
{
	uint64_t ticket = 0;

	list_each (kept, all(shard), struct s2s_kept, link) {
		if (kept->id.len > 0 ||
		    kept->stream.slot != letter->stream.slot ||
		    kept->stream.use != letter->stream.use ||
		    !str_equal(kept->domain, jid_full(letter->to)))
			continue;
		for (size_t i = 0; i < kept->mark_count; i++)
			if (kept->marks[i].sent <= letter->ticket)
				ticket = kept->marks[i].ticket;
		if (ticket > 0)
			remote_tell_acked(
			    shard, kept->local, kept->domain, ticket);
		return;
	}
}

struct str
s2s_kept_id(struct s2s *s2s)
{
	struct arena *arena = s2s->stream.arena;

	return str_format(arena, "%u-%s", s2s->stream.shard->index,
	    rand_id(arena, RANDOM_LEN).text);
}

bool
s2s_go_on(struct s2s *s2s, const struct s2s_kept *kept, uint64_t h)
{
	const uint64_t behind = (uint32_t)((uint32_t)kept->sent - (uint32_t)h);
	uint64_t acked, ticket = 0;

	if (behind > kept->sent)
		return false;
	acked = kept->sent - behind;
	for (size_t i = 0; i < kept->mark_count; i++)
		if (kept->marks[i].sent <= acked)
			ticket = kept->marks[i].ticket;
	if (ticket > 0)
		remote_tell_acked(
		    s2s->stream.shard, kept->local, kept->domain, ticket);
	s2s->has_acks = true;
	s2s->is_resumed = true;
	s2s->resumed = kept->stream;
	/* What this stream sends counts from there. */
	s2s->sent_before = s2s->sent - acked;
	s2s_begin_marks(s2s);
	s2s->sm_id = str_dup(s2s->stream.arena, kept->id);
	return true;
}

struct s2s_kept *
s2s_kept_former(const struct s2s *s2s)
{
	const struct stream *stream = &s2s->stream;
	struct s2s_kept *kept =
	    s2s_kept_of_pair(stream->shard, stream->host_name, stream->target);

	return kept != NULL && str_equal(kept->id, s2s->former) ? kept : NULL;
}

void
s2s_forget(struct s2s *s2s)
{
	struct s2s_kept *kept = s2s_kept_former(s2s);

	if (kept == NULL)
		return;
	kept->waiter = (struct stream_id){0};
	forget(s2s->stream.shard, kept);
}

/* --- between shards ------------------------------------------------------- */

bool
s2s_ask_kept(struct s2s *s2s, struct str id)
{
	struct shard *shard = s2s->stream.shard;
	struct post *letter;
	struct s2s_resume *resume;
	struct str number, rest;
	uint64_t index;

	if (!str_cut(id, '-', &number, &rest) ||
	    !str_to_u64(number, shard->server->shard_count - 1, &index))
		return false;
	letter = post_new(POST_RESUME, NULL);
	resume = arena_new(letter->arena, struct s2s_resume);
	resume->kept.id = str_dup(letter->arena, id);
	resume->kept.local = str_dup(letter->arena, s2s->stream.host_name);
	resume->kept.domain =
	    str_dup(letter->arena, jid_full(s2s->stream.peer));
	letter->resume = resume;
	letter->stream = s2s->stream.id;
	letter->ticket = shard->server->shard_count - 1;
	post_send_to(shard, (unsigned)index, letter);
	return true;
}

static bool
is_former(const struct stream *stream, const struct s2s_kept *asked)
{
	const struct s2s *s2s = container_of(stream, struct s2s, stream);

	return stream->role->is_of_servers && !stream->is_gone &&
	       !s2s->is_out && str_equal(s2s->sm_id, asked->id) &&
	       str_equal(stream->host_name, asked->local) &&
	       str_equal(jid_full(stream->peer), asked->domain);
}

/* Section 5: a stream that seems to be there still has ended for its peer. */
static void
end_former(struct shard *shard, const struct s2s_kept *asked)
{
	struct stream *stream = NULL;

	while ((stream = stream_next(shard, stream)) != NULL) {
		if (!is_former(stream, asked))
			continue;
		stream_fail(stream, STREAM_ERR_CONFLICT, "resumed elsewhere");
		return;
	}
}

/* NULL: nothing is known of it. */
static void
tell_stream(
    struct shard *shard, struct post **asked, const struct s2s_kept *kept)
{
	const struct s2s_kept *named = &(*asked)->resume->kept;
	struct post *letter = post_new(POST_RESUMED, NULL);
	struct s2s_resume *found = arena_new(letter->arena, struct s2s_resume);

	found->is_known = kept != NULL;
	found->kept.id = str_dup(letter->arena, named->id);
	found->kept.local = str_dup(letter->arena, named->local);
	found->kept.domain = str_dup(letter->arena, named->domain);
	if (kept != NULL) {
		found->taken = s2s_kept_h(kept);
		found->kept.stream = kept->stream;
		found->kept.sent = kept->sent;
		found->kept.mark_count = kept->mark_count;
		found->kept.marks = arena_array(
		    letter->arena, struct s2s_kept_mark, kept->mark_count);
		for (size_t i = 0; i < kept->mark_count; i++)
			found->kept.marks[i] = kept->marks[i];
	}
	letter->resume = found;
	letter->stream = (*asked)->stream;
	post_send(shard, letter);
	post_free(asked);
}

void
s2s_resume_missed(struct shard *shard, const struct post *letter)
{
	const struct s2s_kept *told = &letter->resume->kept;
	struct s2s_kept *kept;

	if (!letter->resume->is_known || shard->is_draining)
		return;
	kept = kept_new(shard, told->id, told->domain);
	kept->local = str_dup(kept->arena, told->local);
	kept->stream = told->stream;
	kept->sent = told->sent;
	kept->handled_before = letter->resume->taken;
	kept->mark_count = told->mark_count;
	kept->marks =
	    arena_array(kept->arena, struct s2s_kept_mark, told->mark_count);
	for (size_t i = 0; i < told->mark_count; i++)
		kept->marks[i] = told->marks[i];
}

static void
go_on(struct shard *shard, struct s2s_kept *kept)
{
	const struct stream_id waiter = kept->waiter;

	if (!kept->is_out) {
		tell_stream(shard, &kept->asked, kept);
		forget(shard, kept);
		return;
	}
	kept->waiter = (struct stream_id){0};
	timer_stop(shard, &kept->patience);
	let_go_on(shard, waiter);
}

bool
s2s_kept_is_done(struct s2s *s2s, struct s2s_kept *kept)
{
	if (handled_open(&kept->handled) == 0)
		return true;
	kept->waiter = s2s->stream.id;
	timer_start(s2s->stream.shard, &kept->patience, OWN_PATIENCE_MS,
	    on_patience_end);
	return false;
}

/* What is still open then comes again. */
static void
on_patience_end(struct timer *timer)
{
	go_on(shard_current(), container_of(timer, struct s2s_kept, patience));
}

static void
on_returned(struct handled *handled)
{
	struct s2s_kept *kept = container_of(handled, struct s2s_kept, handled);

	if ((kept->asked != NULL || kept->waiter.use != 0) &&
	    handled_open(handled) == 0)
		go_on(handled->shard, kept);
}

/* The stream was resumed before, on another shard than the id names. */
static void
ask_next(struct shard *shard, struct post *letter)
{
	if (letter->ticket == 0) {
		tell_stream(shard, &letter, NULL);
		return;
	}
	letter->ticket--;
	post_send_to(
	    shard, (shard->index + 1) % shard->server->shard_count, letter);
}

/* What came on the former stream is done with first: else it would come
 * again. */
void
s2s_take_resume(struct shard *shard, struct post *letter)
{
	const struct s2s_kept *asked = &letter->resume->kept;
	struct s2s_kept *kept;

	end_former(shard, asked);
	kept = find(shard, asked);
	if (kept == NULL) {
		ask_next(shard, letter);
		return;
	}
	if (kept->asked != NULL)
		tell_stream(shard, &kept->asked, NULL);
	kept->asked = letter;
	if (handled_open(&kept->handled) == 0)
		go_on(shard, kept);
	else
		timer_start(
		    shard, &kept->patience, PATIENCE_MS, on_patience_end);
}
