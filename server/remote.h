/*
 * server/remote.h - domains that are not ours: what is to go there, in order.
 *
 * A remote is the owner of such a domain, on the shard of its hash, with one
 * pair for each domain of ours that talks to it. A pair holds what was not
 * proved to have been handled there yet, and outlives the streams that carry
 * it. It knows a stream only as a path: a stream_id that said READY. Remotes
 * and streams talk by letters:
 *
 *	server->s2s_connect		a path is wanted
 *	PATH READY, or FAILED		the answer; READY also comes unasked
 *					from streams that peers opened
 *					(XEP-0288)
 *	DOWN				to the path: see below
 *	PATH ACKED			all up to a ticket was handled there
 *	PATH GONE			the stream's last letter
 *
 * A letter DOWN to a path has no stanza but its bytes: blob, in the namespace
 * of servers and without to, is to be sent to each of receivers, in that order
 * (stream_send_blob). path->local is our domain of the pair. Its ticket (> 0,
 * growing in the order of sending) is to be ACKED; stanzas that were sent again
 * have the ticket that they had.
 *
 * A request that changes something (an iq of type set) is not sent again when
 * nobody knows what became of it: the stream broke, and is not resumed. Its
 * answer may come still, from that server; if it does not, the sender is told
 * after s2s.hold_others.
 *
 * A component's domain (server/domains.h) is a remote too. It has one pair for
 * all who write to it, other servers as well; nobody is asked for its paths,
 * whose bytes are in the namespace of components. The first path that is READY
 * is told so by ADMIT; when another one comes, the first gets RIVAL, and ends
 * or says ALIVE, after which the others get CLOSE (conflict). Without a path an
 * iq is answered at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/post.h"

struct shard;

enum path_event {
	PATH_READY,  /* this stream may carry stanzas from local to the remote;
			again after FAILED or GONE of another one, or when it
			was resumed */
	PATH_FAILED, /* the attempt that was asked for came to nothing */
	PATH_ACKED,  /* letter->ticket: all up to it was handled; never a later
			one than was sent */
	PATH_GONE,   /* a stream that was READY: what was not ACKED was perhaps
			not handled, and goes again on the next path; or one
			that HEARD: if it was the last of the pair and did not
			end in order, a path is asked for, if somebody here
			misses that domain */
	PATH_ALIVE, /* a component's stream, asked by RIVAL: its peer answers */
	PATH_HEARD, /* the peer of this stream may send from the remote to
		    local, and letter->ticket stanzas came since the last
		    HEARD: when that was proved, and at times (not for each
		    stanza), so that it can be seen */
	PATH_ANSWERED, /* an iq that went there was answered: letter->stanza is
			  the head of the answer */
	PATH_SEEN, /* an account of local shows somebody of theirs, who is no
		      contact, as available */
};

/* PATH: from a stream (letter->stream; for FAILED none) to the remote that
 * letter->to, a domain, names. */
struct path_note {
	enum path_event event;
	struct str local;    /* our domain of the pair; empty: all of them */
	enum stanza_err err; /* FAILED: what senders are told; GONE: NONE when
				it ended in order, being idle */
	struct str text;     /* FAILED, GONE: why, for people; may be empty */
	bool can_resume;     /* GONE: who opened the stream may go on with
				another one where it was cut (XEP-0198), and
				then what the peer has is ACKED */
	bool has_heard;      /* GONE: the peer said something on it */
	bool is_final; /* FAILED: trying again soon is of no use (not found,
			  policy, certificate): what waits is answered */
	/* READY and HEARD, for those who watch: */
	bool is_out, is_bidi, has_acks, is_resumed;
	struct stream_id former; /* is_resumed: of the one that goes on */
	unsigned proof;          /* enum proof */
	uint64_t max_bytes;      /* of a stanza that the peer takes (XEP-0478);
				    0: not said */
	struct str proof_text;   /* "certificate", "dialback", ... */
	struct str tls;          /* "TLS1.3"; empty without */
	struct str address;      /* of the peer */
};

/* DOMAIN, to every shard, of a domain that took presence of ours: what accounts
 * with contacts there should know. */
struct domain_note {
	enum domain_event {
		DOMAIN_LOST,    /* not reached for s2s.presence_lost */
		DOMAIN_DOUBTED, /* the link broke; it is there again */
		DOMAIN_BACK     /* after LOST, or when presence of ours waited
				   too long */
	} event;
	struct str local, domain; /* local empty: all of ours */
	uint64_t spread_ms;       /* accounts may take so long to act */
};

/* The remotes of a shard. */
struct remotes *remotes_new(void);
/* At the shard's end; what still waits is forgotten with its letters. */
void remotes_free(struct remotes **);
/* Whether there are other servers at all. */
bool remote_is_on(const struct shard *);

/* STANZA or MANY (without blob, to its receivers) whose letter->to is a domain
 * that is not ours, or a component's; router_route and router_fan_out make it
 * so. Takes it. */
void remote_take(struct shard *, struct post *);
/* A letter PATH from local to the remote of that domain, and its note, which
 * lives in it: with both, without the rest. */
struct path_note *path_note_new(enum path_event, struct str local,
    struct str domain, struct post **letter_r);
/* All up to the ticket was handled by that domain (ACKED). */
void remote_tell_acked(
    struct shard *, struct str local, struct str domain, uint64_t ticket);
/* A stanza of that domain came, for local, on a stream of either: if it answers
 * an iq, the remote is told (ANSWERED). */
void remote_hear(
    struct shard *, struct str local, struct str domain, const struct stanza *);
/* Somebody of that domain, who is no contact, is shown as available by an
 * account of local: when its link breaks he is missed (SEEN). Not for a domain
 * of a component: that is missed anyhow. */
void remote_see(struct shard *, struct str local, struct str domain);
/* The handler of PATH. */
void remote_take_path(struct shard *, struct post *);
/* The shard has a new configuration: components may be gone. */
void remotes_setup_changed(struct shard *);
/* Whether something was sent and is not acknowledged yet. */
bool remote_is_sending(struct shard *);
/* The server goes: iqs to servers that are not connected are answered, those
 * that were sent and not acknowledged too. More may come. */
void remote_give_up_iqs(struct shard *);
/* The server goes: all that is worth it and waits still is written down, and
 * sent at the next start. Before its store is closed. */
void remote_keep_all(struct shard *);
