/*
 * server/config_private.h - what a snapshot of the configuration is made of;
 * for the files that read (config_read.c) and ask (config.c).
 */
#pragma once

#include <stdatomic.h>

#include "server/config.h"

/* From a row's address to its index: what makes asking cheap. */
struct config_slot {
	const struct setting *setting;
	unsigned index;
};

/* Written while it is read, then never again. */
struct config {
	atomic_uint refs;
	struct arena *arena; /* holds the config itself */
	const struct setting **rows;
	size_t count;
	struct config_slot *slots;
	size_t slot_mask;
	const struct setting_value **values; /* presets and global ones, then
						a row of count per host, then
						per domain, NULL where that
						says nothing */
	struct str *hosts, *host_places;
	size_t host_count;
	struct str *domains;
	size_t domain_count;
};

/* Where the row is among the slots, or where it would be put. */
size_t config_slot(const struct config *, const struct setting *);
/* Where the values of a host, or the global ones, begin; domains come after the
 * hosts. */
size_t config_values_at(const struct config *, unsigned host);
bool config_find_index(const struct config *, struct str name, size_t *index_r);
