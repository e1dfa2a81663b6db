/*
 * server/metrics.h - counters and gauges, one set per shard, added up when
 * asked: OpenMetrics text on the administration's socket.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

struct shard;
struct server;

#define METRIC_MAP(X)                                                         \
	X(CONNECTIONS, counter, "connections", "Connections accepted")        \
	X(CONNECTIONS_REFUSED, counter, "connections_refused",                \
	    "Connections refused by a limit")                                 \
	X(STREAMS, gauge, "streams", "Streams open now")                      \
	X(SESSIONS, gauge, "sessions", "Sessions bound now")                  \
	X(OWNERS, gauge, "owners", "Accounts in memory")                      \
	X(LOGINS, counter, "logins", "Logins that succeeded")                 \
	X(LOGINS_FAILED, counter, "logins_failed", "Logins that failed")      \
	X(STANZAS_IN, counter, "stanzas_received", "Stanzas from clients")    \
	X(STANZAS_OUT, counter, "stanzas_sent", "Stanzas to clients")         \
	X(BYTES_IN, counter, "bytes_received", "Bytes from clients")          \
	X(BYTES_OUT, counter, "bytes_sent", "Bytes to clients")               \
	X(LETTERS, counter, "letters", "Letters handled by shards")           \
	X(OFFLINE_STORED, counter, "offline_stored", "Messages kept offline") \
	X(PUSHES, counter, "pushes", "Push notifications sent")               \
	X(ARCHIVED, counter, "archived", "Rows written to archives")          \
	X(STANZA_ERRORS, counter, "stanza_errors", "Stanza errors sent")      \
	X(STREAM_ERRORS, counter, "stream_errors", "Stream errors sent")      \
	X(S2S_SENT, counter, "s2s_stanzas_sent",                              \
	    "Stanzas that other servers acknowledged")                        \
	X(S2S_RECEIVED, counter, "s2s_stanzas_received",                      \
	    "Stanzas from other servers")                                     \
	X(S2S_BOUNCED, counter, "s2s_bounced",                                \
	    "Stanzas that could not be sent to other servers and came back")  \
	X(S2S_DROPPED, counter, "s2s_dropped",                                \
	    "Presence and answers that could not be sent there")              \
	X(S2S_QUEUED, gauge, "s2s_queued",                                    \
	    "Stanzas that wait for other servers now")                        \
	X(S2S_PAIRS, gauge, "s2s_pairs",                                      \
	    "Pairs of a domain of ours and another one in memory")            \
	X(S2S_CONNECTS, counter, "s2s_connects",                              \
	    "Attempts to connect to other servers")                           \
	X(S2S_FAILURES, counter, "s2s_failures", "Those that failed")         \
	X(STORE_ERRORS, counter, "store_errors", "Store questions that failed")

enum metric {
#define X(name, type, text, help) METRIC_##name,
	METRIC_MAP(X)
#undef X
	    METRIC_COUNT
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics **);
/* Only on the shard's thread; read by others. */
void metric_add(struct shard *, enum metric, int64_t by);
/* All shards together, with the process's own figures, as OpenMetrics text. */
void metrics_write(const struct server *, struct buf *);
