#include "modules/push_ring.h"

#include "modules/archive_retract.h"
#include "modules/carbons.h"
#include "xml/forward.h"
#include "xml/keepable.h"

#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

/* What only its reader can decrypt. Of OMEMO only with a payload: without one
 * it just carries keys (XEP-0384, section 5.5.3). */
static const struct {
	const char *name, *ns, *payload;
} ciphers[] = {
    {"encrypted", "urn:xmpp:omemo:2", "payload"},
    {"encrypted", "eu.siacs.conversations.axolotl", "payload"},
    {"openpgp", "urn:xmpp:openpgp:0", NULL},
    {"x", "jabber:x:encrypted", NULL},
};

enum cipher { NO_CIPHER, ONLY_KEYS, CIPHERED };

static enum cipher
cipher_of(const struct node *node)
{
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
		const char *payload = ciphers[i].payload;
		const struct node *child =
		    node_child(node, ciphers[i].name, ciphers[i].ns);

		if (child == NULL)
			continue;
		return payload == NULL ||
			       node_child(child, payload, NULL) != NULL
			   ? CIPHERED
			   : ONLY_KEYS;
	}
	return NO_CIPHER;
}

/* A call (XEP-0353, section 3.1), or an invitation to a room (XEP-0249;
 * XEP-0045, section 7.8.2). */
static bool
is_summons(const struct node *node)
{
	return node_child(node, "propose", "urn:xmpp:jingle-message:0") !=
		   NULL ||
	       node_child(node, "x", "jabber:x:conference") != NULL ||
	       node_child(node_child(node, "x", NS_MUC_USER), "invite",
		   NS_MUC_USER) != NULL;
}

static bool
is_of_word(char letter)
{
	return (letter >= 'a' && letter <= 'z') ||
	       (letter >= 'A' && letter <= 'Z') ||
	       (letter >= '0' && letter <= '9') || (letter & 0x80) != 0;
}

/* Whether the name stands there as a word of its own. */
static bool
mentions(struct str body, struct str name)
{
	for (size_t i = 0; name.len > 0 && i + name.len <= body.len; i++) {
		const struct str here = {body.text + i, name.len};
		const size_t after = i + name.len;

		if (str_equal_ascii_case(here, name) &&
		    (i == 0 || !is_of_word(body.text[i - 1])) &&
		    (after == body.len || !is_of_word(body.text[after])))
			return true;
	}
	return false;
}

static bool
is_worth_it(struct arena *arena, struct str nick, const struct stanza *stanza)
{
	const struct node *node = stanza->node;
	const enum cipher cipher = cipher_of(node);
	const struct str body = node_child_text(arena, node, "body", NULL);

	if (node_child(node, "no-store", NS_HINTS) != NULL ||
	    node_child(node, "retract", NS_RETRACT) != NULL)
		return false;
	if (stanza->type == STANZA_GROUPCHAT)
		return mentions(body, nick);
	if (stanza->type != STANZA_CHAT && stanza->type != STANZA_NORMAL)
		return false;
	if (cipher != NO_CIPHER)
		return cipher == CIPHERED;
	return body.len > 0 || is_summons(node);
}

bool
push_rings(struct arena *arena, const struct jid *account, struct str nick,
    const struct stanza *stanza, struct push_ring *ring_r)
{
	const struct node *carbon = carbons_inner(account, stanza, false);
	struct stanza *inner;

	if (stanza->kind != STANZA_MESSAGE)
		return false;
	if (carbon != NULL) {
		inner = arena_new(arena, struct stanza);
		if (stanza_read(arena, carbon, inner) != STANZA_ERR_NONE)
			return false;
		stanza = inner;
	}
	if (stanza->from == NULL || jid_equal_bare(stanza->from, account) ||
	    !is_worth_it(arena, nick, stanza))
		return false;
	ring_r->from = stanza->from;
	ring_r->id = stanza->id;
	ring_r->body = STR_NONE;
	if (cipher_of(stanza->node) == NO_CIPHER)
		ring_r->body =
		    node_child_text(arena, stanza->node, "body", NULL);
	return true;
}
