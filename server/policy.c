#include "server/policy.h"

#include "server/settings.h"

/* A name, "*." and what all those are below, or "*" for all. */
static bool
covers(struct str pattern, struct str domain)
{
	struct str label;

	if (str_is(pattern, "*"))
		return true;
	if (!str_starts(pattern, STR("*.")))
		return str_equal(pattern, domain);
	pattern.text += 2;
	pattern.len -= 2;
	while (str_cut(domain, '.', &label, &domain)) {
		if (str_equal(pattern, domain))
			return true;
	}
	return false;
}

static bool
is_listed(struct setting_list list, struct str domain)
{
	for (size_t i = 0; i < list.count; i++) {
		if (covers(list.items[i], domain))
			return true;
	}
	return false;
}

static bool
is_denied(const struct config *config, unsigned host, struct str domain)
{
	struct setting_list allow =
	    config_list(config, host, SETTING(S2S_ALLOW));

	if (!config_bool(config, CONFIG_GLOBAL, SETTING(S2S_ENABLED)) ||
	    is_listed(config_list(config, host, SETTING(S2S_DENY)), domain))
		return true;
	return allow.count > 0 && !is_listed(allow, domain);
}

/* The choices of s2s.proofs stand in the order of enum proof. */
static unsigned
read_proofs(struct setting_list chosen)
{
	const char *const *names = SETTING(S2S_PROOFS)->choices;
	unsigned proofs = 0;

	for (size_t i = 0; i < chosen.count; i++) {
		for (unsigned j = 0; names[j] != NULL; j++)
			proofs |= str_equal(chosen.items[i], str_of(names[j]))
				      ? 1u << j
				      : 0;
	}
	return proofs;
}

static unsigned
host_index(const struct host *host)
{
	return host == NULL ? CONFIG_GLOBAL : host->index;
}

unsigned
policy_index(const struct setup *setup, const struct host *host,
    struct str domain, const struct setting *setting)
{
	const struct config *config = setup_config(setup);

	return config_for(
	    config, host_index(host), config_domain(config, domain), setting);
}

void
policy_of(const struct setup *setup, const struct host *host, struct str domain,
    struct policy *policy_r)
{
	const struct config *config = setup_config(setup);
	const unsigned ours = host_index(host);
	const unsigned theirs = config_domain(config, domain);

#define AT(name) \
	config, config_for(config, ours, theirs, SETTING(name)), SETTING(name)
	*policy_r = (struct policy){
	    .is_denied = is_denied(config, ours, domain),
	    .needs_tls = config_bool(AT(S2S_TLS_REQUIRED)),
	    .proofs = read_proofs(config_list(AT(S2S_PROOFS))),
	    .dialback = config_choice(AT(S2S_DIALBACK)),
	    .routes = config_list(AT(S2S_ROUTE)),
	    .resolvers = config_list(AT(DNS_RESOLVERS)),
	    .authorities =
		config_text(config, CONFIG_GLOBAL, SETTING(S2S_AUTHORITIES)),
	    .revoked = config_text(config, CONFIG_GLOBAL, SETTING(S2S_REVOKED)),
	};
#undef AT
	if (policy_r->dialback == DIALBACK_NEVER)
		policy_r->proofs &= ~(unsigned)PROOF_DIALBACK;
}

const char *
proof_text(enum proof proof)
{
	switch (proof) {
	case PROOF_PKIX:
		return "certificate";
	case PROOF_DANE:
		return "DANE";
	case PROOF_POSH:
		return "POSH";
	default:
		return "dialback";
	}
}
