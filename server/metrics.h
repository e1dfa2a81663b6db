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
	X(STANZA_ERRORS, counter, "stanza_errors", "Stanza errors sent")      \
	X(STREAM_ERRORS, counter, "stream_errors", "Stream errors sent")      \
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
