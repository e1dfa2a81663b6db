/*
 * server/s2s_attempt.h - what the negotiation of a stream that we open tells
 * the attempt that it belongs to.
 */
#pragma once

#include "server/s2s_internal.h"

/* By its stream: the attempt is over. The stream goes on as a path. */
void attempt_succeeded(struct attempt *);
/* It failed, whatever endpoints are left; the stream is closed. is_final: see
 * struct path_note. */
void attempt_failed(struct attempt *, enum stanza_err, bool is_final,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* This endpoint will not do: the stream is closed, and the next is tried. When
 * none is left the attempt failed, for the reason that the first such one had;
 * one that is final comes before one that is not. */
void attempt_refused(struct attempt *, enum stanza_err, bool is_final,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* This endpoint was of no use: the next is tried. The stream has ended;
 * is_unknown: the peer does not serve the domain. */
void attempt_lost(struct attempt *, struct str why, bool is_unknown);
/* The peer answered the question about a key. */
void attempt_answered(struct attempt *, bool is_valid);
/* What it asks about a key; NULL: it wants a path, or server/s2s_checkup.h. */
const struct dialback *attempt_question(const struct attempt *);
const struct policy *attempt_policy(const struct attempt *);
/* What asks for TLS at this endpoint, in words: "s2s.tls_required asks for";
 * NULL: nothing does. */
const char *attempt_asks_for_tls(const struct attempt *);
struct str attempt_local(const struct attempt *);
struct str attempt_domain(const struct attempt *);
/* The peer's certificate is to be looked at; s2s_out_checked follows. */
void attempt_check(struct attempt *);
