/*
 * server/stream.h - an XML stream (RFC 6120, section 4): header, features,
 * errors, restarts, closing, keepalive, limits of time. What goes on in it is
 * its role's: c2s (server/c2s.h), s2s (server/s2s.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "server/conn.h"
#include "server/post.h"
#include "server/timer.h"
#include "xml/reader.h"
#include "xml/stanza.h"

/* RFC 6120, section 4.9.3. */
#define STREAM_ERR_MAP(X)                                       \
	X(NONE, "")                                             \
	X(BAD_FORMAT, "bad-format")                             \
	X(BAD_NAMESPACE_PREFIX, "bad-namespace-prefix")         \
	X(CONFLICT, "conflict")                                 \
	X(CONNECTION_TIMEOUT, "connection-timeout")             \
	X(HOST_GONE, "host-gone")                               \
	X(HOST_UNKNOWN, "host-unknown")                         \
	X(IMPROPER_ADDRESSING, "improper-addressing")           \
	X(INTERNAL_SERVER_ERROR, "internal-server-error")       \
	X(INVALID_FROM, "invalid-from")                         \
	X(INVALID_NAMESPACE, "invalid-namespace")               \
	X(INVALID_XML, "invalid-xml")                           \
	X(NOT_AUTHORIZED, "not-authorized")                     \
	X(NOT_WELL_FORMED, "not-well-formed")                   \
	X(POLICY_VIOLATION, "policy-violation")                 \
	X(REMOTE_CONNECTION_FAILED, "remote-connection-failed") \
	X(RESET, "reset")                                       \
	X(RESOURCE_CONSTRAINT, "resource-constraint")           \
	X(RESTRICTED_XML, "restricted-xml")                     \
	X(SEE_OTHER_HOST, "see-other-host")                     \
	X(SYSTEM_SHUTDOWN, "system-shutdown")                   \
	X(UNDEFINED_CONDITION, "undefined-condition")           \
	X(UNSUPPORTED_ENCODING, "unsupported-encoding")         \
	X(UNSUPPORTED_FEATURE, "unsupported-feature")           \
	X(UNSUPPORTED_STANZA_TYPE, "unsupported-stanza-type")   \
	X(UNSUPPORTED_VERSION, "unsupported-version")

enum stream_err {
#define X(name, element) STREAM_ERR_##name,
	STREAM_ERR_MAP(X)
#undef X
};

/* CLOSE: why an account ends a stream. GONE: how a stream ended. */
struct stream_end {
	enum stream_err err;
	struct str text; /* for people; may be empty */
	bool is_final;   /* GONE: the peer closed it in order */
	uint64_t taken;  /* GONE: letters DOWN that it took */
};

struct stream;

/* What makes a stream a c2s one. A role embeds struct stream as its first
 * member. */
struct stream_role {
	const char *name; /* "c2s", in the log */
	struct str content_ns;
	size_t len;         /* of the struct that embeds the stream */
	bool is_last;       /* as the server goes, it ends after the others: it
			       carries what their end causes */
	bool is_of_servers; /* headers declare dialback (XEP-0220, section
			       2.1) and need no version (before RFC 3920) */
	/* XEP-0114: what the to of a header must be, instead of a host; such
	 * headers tell no version, the stream has no host. NULL: hosts. */
	bool (*serves)(const struct stream *, struct str domain);
	/* The peer's header is acceptable, ours is sent: send features. */
	void (*on_open)(struct stream *);
	/* A child of the stream; takes the arena. */
	void (*on_element)(
	    struct stream *, struct arena *, const struct node *);
	/* A letter DOWN, KEYS, BOUND, CLOSE and the like; takes it. */
	void (*on_letter)(struct stream *, struct post *);
	void (*on_secure)(struct stream *); /* TLS is up; or NULL */
	void (*on_setup)(struct stream *);  /* after a reload; or NULL */
	/* Bytes came: proofs of receipt; or NULL. */
	void (*on_activity)(struct stream *);
	/* Nothing came for long: ask (is_pinged is set). False if none can. */
	bool (*on_idle)(struct stream *);
	/* The peer's end came. How long, in ms, answers to what it sent before
	 * may take until ours follows; or NULL: no time. */
	unsigned (*on_peer_closed)(struct stream *);
	/* The server ends. Is the peer's end worth a moment? Or NULL. */
	bool (*awaits_end)(struct stream *);
	void (*on_closing)(struct stream *); /* last words; or NULL */
	/* Nothing is read or sent any more; the memory goes later. */
	void (*on_gone)(struct stream *, const struct stream_end *);
	/* Frees what is not in the arena; without on_gone as a shard ends. */
	void (*on_free)(struct stream *);
};

struct stream {
	struct stream_id id;
	const struct stream_role *role;
	struct log log; /* "c2s 1/17 romeo@localhost/orchard" */
	struct shard *shard;
	struct conn *conn;
	bool is_open;          /* our header was sent */
	bool has_version;      /* the peer's header had one */
	bool is_ending;        /* our </stream:stream> was sent */
	bool is_peer_ended;    /* theirs came */
	bool is_gone;          /* the role knows that it is over */
	bool is_authenticated; /* the role says so: limits grow */
	bool is_pinged;        /* since bytes last came */
	bool is_held;          /* stream_hold */
	bool is_feeding;       /* the reader is at work */
	bool is_deaf;          /* what still comes of this feed is dropped */
	struct arena *arena;   /* lifetime: stream */
	struct reader *reader;
	const struct host *host;   /* domain_host of host_name; NULL before the
				      header, and where the role has serves */
	const struct jid *peer;    /* as authenticated, later bound; or NULL */
	const struct jid *claimed; /* the from of the peer's header; or NULL */
	const struct jid *claimed_in_clear; /* before TLS: for the log only */
	struct str lang;    /* the peer's xml:lang; empty without */
	struct str target;  /* what we opened it to; empty when the peer did */
	struct str id_text; /* of the header of who was connected to */
	struct stream_end end;
	uint64_t taken;       /* letters DOWN */
	struct str host_name; /* our domain, also while the setup changes */
	struct timer timer;   /* the next deadline: login, idle, closing */
	struct timer pause;   /* until the peer may send again */
	uint64_t deadline_ms; /* to be authenticated; 0 when it is */
	uint64_t heard_ms;    /* when bytes last came: clock_mono_ms */
	uint64_t unread_ms;   /* for how long nothing was read, until it was */
	uint64_t unread_since_ms; /* that nothing is read now; 0: it is */
	int64_t credit;           /* bytes that it may send now */
	uint64_t credit_ms;       /* when that was counted */
};

/* MOVE: between SASL success and bind. */
struct stream_move {
	struct stream *stream;
};

struct streams *streams_new(void); /* of a shard: slots, found by id */
void streams_free(struct streams **);
struct stream *stream_find(struct shard *, struct stream_id); /* or NULL */
/* A letter for it will soon be taken: its memory is asked for. */
void stream_fetch(struct shard *, struct stream_id);
/* For the administration: each stream; NULL to begin. */
struct stream *stream_next(struct shard *, struct stream *);

/* Over a connection that was accepted; the conn is the stream's. */
struct stream *stream_new(
    struct shard *, const struct stream_role *, struct conn *);
/* A stream that we open over a connection that we made, from a domain of ours
 * that has a host (server/domains.h) to the target; the conn is the stream's.
 * stream_open sends the header. */
struct stream *stream_new_out(struct shard *, const struct stream_role *,
    struct conn *, struct str local, struct str target);
void stream_open(struct stream *);
/* Handlers of letters: DOWN, KEYS, BOUND, CLOSE, ADDRESS_VERDICT; MOVE. */
void stream_take(struct shard *, struct post *);
void stream_take_move(struct shard *, struct post *);
/* After a reload: streams of a host that is gone end. */
void streams_setup_changed(struct shard *);
/* Ends all that are last, or all others, as the server goes. */
void streams_close_all(struct shard *, bool is_last, enum stream_err);

/* Text that is XML already: many stanzas at once. */
void stream_send_text(struct stream *, struct str);
/* Writes an element of the stream's own (features, SASL, ...). */
void stream_send(struct stream *, const struct node *);
void stream_send_stanza(struct stream *, const struct stanza *);
/* A stanza serialised without its to: put in place here. */
void stream_send_blob(
    struct stream *, const struct blob *, const struct jid *to);
/* With children; written as <stream:features>. */
void stream_send_features(struct stream *, const struct node *);
/* After SASL: the stream is opened anew, by stream_open or the peer. */
void stream_restart(struct stream *);
/* The role authenticated the peer: its own limits hold from now on. */
void stream_authenticated(struct stream *, const struct jid *bare);
/* Begins TLS once what was written has left; bytes that came with the request
 * for it (or its answer) are dropped. */
void stream_start_tls(struct stream *);
/* To another shard; false when it must stay: the peer has already gone on, or
 * bytes wait. The stream may not be touched after true. */
bool stream_move(struct stream *, struct shard *);
/* </stream:stream>, with an error before it (and our header, if it was not sent
 * yet); then waits for the peer's for a moment, and closes. Idempotent. */
void stream_close(struct stream *);
void stream_fail(struct stream *, enum stream_err, const char *text);
/* With an application-specific condition (RFC 6120, section 4.9.4). */
void stream_fail_with(struct stream *, enum stream_err, const char *text,
    const struct node *specific);
/* Nobody is there to say goodbye to, or there is no time for it. */
void stream_cut(struct stream *, enum stream_err, struct str text);
const char *stream_err_element(enum stream_err);
bool stream_is_secure(const struct stream *);
