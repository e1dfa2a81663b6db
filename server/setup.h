/*
 * server/setup.h - the configuration as the server uses it: hosts, hook tables,
 * certificates. Immutable, counted; a reload makes a new one, and each shard
 * changes over when its RELOAD letter comes.
 */
#pragma once

#include <stdbool.h>

#include "server/config.h"
#include "server/module.h"
#include "xml/jid.h"

struct host {
	struct str name;       /* prepared */
	const struct jid *jid; /* the domain as a JID */
	unsigned index;        /* for config_*: its own settings */
	const struct setup *setup;
	const struct hooks *hooks;     /* of the modules that are on */
	struct tls_identity *identity; /* certificate and key; NULL in worlds */
};

struct setup;

/* Reads certificates too. NULL with a sentence in *why_r (in arena). */
struct setup *setup_new(struct arena *, const struct config *,
    const struct module *const *modules, bool with_tls, struct str *why_r);
struct setup *setup_ref(struct setup *);
void setup_unref(struct setup **);

const struct config *setup_config(const struct setup *);
const struct host *setup_hosts(const struct setup *, size_t *count_r);
/* The served domain of that (prepared) name; NULL when it is none of ours. */
const struct host *setup_host(const struct setup *, struct str domain);
/* The first one: for peers that do not say which they want. */
const struct host *setup_default_host(const struct setup *);
/* That any host lets in (limits.stanza): it may be for anybody. */
uint64_t setup_largest_stanza(const struct setup *);
/* Whether the module is on for the host. */
bool host_has(const struct host *, const struct module *);

/* A setting as it is for the host. */
static inline uint64_t
host_int(const struct host *host, const struct setting *setting)
{
	return config_int(setup_config(host->setup), host->index, setting);
}

static inline uint64_t
host_bytes(const struct host *host, const struct setting *setting)
{
	return config_bytes(setup_config(host->setup), host->index, setting);
}

static inline bool
host_bool(const struct host *host, const struct setting *setting)
{
	return config_bool(setup_config(host->setup), host->index, setting);
}

/* --- hooks (server/hook.c) --------------------------------------------- */

/* Runs the hooks of the host in order until one takes it. */
enum verdict hook_stanza(
    enum hook_on, struct account *, struct session *, struct post *);
void hook_session(enum hook_on, struct session *);
void hook_session_save(struct session *, struct node *);
void hook_session_restore(struct session *, const struct node *);
void hook_proved(struct session *, uint64_t ticket);
void hook_load(struct account *, struct join *);
void hook_loaded(struct account *);
/* ACCOUNT_FORGET of all modules: one that is off now may have been on. */
void hook_forget(struct account *);
void hook_domain(struct account *, const struct domain_note *);
void hook_drain(struct account *);
void hook_sweep(struct shard *, const struct host *, owner_id);
void hook_removed(struct account *, struct store_write *);
void hook_features(struct features_ask *);
void hook_disco(enum hook_on, struct disco_ask *);
/* The handler of an iq's payload for a scope; NULL when nobody has it. */
const struct hook *hook_iq(const struct host *, bool is_set,
    const struct node *payload, unsigned scope);
/* The handler of an element that is no stanza; NULL when nobody has it. */
const struct hook *hook_nonza(const struct host *, const struct node *);
/* The slot offsets, for account_slot and session_slot. */
size_t hook_account_slot(const struct setup *, const struct module *);
size_t hook_session_slot(const struct setup *, const struct module *);
size_t hook_account_slots_len(const struct setup *);
size_t hook_session_slots_len(const struct setup *);
/* Static disco features of the modules that are on; ends with NULL. */
const char *const *hook_features_of_host(const struct host *);
const char *const *hook_features_of_accounts(const struct host *);
