/*
 * modules/client_state.c - what is held back, and until when.
 *
 * What is held back lives in an arena of the account, for a session may be gone
 * without that its hooks run.
 */
#include "modules/client_state.h"

#include "base/hash.h"
#include "modules/carbons.h"
#include "server/setup.h"
#include "xml/delay.h"
#include "xml/keepable.h"

#define NS_CSI         "urn:xmpp:csi:0"
#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"
#define NS_MUC_USER    "http://jabber.org/protocol/muc#user"

/* Of the stanzas that are held back for one session. */
#define BYTES_MAX ((size_t)256 * 1024)

static void on_active(struct session *, const struct node *);
static void on_inactive(struct session *, const struct node *);
static enum verdict on_deliver(
    struct account *, struct session *, struct post *);
static void on_resumed(struct session *);
static void on_closed(struct session *);
static void on_drain(struct account *);
static void on_forget(struct account *);
static void add_feature(struct features_ask *);

static const struct hook hooks[] = {
    {.on = HOOK_NONZA, .ns = NS_CSI, .name = "active", .nonza = on_active},
    {.on = HOOK_NONZA, .ns = NS_CSI, .name = "inactive", .nonza = on_inactive},
    {.on = HOOK_DELIVER, .order = 1000, .stanza = on_deliver},
    {.on = HOOK_SESSION_RESUMED, .session = on_resumed},
    {.on = HOOK_SESSION_CLOSED, .session = on_closed},
    {.on = HOOK_ACCOUNT_DRAIN, .account = on_drain},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_STREAM_FEATURES, .features = add_feature},
    {.on = HOOK_END},
};

enum { CLIENT_STATE_HELD };

static const struct setting settings[] = {
    [CLIENT_STATE_HELD] = {"client_state.held", SETTING_INT,
	SETTING_PER_HOST | SETTING_RELOADS, .max = 10000, .preset = "500",
	.help = "So many presences and chat states are held back for a client "
		"that says it is inactive; then they are sent."},
    {NULL},
};

/* One stanza; lives in its letter. */
struct held {
	struct link link;
	uint64_t key; /* only the last one with it is kept */
	size_t len;
	struct post *letter;
};

/* Of a session that is inactive. */
struct quiet {
	struct link link; /* in client_states */
	struct arena *arena;
	struct list held; /* oldest first */
	unsigned count;
	size_t len;
};

struct client_states {
	struct list quiet; /* zeroed until first used */
};

struct client_state {
	struct quiet *quiet; /* NULL: active */
};

const struct module client_state_module = {
    .api = MODULE_API,
    .name = "client_state",
    .help = "Less traffic to clients that nobody looks at",
    .xeps = (const char *const[]){"XEP-0352 1.0.0", NULL},
    .hooks = hooks,
    .settings = settings,
    .account_size = sizeof(struct client_states),
    .session_size = sizeof(struct client_state),
};

static struct client_state *
state_of(struct session *session)
{
	return session_slot(session, &client_state_module);
}

bool
client_state_is_inactive(struct session *session)
{
	return state_of(session)->quiet != NULL;
}

/* --- what can wait -------------------------------------------------------- */

/* One's own presence in a room ends the wait for being in (XEP-0045, section
 * 7.2.2); what the session's own presence comes back as, likewise. */
static bool
is_awaited(const struct session *session, const struct stanza *stanza)
{
	const struct node *room = node_child(stanza->node, "x", NS_MUC_USER);

	if (jid_equal(stanza->from, session->jid))
		return true;
	if (room == NULL)
		return false;
	node_each (child, room)
		if (node_is(child, "status", NS_MUC_USER) &&
		    str_is(node_attr(child, "code"), "110"))
			return true;
	return false;
}

/* Beside what a state says, how a message was sent and came. */
static bool
says_nothing(const struct node *child)
{
	return str_is(child->ns, NS_HINTS) || str_is(child->ns, NS_DELAY) ||
	       str_is(child->ns, "urn:xmpp:sid:0") ||
	       str_is(child->ns, "urn:xmpp:occupant-id:0") ||
	       str_is(child->name, "thread");
}

static bool
is_chat_state(const struct node *message)
{
	bool has_state = false;

	if (str_is(node_attr(message, "type"), "error"))
		return false;
	node_each (child, message) {
		if (str_is(child->ns, NS_CHAT_STATES))
			has_state = true;
		else if (!says_nothing(child))
			return false;
	}
	return has_state;
}

/* The message, or the one that it is a copy of. */
static const struct node *
message_of(const struct session *session, const struct stanza *stanza)
{
	const struct jid *account = account_jid(session->account);
	const struct node *copy = carbons_inner(account, stanza, false);

	if (copy == NULL)
		copy = carbons_inner(account, stanza, true);
	return copy == NULL ? stanza->node : copy;
}

static uint64_t
hash_of_text(struct str text)
{
	return text.len == 0 ? 0 : hash_keyed(text);
}

/* Of a copy the addresses inside. */
static uint64_t
key_of_message(const struct stanza *stanza, const struct node *message)
{
	if (message == stanza->node)
		return hash_of_text(jid_full(stanza->from)) ^ 1;
	return (hash_of_text(node_attr(message, "from")) ^ 2) * 31 +
	       hash_of_text(node_attr(message, "to"));
}

/* False when it matters; else which earlier one it stands for. */
static bool
can_wait(
    const struct session *session, const struct stanza *stanza, uint64_t *key_r)
{
	const struct node *message;

	if (stanza->from == NULL)
		return false;
	if (stanza->kind == STANZA_PRESENCE) {
		*key_r = hash_of_text(jid_full(stanza->from));
		return (stanza->type == STANZA_AVAILABLE ||
			   stanza->type == STANZA_UNAVAILABLE) &&
		       !is_awaited(session, stanza);
	}
	if (stanza->kind != STANZA_MESSAGE)
		return false;
	message = message_of(session, stanza);
	*key_r = key_of_message(stanza, message);
	return is_chat_state(message);
}

/* --- holding back --------------------------------------------------------- */

static void
take_out(struct quiet *quiet, struct held *held)
{
	list_remove(&held->link);
	quiet->count--;
	quiet->len -= held->len;
}

static void
drop_same(struct quiet *quiet, uint64_t key)
{
	list_each (held, &quiet->held, struct held, link) {
		struct post *letter = held->letter;

		if (held->key != key)
			continue;
		take_out(quiet, held);
		post_free(&letter);
		return;
	}
}

static void
let_go(struct session *session, struct quiet *quiet)
{
	list_each (held, &quiet->held, struct held, link) {
		take_out(quiet, held);
		session_let_go(session, held->letter);
	}
}

static void
hold(struct session *session, struct quiet *quiet, struct post *letter,
    uint64_t key)
{
	struct post *kept = session_keep(session, letter);
	struct held *held = arena_new(kept->arena, struct held);

	drop_same(quiet, key);
	held->key = key;
	held->len = blob_str(kept->blob).len;
	held->letter = kept;
	list_add_last(&quiet->held, &held->link);
	quiet->count++;
	quiet->len += held->len;
	if (quiet->len > BYTES_MAX ||
	    quiet->count >
		host_int(session->account->host, &settings[CLIENT_STATE_HELD]))
		let_go(session, quiet);
}

static enum verdict
on_deliver(
    struct account *account, struct session *session, struct post *letter)
{
	struct quiet *quiet = state_of(session)->quiet;
	uint64_t key;

	(void)account;
	/* What fills a place goes before all that came since. */
	if (quiet == NULL || session->filling != NULL)
		return PASS;
	/* Whose receipt is awaited, matters: a chat state may be archived. */
	if (letter->ticket == 0 && can_wait(session, letter->stanza, &key)) {
		hold(session, quiet, letter, key);
		return TAKEN;
	}
	let_go(session, quiet);
	return PASS;
}

/* --- the state ------------------------------------------------------------ */

static struct quiet *
quiet_new(struct account *account)
{
	struct client_states *states =
	    account_slot(account, &client_state_module);
	struct arena *arena = arena_make(sizeof(struct quiet));
	struct quiet *quiet = arena_new(arena, struct quiet);

	if (states->quiet.head.next == NULL)
		list_init(&states->quiet);
	quiet->arena = arena;
	list_init(&quiet->held);
	list_add_last(&states->quiet, &quiet->link);
	return quiet;
}

static void
quiet_free(struct quiet *quiet)
{
	struct arena *arena = quiet->arena;

	list_each (held, &quiet->held, struct held, link) {
		struct post *letter = held->letter;

		post_free(&letter);
	}
	list_remove(&quiet->link);
	arena_free(&arena);
}

static void
on_inactive(struct session *session, const struct node *node)
{
	struct client_state *state = state_of(session);

	(void)node;
	if (state->quiet == NULL)
		state->quiet = quiet_new(session->account);
}

static void
be_active(struct session *session)
{
	struct client_state *state = state_of(session);

	if (state->quiet == NULL)
		return;
	let_go(session, state->quiet);
	quiet_free(state->quiet);
	state->quiet = NULL;
}

static void
on_active(struct session *session, const struct node *node)
{
	(void)node;
	be_active(session);
}

/* Section 5.2. */
static void
on_resumed(struct session *session)
{
	be_active(session);
}

/* None of it is for anybody else. */
static void
on_closed(struct session *session)
{
	struct client_state *state = state_of(session);

	if (state->quiet != NULL)
		quiet_free(state->quiet);
	state->quiet = NULL;
}

/* What the next run shall know must be in the session's queue. */
static void
on_drain(struct account *account)
{
	session_each (session, account)
		be_active(session);
}

static void
on_forget(struct account *account)
{
	struct client_states *states =
	    account_slot(account, &client_state_module);

	if (states->quiet.head.next == NULL)
		return;
	list_each (quiet, &states->quiet, struct quiet, link)
		quiet_free(quiet);
}

/* Section 4.1. */
static void
add_feature(struct features_ask *ask)
{
	if (ask->is_authenticated)
		node_add(ask->features, "csi", NS_CSI);
}
