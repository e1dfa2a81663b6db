/*
 * modules/archive.c - where archiving stands on the way of a message.
 *
 * The sender's row is made when his account has decided to send the message,
 * the recipient's when hers has decided to take it. Until then they were
 * blocked, refused or changed; from then on everybody sees the same.
 */
#include "modules/archive.h"

#include "modules/archive_private.h"
#include "modules/carbons.h"
#include "modules/message.h"
#include "modules/offline.h"
#include "modules/stanza_id.h"
#include "server/router.h"
#include "server/session.h"
#include "server/setup.h"

static void on_load(struct account *, struct join *);
static void last_found(struct store_count *);
static void all_loaded(struct join *);
static void on_forget(struct account *);
static enum verdict on_sent(struct account *, struct session *, struct post *);
static enum verdict on_leaving(
    struct account *, struct session *, struct post *);
static enum verdict on_asked(struct account *, struct session *, struct post *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static enum verdict on_undelivered(
    struct account *, struct session *, struct post *);
static enum verdict on_deliver(
    struct account *, struct session *, struct post *);

const struct store_kind archive_kind = {
    "archive", STORE_LOG, KIND_PEER | KIND_TEXT};

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_SWEEP, .sweep = archive_limit},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_ACCOUNT_DRAIN, .account = archive_keep_drain},
    {.on = HOOK_ACCOUNT_DRAIN, .account = archive_wait_drain},
    {.on = HOOK_SENT_MESSAGE, .order = 500, .stanza = on_sent},
    {.on = HOOK_SENT_MESSAGE, .order = 700, .stanza = on_leaving},
    {.on = HOOK_SENT_IQ, .order = 1000, .stanza = on_asked},
    {.on = HOOK_RECEIVED_MESSAGE, .order = 500, .stanza = on_received},
    {.on = HOOK_UNDELIVERED, .order = -100, .stanza = on_undelivered},
    {.on = HOOK_DELIVER, .order = 990, .stanza = on_deliver},
    {.on = HOOK_SESSION_AVAILABLE,
	.order = 190,
	.session = archive_catch_up_came},
    {.on = HOOK_SESSION_DETACHED, .session = archive_catch_up_left},
    {.on = HOOK_SESSION_RESUMED, .session = archive_catch_up_came},
    {.on = HOOK_SESSION_UNAVAILABLE, .session = archive_catch_up_on},
    {.on = HOOK_SESSION_CLOSED, .session = archive_wait_closed},
    {.on = HOOK_SESSION_SAVE, .save = archive_wait_save},
    {.on = HOOK_SESSION_RESTORE, .restore = archive_wait_restore},
    {.on = HOOK_PROVED, .proved = archive_wait_proved},
    {.on = HOOK_IQ_SET,
	.ns = NS_MAM,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = archive_on_query},
    {.on = HOOK_IQ_GET,
	.ns = NS_MAM,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = archive_on_form},
    {.on = HOOK_IQ_GET,
	.ns = NS_MAM,
	.name = "metadata",
	.scope = SCOPE_ACCOUNT,
	.iq = archive_on_metadata},
    {.on = HOOK_IQ_GET,
	.ns = NS_MAM,
	.name = "prefs",
	.scope = SCOPE_ACCOUNT,
	.iq = archive_on_prefs_get},
    {.on = HOOK_IQ_SET,
	.ns = NS_MAM,
	.name = "prefs",
	.scope = SCOPE_ACCOUNT,
	.iq = archive_on_prefs_set},
    {.on = HOOK_END},
};

const struct setting archive_settings[ARCHIVE_SETTINGS + 1] = {
    [ARCHIVE_DEFAULT] = {"archive.default", SETTING_CHOICE,
	SETTING_RELOADS | SETTING_PER_HOST, .preset = "always",
	.choices = archive_wanted,
	.help = "Whose messages are archived for accounts that did not say it "
		"themselves: all, those of contacts, or none (XEP-0441)."},
    [ARCHIVE_KEEP_FOR] = {"archive.keep_for", SETTING_TIME,
	SETTING_RELOADS | SETTING_PER_HOST, .preset = "0 s",
	.help = "How long messages are kept; 0 s is for ever."},
    [ARCHIVE_KEEP_MESSAGES] = {"archive.keep_messages", SETTING_INT,
	SETTING_RELOADS | SETTING_PER_HOST, .preset = "0",
	.help = "How many messages an archive holds before the oldest go; 0 "
		"is no limit."},
};

const struct module archive_module = {
    .api = MODULE_API,
    .name = "archive",
    .help = "Archives of what accounts say and hear",
    .xeps = (const char *const[]){"XEP-0059 1.0", "XEP-0313 1.1.3",
	"XEP-0424 0.4.2", "XEP-0431 0.2.0", "XEP-0441 0.2.0", NULL},
    .account_features = (const char *const[]){NS_MAM, NS_MAM "#extended",
	NS_MAM "#groupchat-field", NS_RSM, NS_FULLTEXT, NS_RETRACT,
	NS_RETRACT "#tombstone", NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&archive_kind,
	&archive_mark_kind, &archive_prefs_kind, &archive_retract_kind, NULL},
    .settings = archive_settings,
    .account_size = sizeof(struct archive),
    .session_size = sizeof(struct archive_session),
};

struct archive *
archive_of(struct account *account)
{
	return account_slot(account, &archive_module);
}

struct archive_session *
archive_session_of(struct session *session)
{
	return session_slot(session, &archive_module);
}

uint64_t
archive_id_of(const struct account *account, const struct stanza *stanza)
{
	struct archive_id id;

	return archive_id_read(account, stanza_id_of(account, stanza), &id)
		   ? id.id
		   : 0;
}

/* --- loading ------------------------------------------------------------- */

/* What the module keeps is read at once; then it is known what waits. */
struct loading {
	struct store_count count;
	struct join join;
	struct account *account;
	struct arena *arena;
	struct join *outer;
};

static void
on_load(struct account *account, struct join *join)
{
	struct arena *arena = arena_make(0);
	struct loading *loading = arena_new(arena, struct loading);

	loading->account = account;
	loading->arena = arena;
	loading->outer = join;
	join_wait(join);
	join_init(&loading->join, all_loaded);
	join_wait(&loading->join);
	store_count(account->owner.shard->store, &loading->count,
	    account->owner.id, &archive_kind, last_found);
	archive_prefs_load(account, &loading->join);
	archive_wait_load(account, &loading->join);
	archive_retract_load(account, &loading->join);
	join_wait_done(&loading->join, ERR_NONE);
}

static void
last_found(struct store_count *count)
{
	struct loading *loading = container_of(count, struct loading, count);
	struct archive *archive = archive_of(loading->account);

	if (count->err == ERR_NONE && archive->last_id < count->last_id)
		archive->last_id = count->last_id;
	if (count->err == ERR_NONE)
		repeats_load(&archive->repeats, loading->account, &archive_kind,
		    count->last_id, &loading->join);
	join_wait_done(&loading->join, count->err);
}

static void
all_loaded(struct join *join)
{
	struct loading *loading = container_of(join, struct loading, join);
	struct arena *arena = loading->arena;
	struct join *outer = loading->outer;
	const enum err err = join->first;

	if (err == ERR_NONE)
		archive_wait_begin(loading->account);
	arena_free(&arena);
	join_wait_done(outer, err);
}

static void
on_forget(struct account *account)
{
	archive_keep_forget(account);
	archive_prefs_forget(account);
	archive_wait_forget(account);
	archive_retract_forget(account);
	repeats_forget(&archive_of(account)->repeats);
	archive_of(account)->account = NULL;
}

/* --- the sender ---------------------------------------------------------- */

/* What an account says to itself is kept once, where it arrives. */
static bool
is_to_itself(const struct account *account, const struct jid *to)
{
	return to == NULL || jid_equal_bare(to, account_jid(account));
}

static enum verdict
refuse(struct account *account, struct post *letter)
{
	router_bounce(account->owner.shard, letter,
	    STANZA_ERR_RESOURCE_CONSTRAINT,
	    "too many messages wait to be archived");
	return TAKEN;
}

static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza;
	struct archive_id id;

	stanza = stanza_id_strip(account, letter->arena, letter->stanza);
	letter->stanza = stanza;
	if (is_to_itself(account, stanza->to) ||
	    !archive_wants(account, stanza, stanza->to) ||
	    repeats_have(&archive_of(account)->repeats, stanza))
		return PASS;
	if (archive_is_full(account))
		return refuse(account, letter);
	id = archive_next_id(account);
	archive_keep_sent(account, session, stanza, letter, id);
	/* For copies to the others. */
	if (account->session_count > 1)
		letter->stanza = stanza_id_add(account, letter->arena, stanza,
		    archive_id_text(account, letter->arena, id));
	return PASS;
}

/* Section 3.5: others have no business with the id. */
static enum verdict
on_leaving(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	letter->stanza =
	    stanza_id_strip(account, letter->arena, letter->stanza);
	return PASS;
}

/* It comes back as a letter to the account; what is sent after it, presence
 * too, comes first. */
static enum verdict
on_asked(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (stanza->type == STANZA_SET &&
	    (stanza->to == NULL ||
		jid_equal(stanza->to, account_jid(account))) &&
	    node_child(stanza->node, "query", NS_MAM) != NULL)
		archive_session_of(session)->asked++;
	return PASS;
}

/* --- the recipient ------------------------------------------------------- */

/* What nobody can take now waits for on_undelivered: it may have to be refused.
 */
static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza;
	enum message_way way;
	struct archive_id id;

	(void)session;
	if (letter->is_returned)
		return PASS;
	stanza = stanza_id_strip(account, letter->arena, letter->stanza);
	letter->stanza = stanza;
	way = message_way(account, stanza);
	if (way == MESSAGE_REFUSED ||
	    !archive_wants(account, stanza, stanza->from))
		return PASS;
	if (repeats_have(&archive_of(account)->repeats, stanza)) {
		post_free(&letter);
		return TAKEN;
	}
	if (archive_is_full(account))
		return refuse(account, letter);
	id = archive_next_id(account);
	letter->stanza = stanza_id_add(account, letter->arena, stanza,
	    archive_id_text(account, letter->arena, id));
	if (way == MESSAGE_DELIVERED)
		archive_keep(account, stanza, id, letter);
	return PASS;
}

/* The row is what the account is sent from when somebody is there. */
static enum verdict
on_undelivered(
    struct account *account, struct session *session, struct post *letter)
{
	struct archive_id id;

	(void)session;
	if (!host_has(account->host, &offline_module) ||
	    !archive_id_read(
		account, stanza_id_of(account, letter->stanza), &id))
		return PASS;
	archive_wait_add(account, id.id);
	archive_keep_or_bounce(account, post_own(letter), id);
	return TAKEN;
}

/* The row of what the session is sent: the message itself, or a copy of one
 * that it might be sent else. 0: none. */
static uint64_t
row_of(struct session *session, const struct stanza *stanza)
{
	struct account *account = session->account;
	const struct stanza inner = {
	    .node = carbons_inner(account_jid(account), stanza, false)};

	if (inner.node == NULL)
		return archive_id_of(account, stanza);
	return archive_may_send(session) ? archive_id_of(account, &inner) : 0;
}

/* Who has it is known when its client has proved that it came. */
static enum verdict
on_deliver(
    struct account *account, struct session *session, struct post *letter)
{
	uint64_t id;

	(void)account;
	if (letter->ticket != 0 || letter->stanza->kind != STANZA_MESSAGE)
		return PASS;
	id = row_of(session, letter->stanza);
	if (id != 0)
		letter->ticket = archive_wait_sent(session, id, false);
	return PASS;
}
