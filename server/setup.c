#include "server/setup.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/hooks.h"
#include "server/settings.h"
#include "server/tls.h"

/* So long before it expires, a certificate is worth a line. */
#define WARN_DAYS 14
#define DAY_S     86400

struct setup {
	atomic_uint refs;
	struct arena *arena; /* lifetime: setup */
	const struct config *config;
	const struct module *const *modules;
	struct slots slots;
	struct host *hosts;   /* in the order of the configuration */
	struct host **sorted; /* by name */
	size_t host_count;
	uint64_t largest_stanza;
};

static int
compare_names(struct str a, struct str b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return memcmp(a.text, b.text, a.len);
}

static int
compare_hosts(const void *a, const void *b)
{
	const struct host *const *left = a, *const *right = b;

	return compare_names((*left)->name, (*right)->name);
}

static int
compare_to_host(const void *name, const void *host)
{
	const struct host *const *right = host;

	return compare_names(*(const struct str *)name, (*right)->name);
}

static bool
set_host(
    struct setup *setup, struct host *host, struct str name, struct str *why_r)
{
	host->name = str_dup(setup->arena, name);
	host->jid = jid_make(setup->arena, STR_NONE, host->name, STR_NONE);
	host->index = (unsigned)(host - setup->hosts);
	host->setup = setup;
	host->hooks = hooks_new(
	    setup->arena, setup->modules, setup->config, host->index, why_r);
	return host->hooks != NULL;
}

static bool
set_hosts(struct setup *setup, struct str *why_r)
{
	const struct str *names =
	    config_hosts(setup->config, &setup->host_count);

	setup->hosts =
	    arena_array(setup->arena, struct host, setup->host_count);
	setup->sorted =
	    arena_array(setup->arena, struct host *, setup->host_count);
	for (size_t i = 0; i < setup->host_count; i++) {
		setup->sorted[i] = &setup->hosts[i];
		if (!set_host(setup, &setup->hosts[i], names[i], why_r))
			return false;
	}
	qsort(setup->sorted, setup->host_count, sizeof(setup->sorted[0]),
	    compare_hosts);
	return true;
}

static bool
has_all(struct setting_list domains)
{
	for (size_t i = 0; i < domains.count; i++) {
		if (str_is(domains.items[i], "*"))
			return true;
	}
	return false;
}

/* Else who writes both to let some through would let nobody through. */
static bool
look_at_lists(const struct setup *setup, struct str *why_r)
{
	for (size_t i = 0; i < setup->host_count; i++) {
		const struct host *host = &setup->hosts[i];
		struct setting_list deny =
		    config_list(setup->config, host->index, SETTING(S2S_DENY));
		struct setting_list allow =
		    config_list(setup->config, host->index, SETTING(S2S_ALLOW));

		if (allow.count == 0 || !has_all(deny))
			continue;
		*why_r = str_format(setup->arena,
		    "host %.*s: s2s.deny has \"*\", so the domains of "
		    "s2s.allow are not talked to either: to talk to these only "
		    "leave \"*\" out, to talk to none leave s2s.allow empty",
		    STR_ARG(host->name));
		return false;
	}
	return true;
}

static bool
set_trust(struct host *host, struct arena *arena, struct str *why_r)
{
	struct str authorities = config_text(setup_config(host->setup),
	    host->index, SETTING(AUTH_CLIENT_AUTHORITIES));

	return authorities.len == 0 ||
	       tls_identity_trust(host->identity, arena, authorities, why_r);
}

/* What works but will not for long, or not for everybody. */
static void
look_at(const struct host *host)
{
	int64_t left_s = tls_identity_ends_s(host->identity) -
			 (int64_t)(clock_wall_us() / 1000000);

	if (!tls_identity_is_for(host->identity, host->name))
		log_warn(&log_server,
		    "the certificate of host %.*s does not name it: clients "
		    "will refuse it",
		    STR_ARG(host->name));
	if (left_s < WARN_DAYS * DAY_S)
		log_warn(&log_server,
		    "the certificate of host %.*s expires in %lld days",
		    STR_ARG(host->name), (long long)(left_s / DAY_S));
}

static bool
set_identities(struct setup *setup, struct arena *arena, struct str *why_r)
{
	for (size_t i = 0; i < setup->host_count; i++) {
		struct host *host = &setup->hosts[i];

		host->identity = tls_identity_load(arena,
		    config_text(
			setup->config, host->index, SETTING(CERTIFICATE)),
		    config_text(setup->config, host->index, SETTING(KEY)),
		    why_r);
		if (host->identity == NULL || !set_trust(host, arena, why_r))
			return false;
		look_at(host);
	}
	return true;
}

static void
look_for_largest(struct setup *setup)
{
	const struct setting *setting = SETTING(LIMITS_STANZA);

	setup->largest_stanza =
	    config_bytes(setup->config, CONFIG_GLOBAL, setting);
	for (size_t i = 0; i < setup->host_count; i++) {
		uint64_t len = host_bytes(&setup->hosts[i], setting);

		if (len > setup->largest_stanza)
			setup->largest_stanza = len;
	}
}

struct setup *
setup_new(struct arena *arena, const struct config *config,
    const struct module *const *modules, bool with_tls, struct str *why_r)
{
	struct arena *own = arena_make(0);
	struct setup *setup = arena_new(own, struct setup);
	struct str why = STR_NONE;

	atomic_init(&setup->refs, 1);
	setup->arena = own;
	setup->config = config_ref(config);
	setup->modules = modules;
	slots_init(&setup->slots, own, modules);
	if (set_hosts(setup, &why) && look_at_lists(setup, &why) &&
	    (!with_tls || set_identities(setup, own, &why))) {
		look_for_largest(setup);
		return setup;
	}
	*why_r = str_dup(arena, why);
	setup_unref(&setup);
	return NULL;
}

struct setup *
setup_ref(struct setup *setup)
{
	atomic_fetch_add_explicit(&setup->refs, 1, memory_order_relaxed);
	return setup;
}

void
setup_unref(struct setup **setup)
{
	struct setup *dropped = *setup;
	struct arena *arena;

	*setup = NULL;
	if (dropped == NULL || atomic_fetch_sub(&dropped->refs, 1) > 1)
		return;
	for (size_t i = 0; i < dropped->host_count; i++)
		tls_identity_free(&dropped->hosts[i].identity);
	config_unref(&dropped->config);
	arena = dropped->arena;
	arena_free(&arena);
}

const struct config *
setup_config(const struct setup *setup)
{
	return setup->config;
}

uint64_t
setup_largest_stanza(const struct setup *setup)
{
	return setup->largest_stanza;
}

const struct slots *
setup_slots(const struct setup *setup)
{
	return &setup->slots;
}

const struct host *
setup_hosts(const struct setup *setup, size_t *count)
{
	*count = setup->host_count;
	return setup->hosts;
}

const struct host *
setup_host(const struct setup *setup, struct str domain)
{
	struct host **host = bsearch(&domain, setup->sorted, setup->host_count,
	    sizeof(setup->sorted[0]), compare_to_host);

	return host == NULL ? NULL : *host;
}

const struct host *
setup_default_host(const struct setup *setup)
{
	return &setup->hosts[0];
}
