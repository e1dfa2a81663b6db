/*
 * modules/contact.c - XEP-0157: addresses of those who run the service, in the
 * host's disco#info.
 */
#include "modules/contact.h"

#include "server/settings.h"
#include "server/setup.h"
#include "xml/form.h"

static void on_info(struct disco_ask *);

static const struct hook hooks[] = {
    {.on = HOOK_DISCO_INFO, .disco = on_info},
    {.on = HOOK_END},
};

const struct module contact_module = {
    .api = MODULE_API,
    .name = "contact",
    .help = "Contact addresses of the service",
    .xeps = (const char *const[]){"XEP-0157 1.1.1", NULL},
    .hooks = hooks,
};

static void
on_info(struct disco_ask *ask)
{
	static const struct {
		const char *var;
		enum settings_index setting;
	} roles[] = {
	    {"abuse-addresses", SETTINGS_CONTACT_ABUSE},
	    {"admin-addresses", SETTINGS_CONTACT_ADMIN},
	    {"feedback-addresses", SETTINGS_CONTACT_FEEDBACK},
	    {"sales-addresses", SETTINGS_CONTACT_SALES},
	    {"security-addresses", SETTINGS_CONTACT_SECURITY},
	    {"status-addresses", SETTINGS_CONTACT_STATUS},
	    {"support-addresses", SETTINGS_CONTACT_SUPPORT},
	};
	const struct config *config = setup_config(ask->host->setup);
	struct node *form = NULL;

	if (ask->account != NULL || ask->node.len > 0)
		return;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct setting_list list;
		struct node *field;

		list = config_list(config, ask->host->index,
		    &server_settings[roles[i].setting]);
		if (list.count == 0)
			continue;
		if (form == NULL)
			form = form_add(ask->query, "result",
			    "http://jabber.org/network/serverinfo");
		field = form_field(form, NULL, roles[i].var, NULL);
		for (size_t k = 0; k < list.count; k++)
			form_value(field, str_dup(ask->arena, list.items[k]));
	}
}
