/*
 * bench/manage.h - the client's side of stream management, XEP-0198.
 *
 * All stanzas that are counted are messages with a mark (mark.h), of which one
 * has begun the count when nothing else is going on. Of what a client sends
 * the time until an <a/> covers it is sampled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct swarm;

#define MANAGE_NS     "urn:xmpp:sm:3"
#define MANAGE_WINDOW 64 /* so many may be on their way to be acknowledged */

/* Of one client; all zero at first. */
struct managed {
	bool enabled;
	char id[128];         /* to resume with; empty when that is refused */
	uint32_t heard;       /* stanzas that came */
	uint32_t said, acked; /* stanzas sent, and how many have been covered */
	uint64_t said_ns[MANAGE_WINDOW];
};

/* Enables it, resumable, at all sessions and waits until it is. */
void manage_enable_all(struct swarm *);

/* Takes what is whole of a text, in the order in which it came: elements of
 * stream management itself, and what is between them by `other`. Returns how
 * much of it is used. */
size_t manage_read(struct client *, const char *text, size_t len,
    size_t (*other)(struct client *, const char *text, size_t len));

/* To be called with each stanza: asks for an <a/> behind it. */
void manage_said(struct client *);

/* What came is acknowledged, asked for or not. */
void manage_acknowledge(struct client *);

/* How many messages of all no <a/> has covered. */
uint64_t manage_open(const struct swarm *);
