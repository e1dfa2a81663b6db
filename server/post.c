#include "server/post.h"

#include "base/err.h"
#include "server/metrics.h"
#include "server/settle.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream.h"

bool
stream_id_equal(struct stream_id a, struct stream_id b)
{
	return a.slot == b.slot && a.use == b.use && a.shard == b.shard &&
	       a.node == b.node;
}

struct post *
post_new(enum post_kind kind, struct arena *arena)
{
	struct post *letter;

	if (arena == NULL)
		arena = arena_make(0);
	letter = arena_new(arena, struct post);
	letter->arena = arena;
	letter->kind = kind;
	return letter;
}

void
post_free(struct post **letter)
{
	struct post *freed = *letter;
	struct arena *arena;

	*letter = NULL;
	if (freed == NULL || freed->is_lent)
		return;
	if (freed->receipt.counter != 0)
		receipt_settle(shard_current(), &freed->receipt);
	if (freed->blob != NULL)
		blob_unref(&freed->blob);
	if (freed->kind == POST_RELOAD && freed->setup != NULL)
		setup_unref(&freed->setup);
	arena = freed->arena;
	arena_free(&arena);
}

void
post_free_all(struct list *letters)
{
	list_each (letter, letters, struct post, link) {
		list_remove(&letter->link);
		post_free(&letter);
	}
}

void
post_lend(struct post *one, struct post *many, const struct jid *to)
{
	*one = (struct post){
	    .arena = many->arena,
	    .kind = POST_STANZA,
	    .to = to,
	    .stanza = stanza_readdress(
		many->arena, many->stanza, many->stanza->from, to),
	    .blob = many->blob,
	    .is_lent = true,
	};
}

struct post *
post_own(struct post *letter)
{
	struct post *own;

	if (!letter->is_lent)
		return letter;
	own = post_new(letter->kind, NULL);
	own->stream = letter->stream;
	own->ticket = letter->ticket;
	own->stanza = stanza_copy_deep(own->arena, letter->stanza);
	own->to = own->stanza->to;
	if (letter->blob != NULL)
		own->blob = blob_ref(letter->blob);
	return own;
}

/* --- mailboxes ---------------------------------------------------------- */

void
mailbox_init(struct mailbox *mailbox, void (*wake)(struct shard *))
{
	pthread_mutex_init(&mailbox->lock, NULL);
	list_init(&mailbox->incoming);
	list_init(&mailbox->ready);
	mailbox->wake = wake;
}

void
mailbox_deinit(struct mailbox *mailbox)
{
	post_free_all(&mailbox->incoming);
	post_free_all(&mailbox->ready);
	pthread_mutex_destroy(&mailbox->lock);
}

static void
collect(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	list_move(&mailbox->ready, &mailbox->incoming);
	pthread_mutex_unlock(&mailbox->lock);
}

bool
mailbox_is_empty(struct mailbox *mailbox)
{
	bool is_empty;

	pthread_mutex_lock(&mailbox->lock);
	is_empty = list_is_empty(&mailbox->incoming);
	pthread_mutex_unlock(&mailbox->lock);
	return is_empty && list_is_empty(&mailbox->ready);
}

void
mailbox_put_back(struct shard *shard, struct list *letters)
{
	struct list *ready = &shard->mailbox.ready;

	list_move(letters, ready);
	list_move(ready, letters);
}

/* What the shard is doing, should it abort. */
static const char *const kind_texts[] = {
#define X(name, text) text,
    POST_MAP(X)
#undef X
};

/* Nothing happens on a shard that is closed; but what it did before is told. */
static bool
is_dropped(const struct shard *shard, const struct post *letter)
{
	return shard->is_closed && letter->kind != POST_DRAIN &&
	       letter->kind != POST_SETTLED;
}

bool
mailbox_work(struct shard *shard, unsigned max)
{
	struct mailbox *mailbox = &shard->mailbox;
	unsigned count = 0;
	struct link *link;

	collect(mailbox);
	while (count < max && (link = list_take_first(&mailbox->ready))) {
		struct post *letter = list_entry(link, struct post, link);

		count++;
		err_doing(kind_texts[letter->kind]);
		if (is_dropped(shard, letter))
			post_free(&letter);
		else
			post_handlers[letter->kind](shard, letter);
	}
	err_doing("waiting for letters");
	if (count > 0)
		metric_add(shard, METRIC_LETTERS, count);
	return !list_is_empty(&mailbox->ready);
}

static bool
goes_by_stream(enum post_kind kind)
{
	switch (kind) {
	case POST_DOWN:
	case POST_KEYS:
	case POST_BOUND:
	case POST_CLOSE:
	case POST_ADDRESS_VERDICT:
	case POST_REGISTERED:
	case POST_DIALBACK_VERDICT:
	case POST_PONG:
	case POST_RESUMED:
	case POST_ADMIT:
	case POST_RIVAL:
	case POST_SM:
		return true;
	default:
		return false;
	}
}

static void
deliver(struct shard *from, struct shard *to, struct post *letter)
{
	struct mailbox *mailbox = &to->mailbox;

	must(!letter->is_lent);
	if (from == to) {
		if (letter->kind == POST_DOWN)
			stream_fetch(to, letter->stream);
		list_add_last(&mailbox->ready, &letter->link);
		return;
	}
	pthread_mutex_lock(&mailbox->lock);
	if (list_is_empty(&mailbox->incoming) && mailbox->wake != NULL)
		mailbox->wake(to);
	list_add_last(&mailbox->incoming, &letter->link);
	pthread_mutex_unlock(&mailbox->lock);
}

void
post_send(struct shard *from, struct post *letter)
{
	struct server *server = from->server;

	shard_must_be_current(from);
	if (!goes_by_stream(letter->kind)) {
		deliver(from, shard_of(server, letter->to), letter);
		return;
	}
	must(letter->stream.shard < server->shard_count);
	deliver(from, &server->shards[letter->stream.shard], letter);
}

void
post_send_to(struct shard *from, unsigned shard, struct post *letter)
{
	must(shard < from->server->shard_count);
	shard_must_be_current(from);
	deliver(from, &from->server->shards[shard], letter);
}
