/*
 * bench/client.h - one session of the load generator.
 *
 * Made to cost less than any server: no parser, one system call for all that
 * has arrived, one for all that is sent. Replies are awaited by looking for a
 * few words in them. A server that does not play along ends the program with
 * what it said, since no figure would mean anything.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/manage.h"
#include "bench/mark.h"
#include "bench/plan.h"
#include "bench/scram.h"

struct client;

/* What a workload does when something happens to a session. */
struct client_work {
	/* Before it authenticates it registers its account. */
	bool registers;

	/* After it is bound it asks for its roster and sends presence. */
	bool enters;

	/* It resumes its session (managed.id) instead of binding. */
	bool resumes;

	void (*on_ready)(struct client *); /* or NULL */

	/* Returns how many bytes need not be seen again. */
	size_t (*on_text)(struct client *, const char *text, size_t len);

	/* It has ended after client_leave, and may be opened later. Or NULL. */
	void (*on_left)(struct client *);
};

struct client_bytes {
	char *text; /* heap */
	size_t len, room;
};

struct client {
	const struct plan *plan;
	const struct client_work *work;
	gnutls_certificate_credentials_t credentials; /* the swarm's */
	int epoll;                                    /* the swarm's */
	int fd;                                       /* -1: closed */
	gnutls_session_t tls;                         /* NULL: not yet */
	unsigned number;
	unsigned step; /* dance.c */
	bool shaken;   /* hands, in TLS */
	bool ready;
	bool leaving;
	unsigned heard;              /* the workload's own */
	uint32_t sent;               /* marks */
	struct mark_seen seen;       /* marks of whom it listens to */
	struct managed managed;      /* with plan->managed */
	struct client_bytes in, out; /* not yet used, not yet written */
	struct scram_keys keys;
};

/* Connects and logs in; on_ready follows. Not to be called from a workload's
 * function above, for the bytes being read are one session's. */
void client_open(struct client *);

/* Sends now or, with the socket full, as soon as it can be. */
void client_send(struct client *, const char *text, size_t len);

/* The mark of what it sends next; MARK_LEN bytes. */
void client_mark(struct client *, uint64_t at_ns, char *text_r);

/* Sends its pair the next message, with that mark and as the plan wants it. */
void client_say(struct client *, uint64_t at_ns);

/* Ends the stream and waits for the server to end its side. */
void client_leave(struct client *);

/* Closes at once and forgets; nothing is called. */
void client_drop(struct client *);

/* The same without a word to the server, as if the network were gone. */
void client_cut(struct client *);

/* For the swarm: epoll reported these events. */
void client_on_events(struct client *, uint32_t events);

/* For dance.c: what follows is sent in TLS. */
void client_secure(struct client *);

/* The dance steps on: all that was awaited has come. */
void client_is_ready(struct client *);

_Noreturn void client_fail(const struct client *, const char *why);
