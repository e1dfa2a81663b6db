/*
 * server/world.h - the whole server in one thread, with fake time and a seeded
 * order: for tests.
 *
 * A world has two or more shards (at least two in every scene), an inline
 * SQLite store in memory, and peers that are ends of plain connections above
 * TLS. Which shard takes a turn, and when the store answers, is drawn from the
 * seed, so a failing seed is a bug report. The same seed gives the same run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "server/module.h"

struct world;
struct world_peer;

struct world_options {
	uint64_t seed;
	unsigned shard_count; /* 0: drawn, 2 to 4 */
	const char *yaml;     /* more configuration; NULL: two hosts,
				 montague.example and capulet.example */
	const struct module *const *modules; /* NULL: the built-in ones */
	bool is_one_address; /* all peers come from the same one */
};

struct world *world_new(const struct world_options *);
/* Fails the test when an iq is left unanswered, an expectation failed, an owner
 * stays pinned or memory of the shards remains. */
void world_free(struct world **);

/* Makes an account with this password (default "secret" when NULL). */
void world_add_account(struct world *, const char *bare, const char *password);
/* Runs until nothing is left to do but wait for time. */
void world_run(struct world *);
/* Does only so many steps; whether there was more to do. */
bool world_step(struct world *, unsigned steps);
/* Lets time pass, doing what becomes due. */
void world_sleep(struct world *, uint64_t ms);
/* Store jobs of all shards fail with this until ERR_NONE: store_break. */
void world_break_store(struct world *, enum err);
/* Store jobs wait (nobody answers) until released. */
void world_hold_store(struct world *, bool);
/* Kill -9: everything in memory is gone, what was committed stays; then the
 * server starts again. Peers see their connections cut. */
void world_kill(struct world *);
/* A clean stop, and a start. */
void world_restart(struct world *);
/* From now on it is away so long when it is killed or restarts. */
void world_set_absence(struct world *, uint64_t ms);
/* A new configuration, all of it. */
void world_reload(struct world *, const char *yaml);
/* Kills it after so many more steps of any kind: between any two writes. */
void world_kill_after(struct world *, unsigned steps);
/* Whether it was since; if not, it will not be any more. */
bool world_was_killed(struct world *);

/* A client's connection; logged in, and bound when jid is full ("" for a raw
 * one that only connected). */
struct world_peer *world_connect(struct world *, const char *jid);
/* How a client opens a stream to montague.example, and a connection on which
 * one did so; its answer is not read. */
#define WORLD_OPENING                                                 \
	"<stream:stream xmlns='jabber:client' to='montague.example' " \
	"version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>"
struct world_peer *world_open_stream(struct world *);
void world_send(struct world_peer *, const char *xml);
/* What came next, one top-level element as text; NULL when nothing is there. It
 * lives until the next call. */
const char *world_next(struct world_peer *);
/* What the address of another server does with connections. */
enum world_door { WORLD_OPEN, WORLD_SHUT /* refuses */, WORLD_SILENT };

/* From now on DNS has an address of that domain; or its door changes. Domains
 * that were not named here do not exist. */
void world_serve(struct world *, const char *domain, enum world_door);
/* How long DNS takes to say that there is no IPv6 address of that domain, which
 * is known; UINT64_MAX: for ever. */
void world_delay_ipv6(struct world *, const char *domain, uint64_t ms);
/* From now on DNSSEC says of what DNS says about it that it is forged, so. */
void world_forge(struct world *, const char *domain, const char *why);
/* The other end of the next connection that the server made to that domain,
 * before TLS; NULL when there is none. */
struct world_peer *world_dialled(struct world *, const char *domain);
/* The peer is cut off without a goodbye; the peer is freed. */
void world_cut(struct world_peer **);
/* Whether the server closed the connection. */
bool world_is_closed(const struct world_peer *);

enum world_verdict { WORLD_PLAYED, WORLD_FAILED, WORLD_SKIPPED };

/* Plays a scene file (conformance/README.md). FAILED with a message naming
 * file, line and seed; SKIPPED with what the world does not have. */
enum world_verdict world_play(
    const char *path, uint64_t seed, char *why, size_t why_len);
