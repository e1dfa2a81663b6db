/*
 * xml/stanza.h - message, presence and iq: what RFC 6120, section 8, says of
 * all of them.
 *
 * A stanza is its element and what was read from it once: addresses, type and
 * id. The addresses here are the ones that count: the writer puts them in place
 * of the element's own.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "xml/jid.h"
#include "xml/node.h"

#define NS_CLIENT     "jabber:client"
#define NS_SERVER     "jabber:server"
#define NS_STREAM     "http://etherx.jabber.org/streams"
#define NS_STREAM_ERR "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZA_ERR "urn:ietf:params:xml:ns:xmpp-stanzas"

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ };

/* The types of all three kinds; NORMAL is also a message without type or of an
 * unknown one, AVAILABLE a presence without type. */
#define STANZA_TYPE_MAP(X)              \
	X(ERROR, "error")               \
	X(NORMAL, "normal")             \
	X(CHAT, "chat")                 \
	X(GROUPCHAT, "groupchat")       \
	X(HEADLINE, "headline")         \
	X(AVAILABLE, "")                \
	X(UNAVAILABLE, "unavailable")   \
	X(SUBSCRIBE, "subscribe")       \
	X(SUBSCRIBED, "subscribed")     \
	X(UNSUBSCRIBE, "unsubscribe")   \
	X(UNSUBSCRIBED, "unsubscribed") \
	X(PROBE, "probe")               \
	X(GET, "get")                   \
	X(SET, "set")                   \
	X(RESULT, "result")

enum stanza_type {
#define X(name, text) STANZA_##name,
	STANZA_TYPE_MAP(X)
#undef X
};

/* Condition, its element and its default type: RFC 6120, section 8.3.3.
 * REMOTE_CONNECTION_FAILED answers keys of dialback only: XEP-0220, section
 * 2.5. */
#define STANZA_ERR_MAP(X)                                               \
	X(NONE, "", "")                                                 \
	X(BAD_REQUEST, "bad-request", "modify")                         \
	X(CONFLICT, "conflict", "cancel")                               \
	X(FEATURE_NOT_IMPLEMENTED, "feature-not-implemented", "cancel") \
	X(FORBIDDEN, "forbidden", "auth")                               \
	X(GONE, "gone", "cancel")                                       \
	X(INTERNAL_SERVER_ERROR, "internal-server-error", "cancel")     \
	X(ITEM_NOT_FOUND, "item-not-found", "cancel")                   \
	X(JID_MALFORMED, "jid-malformed", "modify")                     \
	X(NOT_ACCEPTABLE, "not-acceptable", "modify")                   \
	X(NOT_ALLOWED, "not-allowed", "cancel")                         \
	X(NOT_AUTHORIZED, "not-authorized", "auth")                     \
	X(POLICY_VIOLATION, "policy-violation", "modify")               \
	X(RECIPIENT_UNAVAILABLE, "recipient-unavailable", "wait")       \
	X(REDIRECT, "redirect", "modify")                               \
	X(REGISTRATION_REQUIRED, "registration-required", "auth")       \
	X(REMOTE_CONNECTION_FAILED, "remote-connection-failed", "wait") \
	X(REMOTE_SERVER_NOT_FOUND, "remote-server-not-found", "cancel") \
	X(REMOTE_SERVER_TIMEOUT, "remote-server-timeout", "wait")       \
	X(RESOURCE_CONSTRAINT, "resource-constraint", "wait")           \
	X(SERVICE_UNAVAILABLE, "service-unavailable", "cancel")         \
	X(SUBSCRIPTION_REQUIRED, "subscription-required", "auth")       \
	X(UNDEFINED_CONDITION, "undefined-condition", "cancel")         \
	X(UNEXPECTED_REQUEST, "unexpected-request", "wait")

enum stanza_err {
#define X(name, element, type) STANZA_ERR_##name,
	STANZA_ERR_MAP(X)
#undef X
};

struct stanza {
	enum stanza_kind kind;
	enum stanza_type type;
	const struct jid *from, *to; /* NULL when absent */
	struct str id;               /* text NULL when absent */
	const struct node *node;
};

/* Reads the head of an element in jabber:client or jabber:server. Of an iq also
 * the shape is checked: an id, a type, one child in get and set (section
 * 8.2.3). JID_MALFORMED when an address does not parse (the bad one stays
 * NULL), BAD_REQUEST for a wrong shape; everything that could be read is filled
 * in then too. FEATURE_NOT_IMPLEMENTED when the element is no stanza at all. */
enum stanza_err stanza_read(
    struct arena *, const struct node *, struct stanza *stanza_r);

/* Turns an element of a stream with that content namespace, and its children
 * that have it too, into jabber:client. In place: the tree was read for us. */
void stanza_adopt(const struct node *, struct str ns);

const char *stanza_kind_text(enum stanza_kind);
const char *stanza_type_text(enum stanza_type);
const char *stanza_err_element(enum stanza_err);
const char *stanza_err_type(enum stanza_err);

/* Whether an error may be sent back for it: not for errors and iq results, and
 * not for presence except probes and subscription requests. */
bool stanza_may_fail(const struct stanza *);
/* The error reply: addresses turned, same id and kind, original payload of an
 * iq or message not repeated. text, for people, may be NULL. */
struct stanza *stanza_make_error(
    struct arena *, const struct stanza *, enum stanza_err, const char *text);
/* The <error/> of one that was just made, to add conditions to. */
struct node *stanza_error_body(struct stanza *);
/* The condition in an error stanza; UNDEFINED_CONDITION when there is none. */
enum stanza_err stanza_err_of_node(const struct node *);
/* An iq result with addresses turned; payload may be NULL. */
struct stanza *stanza_make_result(
    struct arena *, const struct stanza *, const struct node *payload);
/* A stanza without children; from and to may be NULL, id may be empty. The
 * node is fresh and may be added to (stanza_body). */
struct stanza *stanza_make(struct arena *, enum stanza_kind, enum stanza_type,
    const struct jid *from, const struct jid *to, struct str id);
/* The element of a stanza that was just made, to add children to. */
struct node *stanza_body(struct stanza *);

/* Another head over the same element: for forwarding to another address. */
struct stanza *stanza_readdress(struct arena *, const struct stanza *,
    const struct jid *from, const struct jid *to);
/* The same without the children for which drop(child) holds; the rest is
 * shared. */
struct stanza *stanza_without(struct arena *, const struct stanza *,
    bool (*drop)(const struct node *child, const void *arg), const void *arg);
/* Everything copied into arena. */
struct stanza *stanza_copy_deep(struct arena *, const struct stanza *);

/* Appends it as bytes of a stream whose content namespace is ns (NS_CLIENT or
 * NS_SERVER); the element takes on that namespace. lang, when not empty, is
 * written as xml:lang unless the stanza has one. */
void stanza_write(
    struct buf *, const struct stanza *, struct str ns, struct str lang);
/* The same as text to be stored; stanza_parse reads it back. */
struct str stanza_text(struct arena *, const struct stanza *);
/* Bytes of a stanza that stanza_write wrote without its to: how many are before
 * the place of its attributes. */
size_t stanza_tag_len(struct str bytes);
/* NULL when it is not a stanza. */
struct stanza *stanza_parse(struct arena *, struct str text);
