/*
 * server/remote_list.h - what can be seen of remotes: by the administration.
 */
#pragma once

#include <jansson.h>

struct shard;

/* The pairs of the shard, as the API tells them (GET /v1/s2s). Of a stream that
 * we opened "resumed" says whether it goes on where an earlier one was cut;
 * "in_doubt" is how much of what is queued was on a stream that broke, and may
 * have arrived. */
json_t *remote_list(struct shard *);
/* Each other domain with all that was counted since the server started, while
 * it is known (server/remote_table.h): "unused_s" is null as long as it has a
 * pair, "last_error" that of the pair that was forgotten last. */
json_t *remote_list_domains(struct shard *);
