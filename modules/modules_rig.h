/*
 * modules/modules_rig.h - what the tests of modules share: worlds with Romeo
 * and Juliet in them, and looks at what their peers got, what accounts hold and
 * what is stored.
 */
#pragma once

#include "base/check.h"
#include "server/account.h"
#include "server/world.h"
#include "storage/store.h"

#define ROMEO  "romeo@montague.example"
#define JULIET "juliet@capulet.example"

/* A world with both accounts; yaml as in world_options, shard_count 0: drawn.
 */
struct world *rig_world(uint64_t seed, unsigned shard_count, const char *yaml);

/* A session that is bound, and one that is also available; what came until then
 * is skipped. */
struct world_peer *rig_bind(struct world *, const char *jid);
struct world_peer *rig_login(struct world *, const char *jid);
/* And one that has read its roster, too: it is sent changes. */
struct world_peer *rig_interested(struct world *, const char *jid);

/* Sends, then runs the world. */
void rig_send(struct world_peer *, const char *xml);
/* The next element must fit the pattern (conformance/README.md); fails. */
#define rig_expect(peer, pattern) \
	rig_expect_at((peer), (pattern), __FILE__, __LINE__)
void rig_expect_at(
    struct world_peer *, const char *pattern, const char *file, int line);
/* Sends the first, expects the second (NULL: nothing), for each row. */
struct rig_talk {
	const char *sent, *wanted;
};
void rig_talks(struct world_peer *, const struct rig_talk *, size_t count);
#define STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"
/* The pattern of an error answer to an iq. */
#define RIG_ERROR(id, type, condition)                                    \
	"<iq type='error' id='" id "'><error type='" type "'><" condition \
	" xmlns='" STANZAS "'/></error></iq>"
/* Whether one of the elements that are there fits; those up to it are gone
 * then, all of them when none does. */
bool rig_finds(struct world_peer *, const char *pattern);
/* In how many of those that are there this text is; they are gone then. */
unsigned rig_hears(struct world_peer *, const char *text);
/* Enables stream management with resumption (XEP-0198), when all that came was
 * taken; id is what it resumes by. */
#define RIG_ID_LEN 64
void rig_enable(struct world_peer *, char id[static RIG_ID_LEN]);
/* Asks for the session to go on with a peer that has only logged in. */
void rig_resume(struct world_peer *, const char *id, unsigned h);
/* The same with a new one of that account; the answer matches wanted. */
struct world_peer *rig_come_back(struct world *, const char *bare,
    const char *id, unsigned h, const char *wanted);
/* Kills the server after so many steps; whether it came to that before there
 * was nothing more to do. */
bool rig_run_killed(struct world *, unsigned steps);
/* What a test is to play, if it was called with FIRST_SEED COUNT. */
void rig_seeds(int argc, char **argv, uint64_t *first, uint64_t *count);
/* Nothing came. */
#define rig_expect_nothing(peer) \
	rig_expect_nothing_at((peer), __FILE__, __LINE__)
void rig_expect_nothing_at(struct world_peer *, const char *file, int line);
void rig_skip(struct world_peer *);

/* The account, loaded; NULL when there is none. */
struct account *rig_account(struct world *, const char *bare);
/* SUB_ bits (modules/roster.h) of the account's contact. */
unsigned rig_sub(struct world *, const char *bare, const char *contact);
/* Writes a contact with them past the server, as rig_put does. */
void rig_put_sub(
    struct world *, const char *bare, const char *contact, unsigned sub);
/* The two as contacts of each other; then the server is killed, so that it sees
 * them. */
void rig_put_subs(struct world *, unsigned romeo, unsigned juliet);
/* Durable letters that are stored. */
unsigned rig_outbox(struct world *);
/* Stores one from an earlier run: a stanza of the namespace jabber:client. With
 * ahead_ms the clock was that much ahead then. */
void rig_outbox_add(struct world *, const char *xml, uint64_t ahead_ms);
/* Writes a row of a map past the server; the account sees it when it is loaded
 * anew, after a kill. */
void rig_put(struct world *, const char *bare, const struct store_kind *,
    const char *key, const char *value);
void rig_put_key(struct world *, const char *bare, const struct store_kind *,
    struct str key, const char *value);
/* Appends a row to a log likewise. */
void rig_append(struct world *, const char *bare, const struct store_kind *,
    const char *value);
/* Rows of a log that counts them. */
unsigned rig_count(struct world *, owner_id, const struct store_kind *);
/* Whether the map of that owner has a row. */
bool rig_has(struct world *, owner_id, const struct store_kind *);
