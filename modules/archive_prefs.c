/*
 * modules/archive_prefs.c - XEP-0441: whose messages an account wants to have
 * archived. They are loaded with the account, for messages do not wait.
 */
#include "modules/archive_private.h"
#include "modules/roster.h"
#include "server/setup.h"
#include "xml/writer.h"

/* JIDs of one list: each message is compared with all. */
#define JIDS_MAX 1000

static void prefs_saved(struct iq *);

const struct store_kind archive_prefs_kind = {"archive-prefs", STORE_MAP, 0};

enum wanted { WANTED_ALWAYS, WANTED_ROSTER, WANTED_NEVER };

/* In their order. */
const char *const archive_wanted[] = {"always", "roster", "never", NULL};

struct jids {
	const struct jid **list;
	size_t count;
};

/* In an arena of their own, until the next ones. */
struct archive_prefs {
	struct arena *arena;
	enum wanted others; /* neither in always nor in never */
	struct jids always, never;
};

static struct str
wanted_text(enum wanted wanted)
{
	return str_of(archive_wanted[wanted]);
}

static bool
read_wanted(struct str text, enum wanted *wanted_r)
{
	for (unsigned i = 0; archive_wanted[i] != NULL; i++)
		if (str_equal(text, str_of(archive_wanted[i]))) {
			*wanted_r = (enum wanted)i;
			return true;
		}
	return false;
}

/* --- deciding ------------------------------------------------------------ */

/* Section 2.3.1: a bare JID stands for all its resources. */
static bool
lists(const struct jids *jids, const struct jid *peer)
{
	for (size_t i = 0; i < jids->count; i++) {
		const struct jid *jid = jids->list[i];

		if (jid_is_bare(jid) ? jid_equal_bare(jid, peer)
				     : jid_equal(jid, peer))
			return true;
	}
	return false;
}

static bool
is_in_roster(struct account *account, const struct jid *peer)
{
	struct arena *arena = arena_make(0);
	const struct contact *contact =
	    roster_contact(account, jid_to_bare(arena, peer));
	const bool is_there = contact != NULL && contact->is_listed;

	arena_free(&arena);
	return is_there;
}

static enum wanted
host_wanted(const struct account *account)
{
	return (enum wanted)config_choice(setup_config(account->host->setup),
	    account->host->index, &archive_settings[ARCHIVE_DEFAULT]);
}

/* A JID in both lists is one that somebody took pains to keep out. */
bool
archive_prefs_want(struct account *account, const struct jid *peer)
{
	const struct archive_prefs *prefs = archive_of(account)->prefs;
	const enum wanted others =
	    prefs != NULL ? prefs->others : host_wanted(account);

	if (prefs != NULL && lists(&prefs->never, peer))
		return false;
	if (prefs != NULL && lists(&prefs->always, peer))
		return true;
	return others == WANTED_ALWAYS ||
	       (others == WANTED_ROSTER && is_in_roster(account, peer));
}

/* --- as XML -------------------------------------------------------------- */

static bool
read_jids(struct arena *arena, const struct node *list, struct jids *jids_r)
{
	size_t count = 0;

	if (list == NULL)
		return true;
	node_each (item, list)
		count++;
	if (count > JIDS_MAX)
		return false;
	jids_r->count = 0;
	jids_r->list = arena_array(arena, const struct jid *, count);
	node_each (item, list) {
		const struct jid *jid =
		    jid_parse(arena, str_trim(node_text(arena, item)));

		if (!node_is(item, "jid", NS_MAM) || jid == NULL)
			return false;
		jids_r->list[jids_r->count++] = jid;
	}
	return true;
}

static void
prefs_free(struct archive_prefs **prefs)
{
	struct arena *arena = *prefs == NULL ? NULL : (*prefs)->arena;

	arena_free(&arena);
	*prefs = NULL;
}

/* NULL when they are not as they must be. */
static struct archive_prefs *
read_prefs(const struct node *node)
{
	struct arena *arena = arena_make(0);
	struct archive_prefs *prefs = arena_new(arena, struct archive_prefs);

	prefs->arena = arena;
	if (!read_wanted(node_attr(node, "default"), &prefs->others) ||
	    !read_jids(
		arena, node_child(node, "always", NS_MAM), &prefs->always) ||
	    !read_jids(arena, node_child(node, "never", NS_MAM), &prefs->never))
		prefs_free(&prefs);
	return prefs;
}

static void
add_jids(struct node *node, const char *name, const struct jids *jids)
{
	struct node *list = node_add(node, name, NS_MAM);

	for (size_t i = 0; i < jids->count; i++)
		node_add_with_text(list, "jid", NS_MAM,
		    str_dup(node->arena, jid_full(jids->list[i])));
}

static const struct node *
prefs_node(struct account *account, struct arena *arena)
{
	static const struct jids none;
	const struct archive_prefs *prefs = archive_of(account)->prefs;
	struct node *node = node_make(arena, "prefs", NS_MAM);

	node_set(node, "default",
	    wanted_text(prefs != NULL ? prefs->others : host_wanted(account)));
	add_jids(node, "always", prefs != NULL ? &prefs->always : &none);
	add_jids(node, "never", prefs != NULL ? &prefs->never : &none);
	return node;
}

/* --- loading ------------------------------------------------------------- */

static void
take(struct account *account, struct archive_prefs *prefs)
{
	prefs_free(&archive_of(account)->prefs);
	archive_of(account)->prefs = prefs;
}

static void
prefs_loaded(struct account *account, struct arena *arena, struct str text)
{
	const struct node *node = node_parse(arena, text, "");

	take(account, node == NULL ? NULL : read_prefs(node));
}

void
archive_prefs_load(struct account *account, struct join *join)
{
	account_load_row(
	    account, join, &archive_prefs_kind, STR("prefs"), prefs_loaded);
}

void
archive_prefs_forget(struct account *account)
{
	prefs_free(&archive_of(account)->prefs);
}

/* --- reading and changing ------------------------------------------------ */

void
archive_on_prefs_get(struct iq *iq)
{
	if (iq_is_own(iq))
		iq_reply(iq, prefs_node(iq_account(iq), iq_arena(iq)));
	else
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
}

void
archive_on_prefs_set(struct iq *iq)
{
	struct archive_prefs *prefs;
	struct store_write *write;

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	prefs = read_prefs(iq_payload(iq));
	if (prefs == NULL) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	write = store_write_new(iq_store(iq));
	store_put(write, iq_account(iq)->owner.id, &archive_prefs_kind,
	    STR("prefs"), writer_text(iq_arena(iq), iq_payload(iq)));
	prefs_free(&prefs);
	iq_commit(iq, write, false, prefs_saved);
}

static void
prefs_saved(struct iq *iq)
{
	take(iq_account(iq), read_prefs(iq_payload(iq)));
	archive_on_prefs_get(iq);
}
