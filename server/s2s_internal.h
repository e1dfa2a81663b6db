/*
 * server/s2s_internal.h - what the parts of a stream between servers share:
 *
 *	s2s_attempt.c	until a stream that we open can be used
 *			(server/s2s_attempt.h)
 *	s2s_out.c	its negotiation
 *	s2s_in.c	a stream that a peer opens: features, EXTERNAL
 *	s2s_limits.c	what each side takes (server/s2s_limits.h)
 *	s2s_right.c	which domains may send on a stream, and dialback
 *	s2s_stanza.c	stanzas, in and out, and what acknowledges them
 *	s2s_sm.c	stream management (server/s2s_sm.h)
 *	s2s_resume.c	what of that outlives a stream
 */
#pragma once

#include "base/list.h"
#include "server/dial.h"
#include "server/dialback.h"
#include "server/handled.h"
#include "server/s2s.h"
#include "server/sm.h"
#include "server/verify.h"

#define NS_TLS          "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_BIDI         "urn:xmpp:bidi"
#define NS_BIDI_FEATURE "urn:xmpp:features:bidi"

/* Bytes of a peer's words that are passed on. */
#define WORDS_MAX 200

struct attempt;
struct checkup;

/* What a stream that we open waits for; anything else ends it. */
enum s2s_step {
	OUT_FEATURES, /* the peer's header, then its features */
	OUT_TLS,      /* <proceed/> */
	OUT_CHECKED,  /* TLS, and what its certificate proves */
	OUT_EXTERNAL, /* <success/> */
	OUT_KEY,      /* what became of our key of dialback */
	OUT_QUESTION, /* the same of somebody else's, that we asked about */
	OUT_ENABLED,  /* stream management, or already stanzas */
	OUT_PING,     /* of a checkup: the answer to its ping */
	OUT_READY     /* stanzas */
};

/* A pair of domains that may carry stanzas outwards: a path of a remote. */
struct s2s_path {
	struct link link;
	struct str local, domain;
	unsigned proof; /* enum proof: of the domain */
};

/* What was sent with a ticket, and is not acknowledged yet. */
struct s2s_mark {
	struct link link;
	struct s2s_path *path;
	uint64_t ticket, sent; /* stanzas that were sent when it is proved */
};

/* How much there was in a minute that began then: clock_mono_ms. */
struct s2s_rate {
	unsigned count;
	uint64_t since_ms;
};

struct s2s {
	struct stream stream;     /* first */
	bool is_out, is_bidi;     /* we opened it; XEP-0288 */
	enum s2s_step step;       /* out */
	bool is_tls_a_guess;      /* asked for, though it was not offered */
	bool offers_sm, has_acks; /* XEP-0198: the peer's offer; it is on */
	bool is_asked;            /* an <r/> or ping is open */
	bool answers_in_vain;     /* the last answer covered nothing new */
	uint64_t asked_ms; /* stream_reading_ms of the first in vain; or 0 */
	bool is_resumed, is_kept; /* it goes on; it is over and may do so */
	bool has_heard;           /* it is over, and stanzas came on it */
	struct str sm_id;         /* it can be resumed by; empty: it cannot */
	struct str former;        /* the SM-ID that is to be resumed */
	struct stream_id resumed; /* is_resumed: that stream */
	uint64_t former_h; /* what its peer has of it; out: what we have */
	unsigned proof;    /* enum proof: of the domain that was proved with the
			      stream itself; pairs have their own */
	int64_t ends_s;    /* when its first proof does, since 1970; 0: none */
	uint64_t max_bytes, idle_s; /* XEP-0478: of the peer; 0: not said */
	struct attempt *attempt;    /* out: until it is over */
	struct list rights;         /* struct s2s_right */
	unsigned right_count;
	struct list paths, marks; /* struct s2s_path; s2s_mark, in order */
	uint64_t sent, acked;     /* stanzas */
	uint64_t sent_before;     /* stream management began */
	struct handled handled;   /* received, since somebody asked for it */
	uint64_t early; /* of those, before the peer's answer: not of h */
	uint64_t handled_before, told_h; /* on a former stream; h, last */
	uint64_t used_ms;                /* when the last one passed */
	struct timer ask, late, idle;
	struct s2s_rate refusals; /* of dialback: they end the stream */
	struct s2s_rate remarks;  /* about it, that only the log hears */
	/* Of one that a peer opened: */
	struct s2s_check *check; /* of its certificate, at hand; or NULL */
	unsigned certified;      /* enum proof: what that came to */
	int64_t certified_to_s;  /* as ends_s */
	struct policy policy;    /* towards the claimed domain */
	bool is_path_due;        /* when the stream was opened anew */
	uint8_t auth_failures, resume_failures; /* three end the stream */
	bool has_peer_error;                    /* a stream error came */
	bool is_unknown, is_unused; /* host-unknown; connection-timeout */
};

static inline struct s2s *
s2s_of(struct stream *stream)
{
	return container_of(stream, struct s2s, stream);
}

/* --- s2s_out.c ------------------------------------------------------------ */

struct s2s *s2s_out_new(struct shard *, struct conn *, struct attempt *);
void s2s_out_checked(struct s2s *, const struct verify *);

/* --- s2s_right.c: who may send -------------------------------------------- */

enum right_stage { RIGHT_CHECKING, RIGHT_CALLING, RIGHT_PROVED };

/* That domain may send to local on this stream, or tries to prove it. */
struct s2s_right {
	struct link link;
	struct s2s *s2s;
	struct arena *arena;
	struct arena *check_arena; /* until the check is done: chains are long
				    */
	struct str local, domain, key;
	enum right_stage stage;
	unsigned proof; /* enum proof; 0 while it is being proved */
	struct policy policy;
	struct verify check;
	struct verify_ask check_ask;
	uint64_t received, told_ms; /* stanzas that the remote was not told of;
				       when it last was */
	bool is_gone;               /* the stream ended while it was checked */
};

struct s2s_right *s2s_right_find(
    struct s2s *, struct str local, struct str domain);
/* Proved by other means: EXTERNAL, or a stream that we opened. */
void s2s_right_add(struct s2s *, struct str local, struct str domain);
/* The stream ended: checks under way are given up. */
void s2s_rights_cancel(struct s2s *);
void s2s_rights_free(struct s2s *);
/* What the policy of now has against that pair, proved so (0: not yet), on this
 * stream; NULL: nothing. */
const char *s2s_objection(
    const struct s2s *, struct str local, struct str domain, unsigned proof);
/* After a reload: a stream with a pair that it does not permit ends. */
void s2s_on_setup(struct stream *);
/* An element of dialback to be sent. */
struct node *s2s_db_make(struct arena *, const char *name);
/* One that came. */
void s2s_take_db(struct s2s *, const struct node *);
void s2s_take_verdict(struct s2s *, const struct dialback *);
/* Asks the peer for the right to send, as the attempt's domain. */
void s2s_send_key(struct s2s *);

/* --- s2s_stanza.c --------------------------------------------------------- */

/* What every stream does: when it is made, when it ends (the remotes are told
 * why), when its memory goes; stanzas and letters. */
void s2s_init(struct s2s *);
void s2s_end(struct s2s *, struct str why);
/* <stream:error/> came, which ends the stream: its words are the reason. */
void s2s_take_error(struct s2s *, const struct node *);
void s2s_deinit(struct s2s *);
void s2s_take_stanza(struct s2s *, struct arena *, const struct node *);
void s2s_on_letter(struct stream *, struct post *);
/* Tells the remote that the stream is a path for that pair, proved so. */
void s2s_path_ready(
    struct s2s *, struct str local, struct str domain, unsigned proof);
/* Tells the remote that the pair's domain may send, and how much came. */
void s2s_tell_heard(struct s2s_right *);
/* The peer resumed a stream of its by this one: its paths know what it has. */
void s2s_tell_resumed(struct s2s *);
/* XEP-0199. */
void s2s_send_ping(struct s2s *, struct str local, struct str domain);
/* Asks the peer, at the end of the turn, to acknowledge what was sent. */
void s2s_want_ack(struct s2s *);
/* The peer counts from now on: what follows proves what went before. */
void s2s_begin_marks(struct s2s *);
/* An answer: all up to that count of stanzas was handled by the peer. */
void s2s_acked(struct s2s *, uint64_t count);
bool s2s_on_idle(struct stream *);
/* Closes the stream when nobody uses it; from now on. */
void s2s_watch_idle(struct s2s *);
/* Closes it when a proof of the peer's ends (RFC 6120, section 13.7.2.3); 0: it
 * does not. */
void s2s_proved_until(struct s2s *, int64_t ends_s);
