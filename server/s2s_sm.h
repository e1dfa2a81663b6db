/*
 * server/s2s_sm.h - stream management of a stream between servers: XEP-0198.
 *
 * What the peer sent is acknowledged when it is settled (server/handled.h).
 */
#pragma once

#include "server/s2s_internal.h"

struct s2s_resume;

/* An element of stream management; false when it is none. */
bool s2s_sm_take(struct s2s *, const struct node *);
/* Asks for it. */
void s2s_sm_enable(struct s2s *);
/* Goes on where a former stream of the pair stopped, when what came on that is
 * done with: else it would come again. False without one. */
bool s2s_sm_resume(struct s2s *);
void s2s_sm_may_resume(struct s2s *);
/* The answer to either; false: another one follows. */
bool s2s_sm_answered(struct s2s *, const struct node *);
void s2s_sm_resumed(struct s2s *, const struct s2s_resume *);
/* <r/>. */
void s2s_sm_ask(struct s2s *);
/* Counts no more; receipts that come are nobody's. */
void s2s_sm_stop(struct s2s *);
/* A stanza came: its receipt, when it is counted. */
struct receipt s2s_sm_count(struct s2s *);
/* Of stream_role: the last <a/>, which the peer's end waits for a little. */
unsigned s2s_sm_peer_closed(struct stream *);
void s2s_sm_closing(struct stream *);
