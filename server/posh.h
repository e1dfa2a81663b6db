/*
 * server/posh.h - what a domain publishes over HTTPS about the certificate of
 * its server: POSH, RFC 7711.
 *
 * https://DOMAIN/.well-known/posh/xmpp-server.json is fetched with libcurl on
 * the shard's loop; authorities that we trust must vouch for the web server.
 * Documents are kept for as long as they say, a day at most; that there is
 * none, for five minutes. Addresses come from the system's resolver.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "server/timer.h"

struct posh_entry;
struct shard;

struct posh_ask {
	enum err err;   /* NONE: the certificate is the domain's; DENIED: it
			   publishes others; NOT_FOUND: it publishes none;
			   INVALID: not what it should be; TIMEOUT;
			   UNAVAILABLE; CANCELED */
	struct str why; /* words for people when it is not NONE */
	void (*done)(struct posh_ask *);
	/* Its own: */
	struct shard *shard;
	struct arena *arena;
	struct str der;
	struct link link;
	struct timer soon;
};

struct posh_wanted {
	struct str domain;    /* in A-labels */
	struct str der;       /* of the certificate; lives until done */
	bool is_for_stranger; /* who is not proved yet: other connections are
				 used than for others, who do not wait */
};

/* Whether the domain publishes the certificate. */
void posh_check(struct shard *, struct posh_ask *, struct arena *,
    const struct posh_wanted *, void (*done)(struct posh_ask *));
/* done is called soon, with CANCELED. */
void posh_cancel(struct posh_ask *);
/* After a reload: documents that were fetched are forgotten, for others may
 * vouch for web servers now. */
void posh_setup_changed(struct shard *);
/* Ends what is under way and forgets all: while the shard's loop runs still. */
void posh_close(struct shard *);

/* For tests: every domain's web server is at this "ADDRESS:PORT". */
void posh_redirect_all(struct shard *, const char *address);
