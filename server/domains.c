#include "server/domains.h"

#include "server/settings.h"

static struct str
secret_of(const struct config *config, struct str name)
{
	const unsigned at = config_domain(config, name);

	if (config_for(config, CONFIG_GLOBAL, at, SETTING(COMPONENT_SECRET)) ==
	    CONFIG_GLOBAL)
		return STR_NONE;
	return config_text(config, at, SETTING(COMPONENT_SECRET));
}

/* By its own name: "*." makes no components. */
static struct str
find(const struct config *config, struct str name)
{
	size_t count;
	const struct str *names = config_domains(config, &count);

	for (size_t i = 0; i < count; i++) {
		if (str_equal(names[i], name))
			return secret_of(config, name).len > 0 ? names[i]
							       : STR_NONE;
	}
	return STR_NONE;
}

static bool
has_subdomains(const struct config *config, struct str name)
{
	return config_bool(config,
	    config_for(config, CONFIG_GLOBAL, config_domain(config, name),
		SETTING(COMPONENT_SUBDOMAINS)),
	    SETTING(COMPONENT_SUBDOMAINS));
}

struct str
domain_component(const struct setup *setup, struct str domain)
{
	const struct config *config = setup_config(setup);
	struct str found, label;

	if (setup_host(setup, domain) != NULL)
		return STR_NONE;
	found = find(config, domain);
	while (found.len == 0 && str_cut(domain, '.', &label, &domain)) {
		found = find(config, domain);
		if (found.len > 0 && !has_subdomains(config, found))
			found = STR_NONE;
	}
	return found;
}

struct str
domain_carrier(const struct setup *setup, struct str domain)
{
	struct str component = domain_component(setup, domain);

	return component.len > 0 ? component : domain;
}

struct str
domain_secret(const struct setup *setup, struct str component)
{
	const struct config *config = setup_config(setup);

	if (setup_host(setup, component) != NULL)
		return STR_NONE;
	component = find(config, component);
	return component.len == 0 ? STR_NONE : secret_of(config, component);
}

bool
domain_is_ours(const struct setup *setup, struct str domain)
{
	return setup_host(setup, domain) != NULL ||
	       domain_component(setup, domain).len > 0;
}

const struct host *
domain_host(const struct setup *setup, struct str domain)
{
	const struct host *host = setup_host(setup, domain);
	struct str label;

	if (host != NULL || domain_component(setup, domain).len == 0)
		return host;
	while (host == NULL && str_cut(domain, '.', &label, &domain))
		host = setup_host(setup, domain);
	return host;
}

bool
domains_have_components(const struct config *config)
{
	size_t count;
	const struct str *names = config_domains(config, &count);

	for (size_t i = 0; i < count; i++) {
		if (find(config, names[i]).len > 0)
			return true;
	}
	return false;
}
