/*
 * server/world_private.h - what the files of the world share.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "server/conn.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/world.h"
#include "xml/node.h"
#include "xml/reader.h"

#define WORLD_SHARDS_MAX 4
#define WORLD_PASSWORD   "secret"

struct world {
	struct world_options options;
	uint64_t random; /* state of the generator of steps */
	struct arena *arena;
	const struct config *config;
	struct setup *setup;
	struct storage *storage;
	struct server server;
	const struct module *const *modules;
	uint64_t mono_ms, wall_us;
	bool is_quiet[WORLD_SHARDS_MAX]; /* its store had nothing to do */
	bool is_held;
	enum err broken;
	unsigned kill_after; /* steps; 0: not */
	uint64_t absence_ms; /* of a server that starts again */
	unsigned peers_made;
	struct list conns, peers;
	struct list neighbours; /* server/world_neighbour.h */
	struct list places;     /* world_outward.c: other servers */
	unsigned place_count;
	struct reader_pool *readers; /* of the peers */
	struct arena *next;          /* what world_next gave */
};

/* The server's end of a connection. */
struct world_conn {
	struct conn conn;
	struct link link;
	struct world *world;
	struct world_peer *peer; /* NULL when it went */
	struct buf in, out;
	uint64_t acked;    /* of conn.written, as far as it was told */
	bool is_deaf;      /* conn_set_reading(false) */
	bool wants_secure; /* on_secure is due */
	bool wants_closed; /* on_closed is due */
	const char *why;
	char address[sizeof("255.255.255.255")];
};

enum world_event_kind { WORLD_HEADER, WORLD_ELEMENT, WORLD_CLOSE, WORLD_END };

struct world_event {
	struct link link;
	enum world_event_kind kind;
	struct arena *arena;
	const struct node *node; /* HEADER, ELEMENT */
};

struct world_peer {
	struct link link;
	struct world *world;
	struct world_conn *conn; /* NULL when it is closed */
	struct reader *reader;
	struct list events;
	struct arena *arena;
	struct str jid; /* full, once bound; text NULL before */
	bool is_ended;  /* WORLD_END was queued */
};

/* Even in [0, below). */
unsigned world_random(struct world *, unsigned below);

/* --- world_conn.c: connections ------------------------------------------- */

struct world_peer *world_peer_new(struct world *);
/* A client's raw connection, on a shard that is drawn. */
struct world_peer *world_accept(struct world *);
void world_peer_free(struct world_peer **);
/* The connection ends, and the server sees it at once. */
void world_cut_now(struct world_peer **);
/* Things that may happen on a connection now; does one of them. */
bool world_conn_is_due(const struct world_conn *);
void world_conn_step(struct world_conn *);
/* The peer goes away; the server hears of it in a later step. */
void world_conn_cut(struct world_conn *, const char *why);
/* The server's memory goes: nobody is told. */
void world_conns_drop(struct world *);
void world_peer_send(struct world_peer *, struct str bytes);
/* The peer's next stream begins in what comes next. */
void world_peer_restart(struct world_peer *);

/* --- world_outward.c: DNS and TCP ---------------------------------------- */

extern const struct outward world_outward;
/* At the end: nobody is reached any more. */
void world_doors_shut(struct world *);

/* --- world_login.c ------------------------------------------------------- */

/* Runs the world, and if it must lets a little time pass, until an event is
 * there; NULL when none comes. */
struct world_event *world_peer_next(struct world_peer *);
/* Takes it out of the queue and frees it. */
void world_event_free(struct world_event **);
bool world_start_stream(struct world_peer *, struct str host);
/* Waits for an element of that name; false when another event comes. */
bool world_expect(struct world_peer *, const char *name);
bool world_authenticate(
    struct world_peer *, struct str local, struct str password);
/* resource empty: the server makes one. */
bool world_bind(struct world_peer *, struct str resource);
bool world_login(struct world_peer *, struct str local, struct str host,
    struct str password, struct str resource);
