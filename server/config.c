#include "server/config.h"

#include "base/err.h"
#include "server/config_private.h"

size_t
config_slot(const struct config *config, const struct setting *setting)
{
	uint64_t mixed = (uintptr_t)setting * 0x9e3779b97f4a7c15;
	size_t at = (size_t)(mixed >> 32) & config->slot_mask;

	while (config->slots[at].setting != setting &&
	       config->slots[at].setting != NULL)
		at = (at + 1) & config->slot_mask;
	return at;
}

size_t
config_values_at(const struct config *config, unsigned host)
{
	return host == CONFIG_GLOBAL ? 0 : config->count * (host + 1);
}

bool
config_find_index(const struct config *config, struct str name, size_t *index_r)
{
	for (size_t i = 0; i < config->count; i++) {
		if (str_equal(name, str_of(config->rows[i]->name))) {
			*index_r = i;
			return true;
		}
	}
	return false;
}

const struct config *
config_ref(const struct config *config)
{
	struct config *counted = (struct config *)(uintptr_t)config;

	atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
	return config;
}

void
config_unref(const struct config **config)
{
	struct config *mine = (struct config *)(uintptr_t)*config;
	struct arena *arena;

	*config = NULL;
	if (mine == NULL || atomic_fetch_sub_explicit(
				&mine->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena = mine->arena;
	arena_free(&arena);
}

const struct str *
config_hosts(const struct config *config, size_t *count_r)
{
	*count_r = config->host_count;
	return config->hosts;
}

struct str
config_host_place(const struct config *config, unsigned host)
{
	must(host < config->host_count);
	return config->host_places[host];
}

const struct setting *
config_find(const struct config *config, struct str name)
{
	size_t index;

	return config_find_index(config, name, &index) ? config->rows[index]
						       : NULL;
}

static const struct setting_value *
value_of(
    const struct config *config, unsigned host, const struct setting *setting)
{
	const struct config_slot *slot =
	    &config->slots[config_slot(config, setting)];

	must(slot->setting == setting);
	must(host == CONFIG_GLOBAL ||
	     host < config->host_count + config->domain_count);
	return config->values[config_values_at(config, host) + slot->index];
}

bool
config_bool(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting->type == SETTING_BOOL);
	return value_of(config, host, setting)->number != 0;
}

uint64_t
config_int(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting->type == SETTING_INT);
	return value_of(config, host, setting)->number;
}

uint64_t
config_ms(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting->type == SETTING_TIME);
	return value_of(config, host, setting)->number;
}

uint64_t
config_bytes(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting->type == SETTING_SIZE);
	return value_of(config, host, setting)->number;
}

struct str
config_text(
    const struct config *config, unsigned host, const struct setting *setting)
{
	struct str text = value_of(config, host, setting)->text;

	must(setting->type == SETTING_TEXT || setting->type == SETTING_PATH ||
	     setting->type == SETTING_CHOICE);
	return text.len == 0 ? STR_NONE : text;
}

unsigned
config_choice(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting->type == SETTING_CHOICE);
	return (unsigned)value_of(config, host, setting)->number;
}

struct setting_list
config_list(
    const struct config *config, unsigned host, const struct setting *setting)
{
	must(setting_is_list(setting));
	return value_of(config, host, setting)->list;
}

const struct str *
config_domains(const struct config *config, size_t *count_r)
{
	*count_r = config->domain_count;
	return config->domains;
}

static unsigned
find_domain(const struct config *config, struct str name)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (str_equal(config->domains[i], name))
			return (unsigned)(config->host_count + i);
	}
	return CONFIG_GLOBAL;
}

/* "*." and what is above stand side by side in no text: they are compared each
 * alone. */
static unsigned
find_above(const struct config *config, struct str above)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		struct str name = config->domains[i];

		if (str_starts(name, STR("*.")) &&
		    str_equal((struct str){name.text + 2, name.len - 2}, above))
			return (unsigned)(config->host_count + i);
	}
	return CONFIG_GLOBAL;
}

unsigned
config_domain(const struct config *config, struct str domain)
{
	unsigned found = find_domain(config, domain);
	struct str label;

	while (found == CONFIG_GLOBAL && str_cut(domain, '.', &label, &domain))
		found = find_above(config, domain);
	return found;
}

unsigned
config_for(const struct config *config, unsigned host, unsigned domain,
    const struct setting *setting)
{
	const struct config_slot *slot =
	    &config->slots[config_slot(config, setting)];

	must((setting->flags & SETTING_PER_DOMAIN) != 0);
	if (domain == CONFIG_GLOBAL ||
	    config->values[config_values_at(config, domain) + slot->index] ==
		NULL)
		return host;
	return domain;
}

/* The host of the same name; CONFIG_GLOBAL when it is not there. */
static unsigned
same_host(const struct config *config, struct str name)
{
	for (unsigned i = 0; i < config->host_count; i++) {
		if (str_equal(config->hosts[i], name))
			return i;
	}
	return CONFIG_GLOBAL;
}

static bool
differs(const struct config *old, const struct config *now, size_t index)
{
	const struct setting *setting = old->rows[index];

	if (!setting_equal(old->values[index], now->values[index]))
		return true;
	for (unsigned i = 0; i < old->host_count; i++) {
		unsigned host = same_host(now, old->hosts[i]);

		if (host != CONFIG_GLOBAL &&
		    !setting_equal(value_of(old, i, setting),
			value_of(now, host, setting)))
			return true;
	}
	return false;
}

struct setting_list
config_diff(
    struct arena *arena, const struct config *old, const struct config *now)
{
	struct str *names = arena_array(arena, struct str, old->count);
	size_t count = 0;

	must(old->count == now->count);
	for (size_t i = 0; i < old->count; i++) {
		must(old->rows[i] == now->rows[i]);
		if ((old->rows[i]->flags & SETTING_RELOADS) == 0 &&
		    differs(old, now, i))
			names[count++] = str_of(old->rows[i]->name);
	}
	return (struct setting_list){names, count};
}
