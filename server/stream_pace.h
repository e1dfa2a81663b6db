/*
 * server/stream_pace.h - how fast a peer is heard, and what it may send.
 */
#pragma once

#include "server/stream.h"

/* Nothing more is read, but for what has come, until it is let go again. */
void stream_hold(struct stream *, bool is_held);
/* A clock in ms, never 0, that stands still while nothing is read: what comes
 * late by it was not kept waiting by us. */
uint64_t stream_reading_ms(const struct stream *);
/* The largest stanza that is read now. */
uint64_t stream_max_bytes(const struct stream *);
