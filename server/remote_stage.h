/*
 * server/remote_stage.h - a world with a user and another domain, without
 * modules or wires, for tests of remotes.
 */
#pragma once

#include "server/post.h"
#include "server/remote.h"
#include "server/remote_private.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define ROMEO   "romeo@montague.example"
#define VERONA  "verona.example"
#define MINUTES ((uint64_t)60 * 1000)

struct stage {
	struct world *world; /* of one shard */
	struct neighbour *verona;
	struct world_peer *romeo; /* a session */
};

/* Ends with world_free. */
struct stage remote_stage(const char *yaml);
/* Romeo says it, and the world runs. */
void romeo_says(const struct stage *, const char *xml);
/* A message with this id to somebody of that domain. */
void romeo_says_to(const struct stage *, const char *id, const char *domain);
/* The next stanza that it got holds this. */
bool neighbour_got(struct neighbour *, const char *part);
struct remotes *stage_remotes(const struct stage *);
