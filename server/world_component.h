/*
 * server/world_component.h - components (XEP-0114) in a world.
 */
#pragma once

#include "server/world.h"

/* A connection to the port for components. */
struct world_peer *world_component_arrive(struct world *);
/* Sends the header for that domain; the id of the server's. */
struct str world_component_open(struct world_peer *, const char *domain);
/* Sends the handshake. */
void world_component_shake(
    struct world_peer *, struct str id, const char *secret);
/* All of it; the server's handshake is taken. */
struct world_peer *world_component_join(
    struct world *, const char *domain, const char *secret);
