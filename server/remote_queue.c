#include "server/remote_queue.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "server/component.h"
#include "server/metrics.h"
#include "server/policy.h"
#include "server/remote_private.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/settle.h"
#include "server/setup.h"
#include "xml/delay.h"
#include "xml/keepable.h"

#define BYTES_MAX ((size_t)16 * 1024 * 1024)
/* With what comes from the log of an earlier run. */
#define DURABLE_BYTES_MAX (4 * BYTES_MAX)
#define SCRATCH_KEPT      ((size_t)64 * 1024)

/* What waited so long says since when (XEP-0203). */
#define LATE_MS (10 * SECOND)

#define FULL_TOLD_MS (1 * MINUTE)
/* Where more are silent, not even messages wait for strangers that cut us off:
 * the rest is for whom nobody has answered yet. */
#define PROMISING_MAX (SILENT_MAX / 4 * 3)

#define STOPPED "the server is being stopped"
#define LOST                                                    \
	"the stream broke before an answer came; nobody knows " \
	"whether the request was carried out"

static void on_sweep(struct timer *);
static void sender_sure(struct outbox_wait *);

/* --- answers -------------------------------------------------------------- */

/* Presence that got lost is no news to anybody, but for a request, whose sender
 * waits. */
bool
queue_answers(const struct post *letter)
{
	return letter->kind == POST_STANZA &&
	       (letter->stanza->kind != STANZA_PRESENCE ||
		   letter->stanza->type == STANZA_SUBSCRIBE) &&
	       stanza_may_fail(letter->stanza);
}

static bool
is_question(const struct post *letter)
{
	return letter->stanza->kind == STANZA_IQ && queue_answers(letter);
}

/* Whether it is an iq that waits for an answer. */
static bool
is_request(const struct post *letter)
{
	return letter->kind == POST_STANZA &&
	       letter->stanza->kind == STANZA_IQ &&
	       (letter->stanza->type == STANZA_GET ||
		   letter->stanza->type == STANZA_SET);
}

/* One that, sent again, might be carried out twice. */
static bool
is_lost(const struct entry *entry)
{
	return entry->fate == FATE_LOST && is_request(entry->letter) &&
	       entry->letter->stanza->type == STANZA_SET;
}

/* Nobody who asks much must make all answers costly to find. */
static uint64_t
answer_hash(struct str id, const struct jid *asker, const struct jid *asked)
{
	return hash_keyed(id) + 3 * hash_keyed(jid_full(asker)) +
	       5 * hash_keyed(jid_full(asked));
}

void
queue_refuse(struct pair *pair, struct post *letter, enum stanza_err err,
    const char *text)
{
	struct shard *shard = pair_shard(pair);

	if (!queue_answers(letter)) {
		pair->counters.dropped++;
		metric_add(shard, METRIC_S2S_DROPPED, 1);
		outbox_drop(shard, letter->durable);
		post_free(&letter);
		return;
	}
	pair->counters.bounced++;
	metric_add(shard, METRIC_S2S_BOUNCED, 1);
	outbox_bounce(
	    shard, letter, err, arena_dup(letter->arena, text, strlen(text)));
}

/* --- in ------------------------------------------------------------------- */

/* Domains may have settings of their own. */
static unsigned
index_of(const struct pair *pair, const struct setting *setting)
{
	return policy_index(pair_shard(pair)->setup, NULL,
	    jid_domain(pair->remote->domain), setting);
}

size_t
queue_max(const struct pair *pair)
{
	return (size_t)config_int(setup_config(pair_shard(pair)->setup),
	    index_of(pair, SETTING(S2S_QUEUE)), SETTING(S2S_QUEUE));
}

/* Strangers can make any number of answers wait: they leave room for what is
 * worth to be kept. */
static bool
has_room(const struct pair *pair, const struct post *letter)
{
	const bool is_answer = queue_is_answer(letter);
	const size_t max = is_answer ? SILENT_BYTES_MAX / 2 : SILENT_BYTES_MAX;

	if ((pair->path_count == 0 || (is_answer && !pair->is_acquainted)) &&
	    pair_shard(pair)->remotes->bytes >= max)
		return false;
	return pair->bytes < BYTES_MAX && pair->count < queue_max(pair);
}

/* When it came, also before a restart; but a minute, which presence waits, may
 * be less than the restart took. */
static void
set_age(struct entry *entry)
{
	const uint64_t now_us = clock_wall_us(), now_ms = clock_mono_ms();
	const uint64_t since_us = entry->letter->durable.since_us;
	uint64_t age_ms = 0;

	if (since_us != 0 && since_us < now_us)
		age_ms = (now_us - since_us) / 1000;
	if (entry->letter->stanza->kind == STANZA_PRESENCE &&
	    age_ms < GIVE_UP_MS)
		age_ms = 0;
	entry->since_us = now_us - age_ms * 1000;
	entry->since_ms = age_ms < now_ms ? now_ms - age_ms : 0;
}

/* It was acknowledged to its sender, or will be. */
static bool
is_promised(const struct entry *entry)
{
	return entry->letter->stanza->kind == STANZA_MESSAGE &&
	       (entry->is_keepable || entry->letter->durable.row != 0);
}

static uint64_t
hold_ms(const struct entry *entry)
{
	const struct setting *setting =
	    entry->letter->stanza->kind == STANZA_MESSAGE
		? SETTING(S2S_HOLD_MESSAGES)
		: SETTING(S2S_HOLD_OTHERS);

	if (entry->pair->gives_way && pair_is_in_crowd(entry->pair) &&
	    (!is_promised(entry) ||
		pair_shard(entry->pair)->remotes->silent_count > PROMISING_MAX))
		return 0;
	return config_ms(setup_config(pair_shard(entry->pair)->setup),
	    index_of(entry->pair, setting), setting);
}

static void
sweep_at(struct pair *pair, uint64_t due_ms)
{
	const uint64_t now = clock_mono_ms();

	if (timer_is_running(&pair->sweep) && pair->sweep.due_ms <= due_ms)
		return;
	timer_start(pair_shard(pair), &pair->sweep,
	    due_ms > now ? due_ms - now : 0, on_sweep);
}

static void
add(struct pair *pair, struct post *letter)
{
	struct entry *entry = arena_new(letter->arena, struct entry);

	blob_unref(&letter->blob);
	entry->pair = pair;
	entry->letter = letter;
	entry->ticket = ++pair->last_ticket;
	entry->bytes = arena_len(letter->arena);
	entry->is_keepable = letter->kind == POST_STANZA &&
			     letter->durable.row == 0 &&
			     stanza_is_keepable_on_its_way(letter->stanza);
	entry->is_kept = letter->durable.row != 0 && letter->durable.is_sure;
	set_age(entry);
	list_add_last(&pair->waits, &entry->link);
	metric_add(pair_shard(pair), METRIC_S2S_QUEUED, 1);
	pair->count++;
	if (is_request(letter))
		table_add(&pair->requests, &entry->request,
		    answer_hash(letter->stanza->id, letter->stanza->from,
			letter->stanza->to));
	pair->bytes += entry->bytes;
	pair_shard(pair)->remotes->bytes += entry->bytes;
	if (letter->durable.row != 0 && !letter->durable.is_sure) {
		entry->is_unsure = true;
		outbox_wait(
		    pair_shard(pair), &entry->wait, letter, sender_sure);
	}
	if (entry->is_keepable)
		keep_watch(entry);
	else
		receipt_settle(pair_shard(pair), &letter->receipt);
	if (pair->path_count == 0)
		sweep_at(pair, entry->since_ms + hold_ms(entry));
}

bool
queue_tells_full(uint64_t *told_ms)
{
	const uint64_t now = clock_mono_ms();

	if (*told_ms != 0 && now < *told_ms + FULL_TOLD_MS)
		return false;
	*told_ms = now;
	return true;
}

static void
refuse_the_last(struct pair *pair, struct post *letter)
{
	if (queue_tells_full(&pair->full_told_ms))
		log_warn(&pair->log,
		    "no room for what is sent there: %zu stanzas wait already, "
		    "with %zu bytes",
		    pair->count, pair->bytes);
	owed_miss(pair, letter);
	queue_refuse(pair, letter, STANZA_ERR_RESOURCE_CONSTRAINT,
	    "too much waits for that server already");
}

/* What is durable has been promised already, but not without end. */
static bool
has_room_for(const struct pair *pair, const struct post *letter)
{
	return letter->durable.row != 0 &&
		       (pair->is_acquainted || !queue_is_answer(letter))
		   ? pair->bytes < DURABLE_BYTES_MAX
		   : has_room(pair, letter);
}

void
queue_add(struct pair *pair, struct post *letter)
{
	if (pair_is_component(pair) && pair->path_count == 0 &&
	    letter->stanza->kind == STANZA_IQ)
		queue_refuse(pair, letter, STANZA_ERR_SERVICE_UNAVAILABLE,
		    "the component is not connected");
	else if (pair->path_count == 0 && pair_shard(pair)->is_draining &&
		 is_question(letter))
		queue_refuse(
		    pair, letter, STANZA_ERR_REMOTE_SERVER_TIMEOUT, STOPPED);
	else if (has_room_for(pair, letter))
		add(pair, letter);
	else
		refuse_the_last(pair, letter);
}

/* --- out ------------------------------------------------------------------ */

static struct post *
take(struct entry *entry)
{
	struct pair *pair = entry->pair;

	list_remove(&entry->link);
	metric_add(pair_shard(pair), METRIC_S2S_QUEUED, -1);
	pair->count--;
	if (is_request(entry->letter) && !entry->is_answered)
		table_remove(&pair->requests, &entry->request);
	pair->bytes -= entry->bytes;
	pair_shard(pair)->remotes->bytes -= entry->bytes;
	return entry->letter;
}

static void
sender_sure(struct outbox_wait *wait)
{
	struct entry *entry = container_of(wait, struct entry, wait);
	struct pair *pair = entry->pair;
	struct post *letter = entry->letter;

	entry->is_unsure = false;
	letter->durable.is_sure = true;
	entry->is_kept = wait->err == ERR_NONE;
	if (wait->err != ERR_NONE) {
		take(entry);
		post_free(&letter);
	} else if (pair->path_count == 0) {
		sweep_at(pair, entry->since_ms + hold_ms(entry));
	}
	/* Others stand behind it. */
	pair_advance(pair);
}

static bool
is_late(const struct entry *entry)
{
	const struct post *letter = entry->letter;

	return letter->kind == POST_STANZA &&
	       letter->stanza->kind == STANZA_MESSAGE &&
	       letter->stanza->type != STANZA_ERROR &&
	       clock_mono_ms() >= entry->since_ms + LATE_MS &&
	       !delay_has(letter->stanza, entry->pair->local);
}

/* What comes back, when it does, is as it was sent. */
static void
serialise(struct pair *pair, struct entry *entry)
{
	struct shard *shard = pair_shard(pair);
	struct post *letter = entry->letter;
	struct stanza bare = *letter->stanza;

	blob_unref(&letter->blob);
	entry->is_late = is_late(entry);
	if (entry->is_late)
		bare = *delay_add(letter->arena, letter->stanza, pair->local,
		    entry->since_us);
	bare.to = NULL;
	buf_clear(&shard->scratch, SCRATCH_KEPT);
	stanza_write(&shard->scratch, &bare,
	    pair_is_component(pair) ? STR(NS_COMPONENT) : STR(NS_SERVER),
	    STR_NONE);
	letter->blob = blob_new(buf_str(&shard->scratch));
}

static struct post *
letter_down(const struct entry *entry)
{
	const struct post *letter = entry->letter;
	struct post *down = post_new(POST_DOWN, NULL);
	struct path_note *note = arena_new(down->arena, struct path_note);
	const bool is_many = letter->kind == POST_MANY;
	const size_t count = is_many ? letter->receiver_count : 1;
	const struct jid **receivers =
	    arena_array(down->arena, const struct jid *, count);

	for (size_t i = 0; i < count; i++)
		receivers[i] = jid_copy(down->arena,
		    is_many ? letter->receivers[i] : letter->stanza->to);
	note->local = str_dup(down->arena, entry->pair->local);
	down->path = note;
	down->receivers = receivers;
	down->receiver_count = count;
	down->blob = blob_ref(letter->blob);
	down->stream = entry->pair->paths[0].stream;
	down->ticket = entry->ticket;
	return down;
}

/* XEP-0478: what the peer would not take, it need not see. */
static bool
is_too_large(const struct entry *entry)
{
	const uint64_t max = entry->pair->paths[0].max_bytes;
	const struct post *letter = entry->letter;
	size_t to_len = 0;

	if (max == 0)
		return false;
	if (letter->kind == POST_STANZA)
		to_len = jid_full(letter->stanza->to).len;
	return blob_str(letter->blob).len + to_len + sizeof(" to=''") > max;
}

static size_t
receivers(const struct post *letter)
{
	return letter->kind == POST_MANY ? letter->receiver_count : 1;
}

static void
send_entry(struct entry *entry)
{
	struct pair *pair = entry->pair;
	const struct post *letter = entry->letter;

	list_remove(&entry->link);
	list_add_last(&pair->sent, &entry->link);
	entry->sent_bytes = blob_str(letter->blob).len * receivers(letter);
	pair->window += entry->sent_bytes;
	post_send(pair_shard(pair), letter_down(entry));
}

/* A connection that is given more than it takes is given up, and all would
 * begin anew: so the rest goes when some of it was acknowledged. */
void
queue_send(struct pair *pair)
{
	list_each (entry, &pair->waits, struct entry, link) {
		if (entry->is_unsure || pair->window >= WINDOW_BYTES)
			return;
		if (entry->letter->blob == NULL ||
		    is_late(entry) != entry->is_late)
			serialise(pair, entry);
		if (is_too_large(entry)) {
			queue_refuse(pair, take(entry),
			    STANZA_ERR_POLICY_VIOLATION,
			    "larger than that server takes");
			continue;
		}
		send_entry(entry);
	}
}

/* Presence makes acquainted, but not what answers strangers. */
static bool
is_greeting(const struct stanza *stanza)
{
	return stanza->kind == STANZA_PRESENCE &&
	       stanza->type != STANZA_ERROR &&
	       stanza->type != STANZA_UNSUBSCRIBED;
}

/* One that arrived; its row goes with the write. */
static void
end_entry(struct entry *entry, struct store_write **write)
{
	struct pair *pair = entry->pair;
	struct post *letter = take(entry);
	const size_t count = receivers(letter);

	if (!pair->is_acquainted && is_greeting(letter->stanza))
		link_meet(pair);

	pair->window -= entry->sent_bytes;
	pair->counters.sent += count;
	metric_add(pair_shard(pair), METRIC_S2S_SENT, (int64_t)count);
	if (letter->durable.row != 0 && *write == NULL)
		*write = store_write_new(pair_shard(pair)->store);
	if (letter->durable.row != 0)
		outbox_remove(*write, letter->durable);
	post_free(&letter);
}

static void
forget_answered(struct entry *entry)
{
	struct store_write *write = NULL;

	end_entry(entry, &write);
	if (write != NULL)
		store_commit_lazy(write, NULL, NULL);
}

void
queue_acked(struct pair *pair, uint64_t ticket)
{
	struct store_write *write = NULL;

	list_each (entry, &pair->sent, struct entry, link) {
		if (entry->ticket > ticket)
			break;
		pair->is_fruitful = true;
		end_entry(entry, &write);
	}
	/* A stream that is resumed had it, although it waits again, or waited
	 * too long. */
	list_each (entry, &pair->waits, struct entry, link) {
		if (entry->ticket > ticket)
			break;
		end_entry(entry, &write);
	}
	list_each (entry, &pair->owed, struct entry, link) {
		if (entry->ticket > ticket)
			break;
		owed_remove(entry);
		end_entry(entry, &write);
	}
	if (write != NULL)
		store_commit_lazy(write, NULL, NULL);
}

static void
lose(struct entry *entry)
{
	list_remove(&entry->link);
	list_add_last(&entry->pair->undecided, &entry->link);
	entry->sent_bytes = 0;
	sweep_at(entry->pair, entry->since_ms + hold_ms(entry));
}

static void
leave_open(struct pair *pair, bool can_resume)
{
	list_each (entry, &pair->sent, struct entry, link) {
		entry->fate = can_resume ? FATE_OPEN : FATE_LOST;
		if (entry->is_answered)
			forget_answered(entry);
		else if (is_lost(entry))
			lose(entry);
	}
}

void
queue_unsend(struct pair *pair, bool can_resume)
{
	struct list later;

	leave_open(pair, can_resume);

	list_init(&later);
	list_move(&later, &pair->waits);
	list_move(&pair->waits, &pair->sent);
	list_move(&pair->waits, &later);
	pair->window = 0;
	list_each (entry, &pair->waits, struct entry, link) {
		entry->sent_bytes = 0;
		sweep_at(pair, entry->since_ms + hold_ms(entry));
	}
}

void
queue_settle_fates(struct pair *pair, bool is_resumed)
{
	list_each (entry, &pair->waits, struct entry, link) {
		if (entry->fate != FATE_OPEN)
			continue;
		entry->fate = is_resumed ? FATE_NONE : FATE_LOST;
		if (is_lost(entry))
			lose(entry);
	}
	list_each (entry, &pair->owed, struct entry, link)
		entry->fate = FATE_NONE;
}

static bool
is_answered_by(const struct table_link *link, const void *key)
{
	const struct entry *entry =
	    container_of(link, const struct entry, request);
	const struct stanza *asked = entry->letter->stanza, *answer = key;

	return str_equal(asked->id, answer->id) &&
	       jid_equal(asked->from, answer->to) &&
	       jid_equal(asked->to, answer->from);
}

static void
be_answered(struct entry *entry)
{
	const bool is_sent = entry->sent_bytes > 0;

	if (!is_sent) {
		forget_answered(entry);
		return;
	}
	table_remove(&entry->pair->requests, &entry->request);
	entry->is_answered = true;
}

void
queue_answered(struct pair *pair, const struct stanza *answer)
{
	struct table_link *link;
	uint64_t hash;

	if (pair->requests.count == 0)
		return;
	hash = answer_hash(answer->id, answer->to, answer->from);
	while ((link = table_find(
		    &pair->requests, hash, is_answered_by, answer)) != NULL)
		be_answered(container_of(link, struct entry, request));
}

/* --- what waits too long -------------------------------------------------- */

static const char *
reason(const struct pair *pair, struct arena *arena, bool is_all)
{
	struct str domain = jid_full(pair->remote->domain);
	struct str why = pair->why;

	if (why.len == 0)
		why = STR("it does not answer");
	return str_format(arena, "%.*s %s: %.*s", STR_ARG(domain),
	    is_all ? "cannot be reached" : "could not be reached in time",
	    STR_ARG(why))
	    .text;
}

/* Ends its wait when its time is up, or must be. */
static void
sweep(struct entry *entry, bool is_all, enum stanza_err err, const char *text)
{
	const uint64_t due = entry->since_ms + hold_ms(entry);

	if (!is_all && due > clock_mono_ms())
		sweep_at(entry->pair, due);
	else if (!owed_take(entry))
		queue_refuse(entry->pair, take(entry), err, text);
}

static void
sweep_waits(struct pair *pair, bool is_all)
{
	struct arena *arena = arena_make(0);
	const char *text = reason(pair, arena, is_all);
	const enum stanza_err err =
	    is_all ? pair->err : STANZA_ERR_REMOTE_SERVER_TIMEOUT;

	list_each (entry, &pair->waits, struct entry, link)
		if (!entry->is_unsure)
			sweep(entry, is_all, err, text);
	arena_free(&arena);
}

void
queue_sweep(struct pair *pair, bool is_all)
{
	list_each (entry, &pair->undecided, struct entry, link)
		sweep(entry, is_all, STANZA_ERR_REMOTE_SERVER_TIMEOUT, LOST);
	if (pair->path_count == 0)
		sweep_waits(pair, is_all);
}

bool
queue_is_answer(const struct post *letter)
{
	const enum stanza_type type = letter->stanza->type;

	return type == STANZA_ERROR || type == STANZA_RESULT ||
	       type == STANZA_UNSUBSCRIBED;
}

bool
queue_only_answers(const struct pair *pair)
{
	list_each (entry, &pair->waits, struct entry, link)
		if (!queue_is_answer(entry->letter))
			return false;
	return true;
}

void
queue_give_up_iqs(struct pair *pair)
{
	list_each (entry, &pair->undecided, struct entry, link)
		queue_refuse(pair, take(entry),
		    STANZA_ERR_REMOTE_SERVER_TIMEOUT, STOPPED);
	list_each (entry, &pair->waits, struct entry, link)
		if (is_question(entry->letter))
			queue_refuse(pair, take(entry),
			    STANZA_ERR_REMOTE_SERVER_TIMEOUT, STOPPED);
}

static void
on_sweep(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, sweep);

	queue_sweep(pair, false);
	pair_advance(pair);
}

static void
free_all(struct shard *shard, struct list *entries)
{
	list_each (entry, entries, struct entry, link) {
		struct post *letter = take(entry);

		if (entry->is_unsure)
			outbox_unwait(shard, &entry->wait);
		post_free(&letter);
	}
}

void
queue_free(struct pair *pair)
{
	owed_return(pair);
	free_all(pair_shard(pair), &pair->sent);
	free_all(pair_shard(pair), &pair->waits);
	free_all(pair_shard(pair), &pair->undecided);
}
