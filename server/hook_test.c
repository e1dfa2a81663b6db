#include "base/check_arena.h"
#include "server/account.h"
#include "server/hooks.h"
#include "server/iq.h"
#include "server/setup_rig.h"

static char trace[64];

static enum verdict
add(char letter, enum verdict verdict)
{
	size_t len = strlen(trace);

	trace[len] = letter;
	trace[len + 1] = '\0';
	return verdict;
}

static enum verdict
pass_a(struct account *account, struct session *session, struct post *letter)
{
	return add('a', PASS);
}

static enum verdict
pass_b(struct account *account, struct session *session, struct post *letter)
{
	return add('b', PASS);
}

static enum verdict
take_c(struct account *account, struct session *session, struct post *letter)
{
	return add('c', TAKEN);
}

static void
on_iq(struct iq *iq)
{
}

static void
on_any_iq(struct iq *iq)
{
}

static const struct hook first_hooks[] = {
    {.on = HOOK_SENT_MESSAGE, .order = 1000, .stanza = take_c},
    {.on = HOOK_SENT_MESSAGE, .order = 5, .stanza = pass_a},
    {.on = HOOK_IQ_GET, .ns = "urn:x", .scope = SCOPE_ACCOUNT, .iq = on_any_iq},
    {.on = HOOK_IQ_GET,
	.ns = "urn:x",
	.name = "q",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_iq},
    {.on = HOOK_END},
};

static const struct hook second_hooks[] = {
    {.on = HOOK_SENT_MESSAGE, .order = 5, .stanza = pass_b},
    {.on = HOOK_END},
};

static const struct hook rival_hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = "urn:x",
	.name = "q",
	.scope = SCOPE_HOST,
	.iq = on_iq},
    {.on = HOOK_END},
};

static const struct module first = {.api = MODULE_API,
    .name = "first",
    .hooks = first_hooks,
    .account_size = 3,
    .session_size = 100,
    .features = (const char *const[]){"urn:first", NULL}};
static const struct module second = {.api = MODULE_API,
    .name = "second",
    .hooks = second_hooks,
    .account_size = 20,
    .features = (const char *const[]){"urn:second", NULL}};
static const struct module rival = {
    .api = MODULE_API, .name = "rival", .hooks = rival_hooks};

static struct setup *
make(const struct module *const *modules, const char *yaml, struct str *why)
{
	return setup_rig(arena, yaml, modules, false, why);
}

#define HOSTS "hosts: {a.example: {}, b.example: {modules.first: false}}\n"

static const struct module *const both[] = {&first, &second, NULL};

static void
hooks_run_in_order_until_one_takes(void **state)
{
	struct str why = STR_NONE;
	struct setup *setup = make(both, HOSTS, &why);
	struct account account = {.host = setup_host(setup, STR("a.example"))};
	struct post letter = {.kind = POST_SENT};

	CHECK(account.host != NULL);
	trace[0] = '\0';
	CHECK_EQUAL(
	    hook_stanza(HOOK_SENT_MESSAGE, &account, NULL, &letter), TAKEN);
	CHECK_TEXT(trace, "abc");
	CHECK_EQUAL(
	    hook_stanza(HOOK_SENT_PRESENCE, &account, NULL, &letter), PASS);
	setup_unref(&setup);
}

static void
modules_are_on_for_a_host_or_not(void **state)
{
	struct str why = STR_NONE;
	struct setup *setup = make(both, HOSTS, &why);
	const struct host *a = setup_host(setup, STR("a.example"));
	const struct host *b = setup_host(setup, STR("b.example"));
	struct account account = {.host = b};
	struct post letter = {.kind = POST_SENT};

	CHECK(setup_default_host(setup) == a);
	CHECK(setup_host(setup, STR("c.example")) == NULL);
	CHECK(host_has(a, &first) && host_has(a, &second));
	CHECK(!host_has(b, &first) && host_has(b, &second));
	CHECK_TEXT(hook_features_of_host(a)[0], "urn:first");
	CHECK_TEXT(hook_features_of_host(b)[0], "urn:second");
	CHECK(!hooks_equal(a->hooks, b->hooks));
	trace[0] = '\0';
	CHECK_EQUAL(
	    hook_stanza(HOOK_SENT_MESSAGE, &account, NULL, &letter), PASS);
	CHECK_TEXT(trace, "b");
	setup_unref(&setup);
}

static void
the_closest_handler_answers_an_iq(void **state)
{
	static const struct {
		const char *name, *ns;
		unsigned scope;
		void (*iq)(struct iq *);
	} cases[] = {
	    {"q", "urn:x", SCOPE_ACCOUNT, on_iq},
	    {"q", "urn:x", SCOPE_HOST, on_iq},
	    {"other", "urn:x", SCOPE_ACCOUNT, on_any_iq},
	    {"other", "urn:x", SCOPE_HOST, NULL},
	    {"q", "urn:y", SCOPE_ACCOUNT, NULL},
	    {"q", "urn:x", SCOPE_SELF, NULL},
	};
	struct str why = STR_NONE;
	struct setup *setup = make(both, HOSTS, &why);
	const struct host *a = setup_host(setup, STR("a.example"));

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct node *payload =
		    node_make(arena, cases[i].name, cases[i].ns);
		const struct hook *hook =
		    hook_iq(a, false, payload, cases[i].scope);

		CHECK((hook == NULL ? NULL : hook->iq) == cases[i].iq);
		CHECK(hook_iq(a, true, payload, cases[i].scope) == NULL);
	}
	setup_unref(&setup);
}

static void
two_that_claim_one_iq_are_refused(void **state)
{
	static const struct module *const rivals[] = {&first, &rival, NULL};
	struct str why = STR_NONE;
	struct setup *setup;

	CHECK(make(rivals, HOSTS, &why) == NULL);
	CHECK_STR(why, "modules first and rival both take "
		       "<q xmlns='urn:x'/>");
	setup = make(
	    rivals, "hosts: {a.example: {}}\nmodules.rival: false\n", &why);
	CHECK(setup != NULL);
	setup_unref(&setup);
}

static void
slots_do_not_overlap(void **state)
{
	struct str why = STR_NONE;
	struct setup *setup = make(both, HOSTS, &why);
	size_t one = hook_account_slot(setup, &first);
	size_t two = hook_account_slot(setup, &second);

	CHECK(one % 8 == 0 && two % 8 == 0);
	CHECK(two >= one + 3 && hook_account_slots_len(setup) >= two + 20);
	CHECK(hook_session_slots_len(setup) >= 100);
	CHECK_ABORTS((void)hook_account_slot(setup, &rival));
	setup_unref(&setup);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hooks_run_in_order_until_one_takes),
	    cmocka_unit_test(modules_are_on_for_a_host_or_not),
	    cmocka_unit_test(the_closest_handler_answers_an_iq),
	    cmocka_unit_test(two_that_claim_one_iq_are_refused),
	    cmocka_unit_test(slots_do_not_overlap),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}
