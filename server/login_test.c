/*
 * server/login_test.c - streams of clients in a world: the brake on guesses,
 * the deadline for logins, proofs of receipt.
 */
#include <string.h>

#include "base/check.h"
#include "base/code.h"
#include "server/session.h"
#include "server/world.h"

#define NS_SASL_ATTR "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"

static void on_opened(struct session *);
static void on_proved(struct session *, uint64_t ticket);

static uint64_t proved;

static const struct hook hooks[] = {
    {.on = HOOK_SESSION_OPENED, .session = on_opened},
    {.on = HOOK_PROVED, .proved = on_proved},
    {HOOK_END},
};

static const struct module sender = {
    .api = MODULE_API,
    .name = "sender",
    .help = "Sends each session a message with a ticket",
    .hooks = hooks,
};

const struct module *const modules_builtin[] = {&sender, NULL};

static void
on_opened(struct session *session)
{
	struct arena *arena = arena_make(0);
	struct stanza *message = stanza_make(arena, STANZA_MESSAGE,
	    STANZA_NORMAL, NULL, session->jid, STR("kept"));

	session_send_proved(session, message, 7);
	arena_free(&arena);
}

static void
on_proved(struct session *session, uint64_t ticket)
{
	proved = ticket;
}

static struct world *
make_world(void)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .shard_count = 3,
	    .yaml = "auth.free_failures: 1\nauth.longest_delay: 3 s\n",
	    .is_one_address = true,
	});

	world_add_account(world, "romeo@montague.example", NULL);
	world_run(world);
	return world;
}

static struct world_peer *
open_stream(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer,
	    "<stream:stream xmlns='jabber:client' to='montague.example' "
	    "version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>");
	world_run(world);
	return peer;
}

/* Whether some of what came since contains the words; all of it is read. */
static bool
got(struct world_peer *peer, const char *words)
{
	const char *text;
	bool is_there = false;

	while ((text = world_next(peer)) != NULL)
		is_there |= strstr(text, words) != NULL;
	return is_there;
}

static void
guess(struct world *world, struct world_peer *peer, const char *user)
{
	struct arena *arena = arena_make(0);
	struct str words = str_format(arena, "%c%s%cwrong", 0, user, 0);
	struct str text = base64_encode(arena, words);

	text = str_format(arena,
	    "<auth " NS_SASL_ATTR " mechanism='PLAIN'>%.*s</auth>",
	    STR_ARG(text));
	world_send(peer, text.text);
	arena_free(&arena);
	world_run(world);
}

static void
guesses_are_slowed(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer = open_stream(world);

	CHECK(got(peer, "mechanisms"));
	guess(world, peer, "romeo");
	CHECK(got(peer, "not-authorized"));
	guess(world, peer, "romeo");
	CHECK(!got(peer, "failure"));
	world_sleep(world, 900);
	CHECK(!got(peer, "failure"));
	world_sleep(world, 200);
	CHECK(got(peer, "not-authorized"));

	/* Another name from the same address, and giving up in between, do not
	 * get around it. */
	guess(world, peer, "nobody");
	world_send(peer, "<abort " NS_SASL_ATTR "/>");
	world_sleep(world, 1900);
	CHECK(!got(peer, "failure"));
	world_sleep(world, 200);
	CHECK(got(peer, "aborted"));

	/* The longest there is, and the last that one stream may make. */
	guess(world, peer, "nobody");
	world_sleep(world, 3100);
	CHECK(got(peer, "not-authorized"));
	guess(world, peer, "nobody");
	world_sleep(world, 3100);
	CHECK(got(peer, "policy-violation"));
	CHECK(world_is_closed(peer));
	world_free(&world);
}

static void
failures_are_forgotten(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer = open_stream(world);

	guess(world, peer, "romeo");
	CHECK(got(peer, "not-authorized"));
	world_sleep(world, 11 * MINUTE);
	CHECK(world_is_closed(peer));
	peer = open_stream(world);
	guess(world, peer, "romeo");
	CHECK(got(peer, "not-authorized"));
	world_free(&world);
}

static void
who_does_not_log_in_is_sent_away(void **state)
{
	struct world *world = make_world();
	struct world_peer *silent = world_connect(world, "");
	struct world_peer *slow = open_stream(world);

	CHECK(got(slow, "mechanisms"));
	world_sleep(world, 29 * SECOND);
	world_send(slow, " ");
	CHECK(!got(slow, "error"));
	world_sleep(world, 2 * SECOND);
	CHECK(got(slow, "connection-timeout"));
	CHECK(world_is_closed(slow));
	CHECK(world_is_closed(silent));
	world_free(&world);
}

static void
what_came_before_the_bytes_were_there_proves_nothing(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer =
	    world_connect(world, "romeo@montague.example/orchard");

	world_run(world);
	CHECK(got(peer, "kept"));
	proved = 0;
	world_send(peer, " ");
	world_run(world);
	CHECK_EQUAL(proved, 0);
	world_send(peer, " ");
	world_run(world);
	CHECK_EQUAL(proved, 7);
	world_free(&world);
}

static void
one_sign_of_life_proves_what_the_kernel_had_acknowledged(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer =
	    world_connect(world, "romeo@montague.example/orchard");

	world_run(world);
	CHECK(got(peer, "kept"));
	proved = 0;
	world_sleep(world, 1100);
	CHECK_EQUAL(proved, 0);
	world_send(peer, " ");
	world_run(world);
	CHECK_EQUAL(proved, 7);
	world_free(&world);
}

static void
who_goes_without_a_sign_proved_nothing(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer =
	    world_connect(world, "romeo@montague.example/orchard");

	world_run(world);
	CHECK(got(peer, "kept"));
	proved = 0;
	world_sleep(world, 1100);
	world_cut(&peer);
	world_run(world);
	CHECK_EQUAL(proved, 0);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guesses_are_slowed),
	    cmocka_unit_test(failures_are_forgotten),
	    cmocka_unit_test(who_does_not_log_in_is_sent_away),
	    cmocka_unit_test(
		what_came_before_the_bytes_were_there_proves_nothing),
	    cmocka_unit_test(
		one_sign_of_life_proves_what_the_kernel_had_acknowledged),
	    cmocka_unit_test(who_goes_without_a_sign_proved_nothing),
	};

	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
