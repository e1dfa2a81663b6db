/*
 * server/s2s_stage.h - a world with a user and another server, which tests of
 * streams between servers play line by line.
 */
#pragma once

#include "server/world_private.h"

#define ROMEO  "romeo@montague.example"
#define VERONA "verona.example"
#define HEAD(attributes)                                   \
	"<stream:stream xmlns='jabber:server' "            \
	"xmlns:stream='http://etherx.jabber.org/streams' " \
	"xmlns:db='jabber:server:dialback' " attributes " version='1.0'>"
#define ANSWER   HEAD("from='" VERONA "' to='montague.example' id='x1'")
#define OPENING  HEAD("from='" VERONA "' to='montague.example'")
#define NS(name) " xmlns='urn:ietf:params:xml:ns:xmpp-" name "'"
#define PAIR     " from='" VERONA "' to='montague.example'"
#define MESSAGE(from)                                             \
	"<message type='chat' id='v1' from='" from "' to='" ROMEO \
	"/orchard'><body>x</body></message>"
#define TO_TYBALT(id)                                                \
	"<message id='" id "' from='escalus@" VERONA "' to='" TYBALT \
	"'><body>x</body></message>"
#define TYBALT "tybalt@montague.example"
/* XEP-0198, and what of it VERONA says on a stream of ours. */
#define ENABLE  "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
#define ENABLED "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>"
#define RESUMED "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>"
#define CLEAR   "s2s.tls_required: false\n"

/* Lines that stage_answer has: of a whole negotiation. */
#define STAGE_LINES 5

struct stage {
	struct world *world;
	struct world_peer *romeo; /* a session of ROMEO */
};

/* VERONA has a server that can be connected to, and is missed when its link
 * breaks. yaml: settings, or NULL. */
struct stage stage_begin(uint64_t seed, const char *yaml);
/* Other settings, with the hosts and shards that it has. */
void stage_reload(const struct stage *, const char *settings);
/* Romeo sends a message with that id to VERONA; the world runs. */
void stage_say(const struct stage *, const char *id);
/* Whether something that contains this comes, after other things. */
bool stage_comes(struct world_peer *, const char *part);
/* Plays so many lines of a server that is connected to, and ends behind
 * STARTTLS, its proceed, its features, the verdict of dialback, and stream
 * management. */
void stage_answer(struct world_peer *, size_t count);
/* Our next stream to VERONA, which must be there, behind so many of them. */
struct world_peer *stage_dialled(const struct stage *, size_t count);
/* The same, for both ways, up to our "<enable/>" or "<resume/>". */
struct world_peer *stage_answer_both_ways(const struct stage *);
/* How many attempts to connect are under way. */
unsigned stage_attempts(const struct stage *);
/* VERONA connects to us. */
struct world_peer *stage_arrive(const struct stage *);
/* The same, and it sends a key of dialback. */
struct world_peer *stage_arrive_with_key(const struct stage *);
/* And it proved its domain: it may send. */
struct world_peer *stage_arrive_proved(const struct stage *);
/* One that the certificate of that domain proved, for both ways. */
struct world_peer *stage_arrive_certified(const struct stage *, const char *);
/* The same, to send only. */
struct world_peer *stage_arrive_one_way(const struct stage *, const char *);
/* Our end of a stream. */
struct s2s *stage_s2s(struct world_peer *);
/* The part of VERONA as the authority of a key; whether it was asked. */
bool stage_vouch(const struct stage *, const char *type);
