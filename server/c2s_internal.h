/*
 * server/c2s_internal.h - what the parts of a client's stream share: c2s.c
 * (features and stages), c2s_stanza.c (up), c2s_proof.c (receipt), auth.c.
 */
#pragma once

#include "base/list.h"
#include "server/c2s.h"
#include "server/module.h"
#include "server/session.h"
#include "server/sm.h"

enum c2s_stage {
	C2S_FRESH,
	C2S_AUTHENTICATED,
	C2S_BINDING, /* BOUND will come */
	C2S_BOUND
};

struct c2s {
	struct stream stream; /* first */
	uint8_t stage;
	bool has_asked_bind; /* so a GONE is due */
	bool is_passing;     /* its account goes with it (ANONYMOUS) */
	bool is_ping_open;   /* ours was not answered yet */
	bool is_managed;     /* by c2s_sm.c */
	unsigned in_flight;  /* stanzas: sent up, and not known to be settled */
	struct auth *auth;   /* until authenticated */
	struct registration *registration; /* server/register.c; or NULL */
	const char *mechanism;
	uint64_t login_ms;        /* when the login began: clock_mono_ms */
	uint64_t ticket;          /* of BIND */
	struct arena *bind_arena; /* lifetime: the request to bind */
	struct str bind_id;
	unsigned failed_binds;
	struct list held; /* struct held: what came while binding */
	unsigned held_count;
	struct list proofs;     /* awaited, in order */
	unsigned proof_count;   /* of those */
	unsigned proof_asks;    /* in vain, since an answer to a ping */
	uint64_t proof_acked;   /* what the kernel said before */
	uint64_t ping_position; /* bytes written before it */
	struct timer proof;     /* asks the kernel */
	struct timer moving;
};

static inline struct c2s *
c2s_of(struct stream *stream)
{
	return container_of(stream, struct c2s, stream);
}

static inline struct str
c2s_address(struct c2s *c2s)
{
	return c2s->stream.conn->address;
}

/* By auth.c: it is bare; since when the login was under way. What is to be sent
 * with it was sent. */
void c2s_authenticated(struct c2s *, const struct jid *bare,
    const char *mechanism, uint64_t since_ms);

/* --- auth.c: SASL on the stream ------------------------------------------- */

struct auth *auth_new(struct c2s *);
void auth_free(struct auth **);
/* Adds the mechanisms, and the types of channel binding (XEP-0440). */
void auth_add_features(struct c2s *, struct node *features);
/* An element of SASL's namespace. */
void auth_take(struct c2s *, const struct node *);
/* An attempt is under way, and it is not the client's turn. */
bool auth_is_busy(const struct c2s *);
/* KEYS, ADDRESS_VERDICT on a failure, REGISTERED for ANONYMOUS: whether it is
 * waited for; the letter stays the caller's. */
bool auth_wants(const struct c2s *, const struct post *);
void auth_take_letter(struct c2s *, const struct post *);

/* For the account: who this is. */
void c2s_describe(struct c2s *, struct arena *, struct session_origin *);
/* The account granted this full JID (how: "logged in"), or NULL: nothing; what
 * came meanwhile is taken now. */
void c2s_bound(struct c2s *, const struct jid *full, const char *how);

/* --- c2s_sm.c: stream management ------------------------------------------ */

/* An element of an authenticated stream: whether it was one of ours. */
bool c2s_sm_take(struct c2s *, const struct node *);
/* SM. */
void c2s_sm_take_letter(struct c2s *, const struct post *);
/* Asks the client what it has. */
void c2s_sm_request(struct c2s *);
/* A stanza is sent up, which the session will count. When too many of them are
 * not settled, the client is not read until they are. */
void c2s_sm_count(struct c2s *);

/* --- c2s_stanza.c: of a bound stream -------------------------------------- */

/* A stanza, or what a module takes (HOOK_NONZA). Takes the arena. */
void c2s_take_stanza(struct c2s *, struct arena *, const struct node *);
/* Asks whether the client is there (XEP-0199). */
void c2s_ping(struct c2s *);
/* An answer to an iq, of the server itself on this stream. */
void c2s_answer(struct c2s *, struct arena *, struct str id,
    const struct node *payload, enum stanza_err);

/* --- c2s_proof.c: proofs of receipt --------------------------------------- */

/* What was written up to now carries the ticket. When many are awaited the
 * client is asked for something that proves them. */
void c2s_want_proof(struct c2s *, uint64_t ticket);
/* Bytes came from the client. */
void c2s_prove(struct c2s *);
/* It answered our ping. */
void c2s_prove_pinged(struct c2s *);
/* The client ended its stream in order, and reads on to the end of ours (RFC
 * 6120, section 4.4): what the archive has as well is taken as received. */
void c2s_prove_archived(struct c2s *);
/* The stream is about to end: the kernel is asked more often. Whether proofs
 * are awaited at all. */
bool c2s_hurry_proofs(struct c2s *);
void c2s_forget_proofs(struct c2s *);
