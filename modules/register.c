/*
 * modules/register.c - what a user who is logged in may do with the account:
 * change the password, remove it (XEP-0077, sections 3.2 and 3.3). New accounts
 * are made before login: server/register.h.
 */
#include "modules/register.h"

#include "server/account.h"
#include "server/iq.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/prep.h"

#define NS_REGISTER "jabber:iq:register"

static void on_get(struct iq *);
static void on_set(struct iq *);
static void committed(struct store_commit *);

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_REGISTER,
	.name = "query",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_get},
    {.on = HOOK_IQ_SET,
	.ns = NS_REGISTER,
	.name = "query",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_set},
    {.on = HOOK_END},
};

const struct module register_module = {
    .api = MODULE_API,
    .name = "register",
    .help = "Password change and account removal by the user",
    .xeps = (const char *const[]){"XEP-0077 2.4", NULL},
    .features = (const char *const[]){NS_REGISTER, NULL},
    .hooks = hooks,
};

struct registration {
	struct store_commit commit;
	struct iq *iq;
};

/* Another host of ours is asked at the asker's account, which is none of its
 * own: what that host has switched on says nothing of it. */
static bool
is_at_home(const struct iq *iq)
{
	return iq_is_own(iq) && str_equal(jid_domain(iq_stanza(iq)->to),
				    jid_domain(account_jid(iq_account(iq))));
}

/* Only a local user, about the own account; which a guest's is not: it goes
 * with the stream, and with a password others could come in. */
static bool
is_allowed(struct iq *iq)
{
	if (!is_at_home(iq))
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
	else if (account_is_guest(iq_account(iq)))
		iq_refuse(iq, STANZA_ERR_NOT_ALLOWED);
	else
		return true;
	return false;
}

static void
on_get(struct iq *iq)
{
	struct arena *arena = iq_arena(iq);
	struct node *query = node_make(arena, "query", NS_REGISTER);
	struct account *account = iq_account(iq);

	if (!is_allowed(iq))
		return;
	node_add(query, "registered", NS_REGISTER);
	node_add_with_text(
	    query, "username", NS_REGISTER, jid_local(account_jid(account)));
	node_add(query, "password", NS_REGISTER);
	node_add_with_text(query, "instructions", NS_REGISTER,
	    STR("Choose a new password, or remove the account."));
	iq_reply(iq, query);
}

static void
remove_account(struct iq *iq)
{
	struct registration *removal;

	removal = arena_new(iq_arena(iq), struct registration);
	removal->iq = iq;
	account_remove(iq_account(iq), &removal->commit, committed);
}

/* Section 3.3: the stored one stays when the new one is empty or weak. */
static void
change_password(struct iq *iq, struct str password)
{
	struct registration *change;
	const uint64_t least =
	    host_int(iq_host(iq), SETTING(AUTH_PASSWORD_LENGTH));

	if (password.len == 0) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	if (!prep_password(iq_arena(iq), &password)) {
		iq_refuse_text(iq, STANZA_ERR_NOT_ACCEPTABLE,
		    "the password has characters that are not allowed");
		return;
	}
	if (str_count_utf8(password) < least) {
		iq_refuse_text(
		    iq, STANZA_ERR_NOT_ACCEPTABLE, "the password is too short");
		return;
	}
	change = arena_new(iq_arena(iq), struct registration);
	change->iq = iq;
	account_set_password(iq_account(iq), password, iq_session(iq),
	    &change->commit, committed);
}

static void
committed(struct store_commit *commit)
{
	struct registration *change =
	    container_of(commit, struct registration, commit);

	if (commit->err == ERR_NONE)
		iq_reply(change->iq, NULL);
	else
		iq_refuse(change->iq, stanza_err_of(commit->err));
}

static void
on_set(struct iq *iq)
{
	const struct node *query = iq_payload(iq);
	struct arena *arena = iq_arena(iq);
	struct str username;

	if (!is_allowed(iq))
		return;
	if (node_child(query, "remove", NS_REGISTER) != NULL) {
		if (node_next(node_first(query)) == NULL)
			remove_account(iq);
		else
			iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	username = node_child_text(arena, query, "username", NS_REGISTER);
	if (username.text == NULL ||
	    node_child(query, "password", NS_REGISTER) == NULL) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	if (!prep_local(arena, &username) ||
	    !str_equal(username, jid_local(account_jid(iq_account(iq))))) {
		iq_refuse_text(iq, STANZA_ERR_NOT_ALLOWED,
		    "the name of an account does not change");
		return;
	}
	change_password(
	    iq, node_child_text(arena, query, "password", NS_REGISTER));
}
