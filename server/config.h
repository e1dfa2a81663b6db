/*
 * server/config.h - a snapshot of the configuration: immutable, counted.
 *
 * One YAML file. Its settings are those of the tables it was read with, each a
 * dotted path: `limits.depth` is depth in the map limits. The map hosts names
 * the domains that are served, each with a map of settings that differ there:
 *
 *	hosts:
 *	  example.org:
 *	    certificate: example.org.pem
 *	    contact: {abuse: [mailto:abuse@example.org]}
 *
 * The map domains says likewise what holds for domains that are not ours, or
 * for all below one:
 *
 *	domains:
 *	  example.net: {s2s: {dialback: never}}
 *	  "*.example.com": {s2s: {tls_required: false}}
 *
 * A reload makes a new snapshot; who reads an old one keeps a reference.
 * Asking costs a look into a small table and no lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "server/setting.h"

struct config;

/* For settings of the whole server, in place of a host's index. */
#define CONFIG_GLOBAL ((unsigned)-1)

/* Reads a file. tables are count arrays, each ended by a NULL name, that
 * outlive the config. NULL with "file:line:column: what is wrong" in *why_r
 * (in the arena); unknown names come with the nearest known one. */
const struct config *config_load(struct arena *, const char *path,
    const struct setting *const *tables, size_t count, struct str *why_r);
/* The same from a text, of which messages speak as name. Relative paths stay
 * as they are. */
const struct config *config_parse(struct arena *, const char *name,
    struct str text, const struct setting *const *tables, size_t count,
    struct str *why_r);
const struct config *config_ref(const struct config *);
/* Nulls the pointer; NULL is fine. */
void config_unref(const struct config **);

/* One list of a file that is not yet understood: the modules to load decide
 * what else is known. In the arena; empty when the file does not say. */
bool config_peek(struct arena *, const char *path, const struct setting *,
    struct setting_list *list_r, struct str *why_r);

/* The hosts in the file's order, prepared (xml/prep.h); at least one. */
const struct str *config_hosts(const struct config *, size_t *count_r);
/* "file:line:column" of a host, to complain about it. */
struct str config_host_place(const struct config *, unsigned host);

/* The entry of the map domains for a prepared domain: that of its name, else of
 * the nearest one above it that begins with "*."; CONFIG_GLOBAL without. */
unsigned config_domain(const struct config *, struct str domain);
/* In place of a host's index below, for one setting: the domain's entry where
 * that says something, else the host. */
unsigned config_for(const struct config *, unsigned host, unsigned domain,
    const struct setting *);
/* All names of the map, "*." in front of those that stand for many. */
const struct str *config_domains(const struct config *, size_t *count_r);

/* A setting by its name; NULL when no table has it. Ask once and keep it. */
const struct setting *config_find(const struct config *, struct str name);

/* Values: the host's, else the global one, else the preset. The setting must be
 * a row of a table that the config was read with, and of that type. */
bool config_bool(const struct config *, unsigned host, const struct setting *);
uint64_t config_int(
    const struct config *, unsigned host, const struct setting *);
uint64_t config_ms(
    const struct config *, unsigned host, const struct setting *);
uint64_t config_bytes(
    const struct config *, unsigned host, const struct setting *);
/* TEXT, PATH and CHOICE; ends with NUL, STR_NONE when empty. */
struct str config_text(
    const struct config *, unsigned host, const struct setting *);
/* CHOICE: the index of what was chosen. */
unsigned config_choice(
    const struct config *, unsigned host, const struct setting *);
/* LIST and CHOICES. */
struct setting_list config_list(
    const struct config *, unsigned host, const struct setting *);

/* Names of settings that differ but cannot change while running; in the arena.
 * Both must come from the same tables. */
struct setting_list config_diff(
    struct arena *, const struct config *old, const struct config *now);

/* A file with every setting commented out, its preset, bounds and help; serves
 * localhost. Such is etc/jackdaw.yaml. */
struct str config_sample(
    struct arena *, const struct setting *const *tables, size_t count);
