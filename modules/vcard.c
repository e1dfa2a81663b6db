/*
 * modules/vcard.c - the card of an account (XEP-0054), and the hash of its
 * picture in the presence of clients that do not say it themselves (XEP-0153).
 *
 * The card is read when somebody asks; the hash is kept beside it and loaded
 * with the account, because presence does not wait.
 */
#include "modules/vcard.h"

#include "base/buf.h"
#include "base/code.h"
#include "server/account.h"
#include "server/digest.h"
#include "server/iq.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/writer.h"

#define NS_VCARD        "vcard-temp"
#define NS_VCARD_UPDATE "vcard-temp:x:update"

/* SHA-1 in hex. */
#define PHOTO_HASH_LEN 40

static void on_load(struct account *, struct join *);
static void card_saved(struct iq *);
static void hash_loaded(struct account *, struct arena *, struct str hash);
static enum verdict on_presence(
    struct account *, struct session *, struct post *);
static void on_get(struct iq *);
static void card_loaded(struct store_get *);
static void on_set(struct iq *);

const struct store_kind vcard_kind = {"vcard", STORE_MAP, 0};

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_SENT_PRESENCE, .order = -10, .stanza = on_presence},
    {.on = HOOK_IQ_GET,
	.ns = NS_VCARD,
	.name = "vCard",
	.scope = SCOPE_ACCOUNT,
	.iq = on_get},
    {.on = HOOK_IQ_SET,
	.ns = NS_VCARD,
	.name = "vCard",
	.scope = SCOPE_ACCOUNT,
	.iq = on_set},
    {.on = HOOK_END},
};

struct photo {
	char hash[PHOTO_HASH_LEN]; /* of the picture; first byte 0: none */
};

const struct module vcard_module = {
    .api = MODULE_API,
    .name = "vcard",
    .help = "Cards of accounts, and hashes of their pictures in presence",
    .xeps = (const char *const[]){"XEP-0054 1.3", "XEP-0153 1.1.1", NULL},
    .features = (const char *const[]){NS_VCARD, NULL},
    .account_features = (const char *const[]){NS_VCARD, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&vcard_kind, NULL},
    .account_size = sizeof(struct photo),
};

static struct photo *
photo_of(struct account *account)
{
	return account_slot(account, &vcard_module);
}

static void
photo_set(struct account *account, struct str hash)
{
	struct photo *photo = photo_of(account);

	*photo = (struct photo){0};
	if (hash.len == PHOTO_HASH_LEN)
		memcpy(photo->hash, hash.text, PHOTO_HASH_LEN);
}

/* --- the hash ------------------------------------------------------------ */

static void
on_load(struct account *account, struct join *join)
{
	account_load_row(account, join, &vcard_kind, STR("photo"), hash_loaded);
}

static void
hash_loaded(struct account *account, struct arena *arena, struct str hash)
{
	(void)arena;
	photo_set(account, hash);
}

/* Base64 with line breaks, as XEP-0153, section 4.6, allows. */
static bool
decode_photo(struct arena *arena, struct str text, struct str *bytes_r)
{
	char *packed = arena_text(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++)
		if (strchr(" \t\r\n", text.text[i]) == NULL)
			packed[len++] = text.text[i];
	return base64_decode(arena, (struct str){packed, len}, bytes_r);
}

/* Empty when the card has no picture. */
static struct str
photo_hash(struct arena *arena, const struct node *card)
{
	const struct node *photo = node_child(card, "PHOTO", NS_VCARD);
	struct str bytes;

	if (!decode_photo(arena,
		node_child_text(arena, photo, "BINVAL", NS_VCARD), &bytes) ||
	    bytes.len == 0)
		return STR("");
	return hex_encode(arena, digest_sha1(arena, bytes));
}

static bool
is_empty_update(const struct node *child, const void *arg)
{
	(void)arg;
	return node_is(child, "x", NS_VCARD_UPDATE);
}

/* A client that tells a hash knows better; one that tells none gets ours. */
static enum verdict
on_presence(
    struct account *account, struct session *session, struct post *letter)
{
	const struct photo *photo = photo_of(account);
	const struct node *update;
	struct stanza *stanza;
	struct node *node;

	(void)session;
	if (letter->stanza->type != STANZA_AVAILABLE || photo->hash[0] == '\0')
		return PASS;
	update = node_child(letter->stanza->node, "x", NS_VCARD_UPDATE);
	if (node_child(update, "photo", NS_VCARD_UPDATE) != NULL)
		return PASS;
	stanza = stanza_readdress(letter->arena, letter->stanza,
	    letter->stanza->from, letter->stanza->to);
	node = node_copy_without(
	    letter->arena, stanza->node, is_empty_update, NULL);
	node_add_with_text(node_add(node, "x", NS_VCARD_UPDATE), "photo",
	    NS_VCARD_UPDATE,
	    str_dup(letter->arena, (struct str){photo->hash, PHOTO_HASH_LEN}));
	stanza->node = node;
	letter->stanza = stanza;
	return PASS;
}

/* --- the card ------------------------------------------------------------ */

struct card_get {
	struct store_get get;
	struct iq *iq;
};

static void
on_get(struct iq *iq)
{
	struct card_get *card = arena_new(iq_arena(iq), struct card_get);

	card->iq = iq;
	store_get(iq_store(iq), &card->get, iq_arena(iq),
	    &(struct map_key){
		iq_account(iq)->owner.id, &vcard_kind, STR("card")},
	    card_loaded);
}

/* To its owner it is an empty card (section 3.1): some clients show an error as
 * one. To others the account answers as one that is not there (section 3.3). */
static void
reply_no_card(struct iq *iq)
{
	if (iq_is_own(iq))
		iq_reply(iq, node_make(iq_arena(iq), "vCard", NS_VCARD));
	else
		iq_refuse(iq, STANZA_ERR_SERVICE_UNAVAILABLE);
}

static void
card_loaded(struct store_get *get)
{
	struct card_get *loaded = container_of(get, struct card_get, get);
	struct iq *iq = loaded->iq;
	const struct node *card;

	if (get->err == ERR_NOT_FOUND) {
		reply_no_card(iq);
		return;
	}
	if (get->err != ERR_NONE) {
		iq_refuse(iq, stanza_err_of(get->err));
		return;
	}
	card = node_parse(iq_arena(iq), get->row.value, "");
	if (card == NULL)
		iq_refuse(iq, STANZA_ERR_INTERNAL_SERVER_ERROR);
	else
		iq_reply(iq, card);
}

static void
on_set(struct iq *iq)
{
	struct arena *arena = iq_arena(iq);
	struct str text = writer_text(arena, iq_payload(iq));
	const owner_id owner = iq_account(iq)->owner.id;
	struct store_write *write;

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	if (text.len > host_bytes(iq_host(iq), SETTING(QUOTA_VCARD))) {
		iq_refuse_text(iq, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the card is too large");
		return;
	}
	write = store_write_new(iq_store(iq));
	store_put(write, owner, &vcard_kind, STR("card"), text);
	store_put(write, owner, &vcard_kind, STR("photo"),
	    photo_hash(arena, iq_payload(iq)));
	iq_commit(iq, write, false, card_saved);
}

static void
card_saved(struct iq *iq)
{
	photo_set(iq_account(iq), photo_hash(iq_arena(iq), iq_payload(iq)));
	iq_reply(iq, NULL);
}
