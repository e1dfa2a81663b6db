/*
 * server/s2s.h - streams between servers: RFC 6120, XEP-0220, 0178, 0288, 0198.
 *
 * A stream that we open is an attempt first (server/s2s_attempt.c): resolve,
 * dial, TLS, the peer's certificate, EXTERNAL or dialback. When it may carry
 * stanzas it tells the remote so (PATH READY, server/remote.h). A stream that a
 * peer opens carries stanzas inwards for each pair of domains that it proved,
 * and outwards too where both agreed on that (XEP-0288).
 */
#pragma once

#include "server/stream.h"

/* A stream over a connection that a server opened; takes the connection. */
struct stream *s2s_accept(struct shard *, struct conn *);
/* Wants a path from a domain of ours; on the shard of the remote, who gets PATH
 * READY or FAILED. server->s2s_connect. */
void s2s_connect(struct shard *, struct str local, struct str domain);
/* Whether what came on a stream is not acknowledged, as it is not kept yet. */
bool s2s_is_open(struct shard *);
/* At the end of a shard, before its streams are closed: no more attempts. */
void s2s_stop(struct shard *);
/* The shard ends: what is left of attempts, behind its streams. */
void s2s_free(struct shard *);

/* Goes through all the steps of a stream to the domain call->to and tells each
 * (POST /v1/s2s/check): on the shard of that domain, beside the streams and the
 * queue that it has. Few at a time, for a minute at most. Takes the call. */
void s2s_check(struct shard *, struct post *call);

/* DIALBACK: a stream wants to know of the domain letter->to whether a key is
 * that domain's; on the shard of that domain. The answer is DIALBACK_VERDICT,
 * to the stream. */
struct dialback {
	struct str local;    /* our domain, that received the key */
	struct str domain;   /* who is said to have made it */
	struct str id, key;  /* of the question */
	bool is_valid;       /* of the verdict */
	enum stanza_err err; /* likewise: why nobody could say; or NONE */
	struct str text;     /* likewise, for people */
};
void s2s_take_dialback(struct shard *, struct post *);

/* RESUME: a stream wants to go on where a former one stopped; to the shard of
 * that. The answer is RESUMED, to the stream. */
struct s2s_resume;
void s2s_take_resume(struct shard *, struct post *);
/* RESUMED came for a stream that is gone: it may be asked again. */
void s2s_resume_missed(struct shard *, const struct post *);

/* PONG: an answer to a ping of that stream came, perhaps on another one. */
void s2s_take_pong(struct shard *, struct post *);
