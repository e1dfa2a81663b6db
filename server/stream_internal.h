/*
 * server/stream_internal.h - what the files of streams share.
 */
#pragma once

#include "server/settings.h"
#include "server/stream_pace.h"

#define STREAM_LANG "en"
/* Of the shard's buffer for what is being written, between two uses. */
#define SCRATCH_KEPT ((size_t)64 * 1024)

/* Gives it a slot of the shard, and with it its id. */
void streams_add(struct shard *, struct stream *);
void streams_remove(struct stream *);
/* The limits of the configuration, and of who is authenticated, hold. */
void stream_limit(struct stream *);
/* server/stream_pace.c: so many bytes came; may stop reading for a while. */
void stream_pace(struct stream *, size_t len);
void stream_set_reading(struct stream *, bool);
/* A number, size (bytes) or time (ms) of the configuration, for its host. */
uint64_t stream_setting(const struct stream *, enum settings_index);
/* Of two limits the one that holds now: before authentication the smaller. */
uint64_t stream_limit_of(const struct stream *, enum settings_index first,
    enum settings_index later);
/* Bytes that may come at once. */
int64_t stream_burst(const struct stream *);
/* The host that stands for a domain, for streams of that role; or NULL. */
const struct host *stream_find_host(const struct stream *, struct str name);
/* server/stream_header.c: ours, and the peer's: what is wrong with it. */
void stream_send_header(struct stream *, bool with_version);
enum stream_err stream_read_header(struct stream *, struct arena *,
    const struct node *header, struct str content_ns);
/* Its memory alone: at the end of a shard. */
void stream_free(struct stream *);
