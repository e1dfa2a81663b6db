/*
 * xml/jid.h - XMPP addresses, RFC 7622: [local@]domain[/resource].
 *
 * A jid is immutable and normalized: two addresses are the same exactly when
 * their bytes are the same. The bare form is a prefix of the full text, so
 * every accessor returns a view into it and none allocates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct jid {
	uint16_t local_len;    /* 0 when there is no localpart */
	uint16_t domain_len;   /* never 0 */
	uint16_t resource_len; /* 0 for a bare JID */
	char text[];           /* NUL-terminated */
};

/* Parses and normalizes. NULL when a part is empty, longer than 1023 octets
 * or not allowed in its place. The jid lives as long as the arena. */
const struct jid *jid_parse(struct arena *, struct str text);
/* From parts that are prepared already (xml/prep.h) or come out of another
 * jid; local and resource may be empty. */
const struct jid *jid_make(
    struct arena *, struct str local, struct str domain, struct str resource);
const struct jid *jid_copy(struct arena *, const struct jid *);
/* The bare form as a jid; the same pointer when it is bare already. */
const struct jid *jid_to_bare(struct arena *, const struct jid *);
/* The bare JID with a prepared resource. */
const struct jid *jid_with_resource(
    struct arena *, const struct jid *, struct str resource);
/* The domain alone, as a jid. */
const struct jid *jid_to_domain(struct arena *, const struct jid *);

struct str jid_local(const struct jid *); /* empty when absent */
struct str jid_domain(const struct jid *);
struct str jid_resource(const struct jid *); /* empty when absent */
struct str jid_bare(const struct jid *);     /* all but the resource */
struct str jid_full(const struct jid *);
bool jid_is_bare(const struct jid *);

bool jid_equal(const struct jid *, const struct jid *);
bool jid_equal_bare(const struct jid *, const struct jid *);

/* Hash of the bare JID. Accounts are placed by it, so it is the same on every
 * machine and frozen once released (jid_test.c pins it). */
uint64_t jid_hash(const struct jid *);
