/*
 * modules/push_rig.h - what the tests of push notifications share: a push
 * service of another server, and Juliet, whose device it wakes.
 */
#pragma once

#include <stdio.h>

#include "modules/modules_rig.h"
#include "modules/push_private.h"
#include "server/session.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SERVICE "push.example"
#define NODE    "yxs32uqsflafdk3iuqo"
#define HOST    "capulet.example"
#define BALCONY JULIET "/balcony"

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)
#define DAYS    (24 * 60 * MINUTES)

#define SET(id, content) "<iq type='set' id='" id "'>" content "</iq>"
#define DONE(id)         "<iq type='result' id='" id "'/>"
#define ENABLE(jid, node, content)                                           \
	SET("e", "<enable xmlns='urn:xmpp:push:0' jid='" jid "' node='" node \
		 "'>" content "</enable>")
#define DISABLE(attributes) \
	SET("d", "<disable xmlns='urn:xmpp:push:0' " attributes "/>")
#define OPTIONS(type, secret)                                               \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"    \
	"<value>http://jabber.org/protocol/pubsub#" type "</value></field>" \
	"<field var='secret'><value>" secret "</value></field></x>"
#define FIELD(var, value) "var='" var "'><value>" value "</value>"
#define COUNTS(number)    FIELD("message-count", number)
#define NO_BODY           FIELD("last-message-body", "New message!")

struct stage {
	struct world *world;
	struct neighbour *service;
	struct world_peer *juliet, *romeo;
	char id[64]; /* of the publish that came last */
};

/* Romeo is there; Juliet is bound at her balcony. */
struct stage push_begin_with(const char *yaml);
/* She has enabled one device there, and is away. */
struct stage push_begin(const char *yaml);
void push_end(struct stage *);

/* Romeo writes to her: content, or just a body. */
void push_write(struct stage *, const char *content);
void push_say(struct stage *);

/* The next publish, NULL when none came. */
const char *push_next(struct stage *);
/* It must have both parts. */
void push_expect(struct stage *, const char *part, const char *other);
/* Answers the last one. */
void push_succeed(struct stage *);
/* Without an error that says which when the type is NULL. */
void push_refuse(struct stage *, const char *type, const char *condition);
/* Whether a message now makes a notification, which then goes well. */
bool push_rings_once(struct stage *);
