/*
 * server/login_test.c - streams of clients in a world: the brake on guesses,
 * the deadline for logins, proofs of receipt.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/code.h"
#include "base/log.h"
#include "server/account.h"
#include "server/session.h"
#include "server/world_private.h"

#define NS_SASL_ATTR "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"

static void on_opened(struct session *);
static void on_proved(struct session *, uint64_t ticket);

static struct session *opened;
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
send_kept(struct session *session, uint64_t ticket)
{
	struct arena *arena = arena_make(0);
	struct stanza *message = stanza_make(arena, STANZA_MESSAGE,
	    STANZA_NORMAL, NULL, session->jid, STR("kept"));

	session_send_proved(session, message, ticket);
	arena_free(&arena);
}

static void
on_opened(struct session *session)
{
	opened = session;
	send_kept(session, 7);
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
	    .yaml = "auth.free_failures: 1\nauth.longest_delay: 3 s\n"
		    "limits: {rate: 10 KiB, burst: 10 KiB}\n",
	    .is_one_address = true,
	});

	world_add_account(world, "romeo@montague.example", NULL);
	world_run(world);
	return world;
}

static void
send_spaces(struct world_peer *peer, size_t len)
{
	static const char spaces[] = "                                ";

	for (size_t sent = 0; sent < len; sent += sizeof(spaces) - 1)
		world_send(peer, spaces);
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
	struct world_peer *peer = world_open_stream(world);

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

/* Else who guesses would be told that there is such an account, and slowed no
 * more whenever its clients come back. */
static void
a_success_forgives_no_guess(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .shard_count = 3,
	    .yaml = "auth.free_failures: 1\nauth.longest_delay: 3 s\n",
	});
	struct world_peer *peer;

	world_add_account(world, "romeo@montague.example", NULL);
	for (unsigned i = 0; i < 3; i++) {
		peer = world_open_stream(world);
		CHECK(got(peer, "mechanisms"));
		guess(world, peer, "romeo");
		CHECK(got(peer, "not-authorized") == (i == 0));
		world_sleep(world, 3000);
		world_connect(world, "romeo@montague.example/orchard");
		world_run(world);
	}
	world_free(&world);
}

static void
failures_are_forgotten(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer = world_open_stream(world);

	guess(world, peer, "romeo");
	CHECK(got(peer, "not-authorized"));
	world_sleep(world, 11 * MINUTE);
	CHECK(world_is_closed(peer));
	peer = world_open_stream(world);
	guess(world, peer, "romeo");
	CHECK(got(peer, "not-authorized"));
	world_free(&world);
}

static void
who_does_not_log_in_is_sent_away(void **state)
{
	struct world *world = make_world();
	struct world_peer *silent = world_connect(world, "");
	struct world_peer *slow = world_open_stream(world);

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

/* A client that sends too much is not read for a while. */
static void
what_waited_to_be_read_proves_nothing(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer =
	    world_connect(world, "romeo@montague.example/orchard");

	world_sleep(world, 1100);
	proved = 0;
	send_spaces(peer, 40 * 1024);
	world_run(world);
	CHECK_EQUAL(proved, 7);
	world_send(peer, " ");
	shard_enter(opened->account->owner.shard);
	send_kept(opened, 8);
	world_sleep(world, 1100);
	CHECK(got(peer, "kept"));
	world_sleep(world, 10 * SECOND);
	CHECK_EQUAL(proved, 7);
	world_send(peer, " ");
	world_run(world);
	CHECK_EQUAL(proved, 8);
	world_free(&world);
}

/* Of what it sends there is always something that nobody has read yet. */
static void
who_never_stops_is_pinged(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer =
	    world_connect(world, "romeo@montague.example/orchard");
	bool is_pinged = false;

	world_sleep(world, 1100);
	send_spaces(peer, 1024 * 1024);
	world_run(world);
	shard_enter(opened->account->owner.shard);
	send_kept(opened, 8);
	for (unsigned i = 0; i < 20 && !is_pinged; i++) {
		world_sleep(world, SECOND);
		is_pinged = got(peer, "urn:xmpp:ping");
	}
	CHECK(is_pinged);
	CHECK_EQUAL(proved, 7);
	world_send(peer, "<iq type='result' id='jackdaw-ping'/>");
	send_spaces(peer, 1024 * 1024);
	world_sleep(world, 120 * SECOND);
	CHECK_EQUAL(proved, 8);
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

/* --- what a client sends ahead -------------------------------------------- */

#define RIGHT "AHJvbWVvAHNlY3JldA==" /* \0romeo\0secret */
#define LOGIN "<auth " NS_SASL_ATTR " mechanism='PLAIN'>" RIGHT "</auth>"

/* The server looks for the keys when the rest comes. */
static const struct {
	const char *sent, *wanted;
	bool is_over;
} aheads[] = {
    {LOGIN "\n", "success", false},
    {LOGIN " \n \n", "success", false},
    {LOGIN WORLD_OPENING, "bad-format", true},
    {LOGIN "\n" WORLD_OPENING, "bad-format", true},
    {LOGIN "<stream", "policy-violation", true},
    {LOGIN "<?xml version='1.0'?>" WORLD_OPENING, "not-well-formed", true},
    {LOGIN "<iq type='get' id='a'/>", "not-authorized", true},
};

static void
who_goes_on_before_success_is_told(void **state)
{
	for (size_t i = 0; i < COUNT_OF(aheads); i++) {
		struct world *world = make_world();
		struct world_peer *peer = world_open_stream(world);

		CHECK(got(peer, "mechanisms"));
		world_send(peer, aheads[i].sent);
		world_run(world);
		CHECK(got(peer, aheads[i].wanted));
		CHECK_EQUAL(world_is_closed(peer), aheads[i].is_over);
		world_free(&world);
	}
}

#define REGISTER                                                     \
	"<iq type='set' id='r'><query xmlns='jabber:iq:register'>"   \
	"<username>nurse</username><password>long enough</password>" \
	"</query></iq>"

#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

/* An answer must not come into another stream, nor
 * the keys of one account to the login of another. */
static void
one_thing_comes_after_the_other(void **state)
{
	static const char *const sent[] = {
	    REGISTER LOGIN, LOGIN REGISTER, REGISTER STARTTLS, LOGIN STARTTLS};

	for (size_t i = 0; i < COUNT_OF(sent); i++) {
		struct world *world = world_new(&(struct world_options){
		    .seed = 1, .yaml = "registration.open: true\n"});
		struct world_peer *peer;

		world_add_account(world, "romeo@montague.example", NULL);
		peer = world_open_stream(world);
		CHECK(got(peer, "iq-register"));
		world_send(peer, sent[i]);
		world_run(world);
		CHECK(got(peer, "policy-violation"));
		CHECK(world_is_closed(peer));
		world_free(&world);
	}
}

#define LOGIN_AS_GUEST "<auth " NS_SASL_ATTR " mechanism='ANONYMOUS'/>"

/* Each has keys looked for. */
static void
attempts_that_are_given_up_are_counted(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer = world_open_stream(world);
	unsigned count = 0;

	CHECK(got(peer, "mechanisms"));
	while (count < 50 && !world_is_closed(peer)) {
		/* n,,n=romeo,r=abc */
		world_send(peer,
		    "<auth " NS_SASL_ATTR " mechanism='SCRAM-SHA-1'>"
		    "biwsbj1yb21lbyxyPWFiYw==</auth>");
		world_run(world);
		if (got(peer, "<challenge"))
			count++;
	}
	CHECK_EQUAL(count, 12);
	world_free(&world);
}

/* Section 6.4.4: also who is let in meanwhile. */
static void
who_aborts_is_told_so(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1, .yaml = "auth.anonymous: true\n"});
	struct world_peer *peer = world_open_stream(world);

	CHECK(got(peer, "ANONYMOUS"));
	world_send(peer, LOGIN_AS_GUEST "<abort " NS_SASL_ATTR "/>");
	world_run(world);
	CHECK(strstr(world_next(peer), "<aborted/>") != NULL);
	CHECK(world_next(peer) == NULL);
	world_send(peer, LOGIN_AS_GUEST);
	world_run(world);
	CHECK(got(peer, "<success"));
	world_free(&world);
}

/* What an attempt knows of its host outlives the configuration. */
static void
a_login_goes_on_over_a_reload(void **state)
{
	struct world *world = make_world();
	struct world_peer *peer = world_open_stream(world);

	CHECK(got(peer, "mechanisms"));
	world_send(peer, "<auth " NS_SASL_ATTR " mechanism='PLAIN'/>");
	world_run(world);
	CHECK(got(peer, "<challenge"));
	world_reload(world, "hosts: {montague.example: {}}\n");
	world_run(world);
	world_send(peer, "<response " NS_SASL_ATTR ">" RIGHT "</response>");
	world_run(world);
	CHECK(got(peer, "<success"));
	world_free(&world);
}

/* The shard of the name changed over before that of the stream. */
static void
who_asks_for_an_account_of_a_host_that_goes(void **state)
{
	static const char *const sent[] = {LOGIN_AS_GUEST, REGISTER};

	for (unsigned i = 0; i < 40; i++) {
		struct world *world = world_new(&(struct world_options){
		    .seed = i,
		    .shard_count = 3,
		    .yaml = "auth.anonymous: true\nregistration.open: true\n",
		});
		struct world_peer *peer = world_open_stream(world);

		CHECK(got(peer, "mechanisms"));
		world_send(peer, sent[i % COUNT_OF(sent)]);
		world_reload(world, "hosts: {capulet.example: {}}\n");
		world_run(world);
		CHECK(got(peer, "host-gone"));
		world_free(&world);
	}
}

static struct str
hmac(struct arena *arena, struct str key, struct str text)
{
	char *made = arena_text(arena, 20);

	CHECK_EQUAL(gnutls_hmac_fast(GNUTLS_MAC_SHA1, key.text, key.len,
			text.text, text.len, made),
	    0);
	return (struct str){made, 20};
}

/* RFC 5802, section 3, for the account's password. */
static struct str
prove(struct arena *arena, struct str salt, unsigned rounds, struct str auth)
{
	gnutls_datum_t key = {(unsigned char *)"secret", 6};
	gnutls_datum_t with = {
	    (unsigned char *)(uintptr_t)salt.text, (unsigned)salt.len};
	char salted[20], stored[20], *proof = arena_text(arena, 20);
	struct str client;

	CHECK_EQUAL(
	    gnutls_pbkdf2(GNUTLS_MAC_SHA1, &key, &with, rounds, salted, 20), 0);
	client = hmac(arena, (struct str){salted, 20}, STR("Client Key"));
	CHECK_EQUAL(
	    gnutls_hash_fast(GNUTLS_DIG_SHA1, client.text, 20, stored), 0);
	auth = hmac(arena, (struct str){stored, 20}, auth);
	for (unsigned i = 0; i < 20; i++)
		proof[i] = (char)(client.text[i] ^ auth.text[i]);
	return base64_encode(arena, (struct str){proof, 20});
}

/* The last response to the challenge, as XML. */
static struct str
respond(struct arena *arena, const char *challenge)
{
	struct str text = str_of(strchr(challenge, '>') + 1);
	struct str first, nonce, salt, rounds, with, auth;
	uint64_t count = 0;

	str_cut(text, '<', &text, &with);
	CHECK(base64_decode(arena, text, &first));
	str_cut(first, ',', &nonce, &salt);
	str_cut(salt, ',', &salt, &rounds);
	CHECK(str_to_u64(
	    (struct str){rounds.text + 2, rounds.len - 2}, 100000, &count));
	CHECK(base64_decode(
	    arena, (struct str){salt.text + 2, salt.len - 2}, &salt));
	with = str_format(arena, "c=biws,%.*s", STR_ARG(nonce));
	auth = str_format(
	    arena, "n=romeo,r=abc,%.*s,%.*s", STR_ARG(first), STR_ARG(with));
	text = prove(arena, salt, (unsigned)count, auth);
	text = base64_encode(arena,
	    str_format(arena, "%.*s,p=%.*s", STR_ARG(with), STR_ARG(text)));
	return str_format(
	    arena, "<response " NS_SASL_ATTR ">%.*s</response>", STR_ARG(text));
}

/* Up to the last response, which is not sent. */
static struct str
begin_scram(struct world *world, struct world_peer *peer, struct arena *arena)
{
	struct str text = base64_encode(arena, STR("n,,n=romeo,r=abc"));

	CHECK(got(peer, "mechanisms"));
	world_send(peer,
	    str_format(arena,
		"<auth " NS_SASL_ATTR " mechanism='SCRAM-SHA-1'>%.*s</auth>",
		STR_ARG(text))
		.text);
	world_run(world);
	return respond(arena, world_next(peer));
}

static void
prove_and_bind(struct world *world, struct world_peer *peer,
    struct arena *arena, struct str response)
{
	world_send(
	    peer, str_format(arena,
		      "%.*s" WORLD_OPENING "<iq type='set' id='b'>"
		      "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
		      STR_ARG(response))
		      .text);
	world_run(world);
}

/* SCRAM's proof is looked at as it comes: what follows it is the new stream. */
static void
a_header_behind_the_proof_opens_the_stream(void **state)
{
	struct world *world = make_world();
	struct arena *arena = arena_make(0);
	struct world_peer *peer = world_open_stream(world);

	prove_and_bind(world, peer, arena, begin_scram(world, peer, arena));
	CHECK(strstr(world_next(peer), "<success") != NULL);
	CHECK(got(peer, "<jid>romeo@montague.example/"));
	CHECK(!world_is_closed(peer));
	arena_free(&arena);
	world_free(&world);
}

/* --- who does not wait ---------------------------------------------------- */

/* A guess that is right is answered at once: who goes on with the next as soon
 * as no answer comes must not have more of them at a time. */
static void
who_goes_before_the_answer_holds_his_place(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .shard_count = 3,
	    .yaml = "auth.free_failures: 1\nauth.longest_delay: 3 s\n"
		    "limits.connections: 2\n",
	    .is_one_address = true,
	});
	struct world_peer *peer;

	world_add_account(world, "romeo@montague.example", NULL);
	/* The first is free. */
	for (unsigned i = 0; i < 3; i++) {
		peer = world_open_stream(world);
		CHECK(got(peer, "mechanisms"));
		guess(world, peer, "romeo");
		world_cut(&peer);
		world_run(world);
	}
	peer = world_open_stream(world);
	CHECK(got(peer, "policy-violation"));
	CHECK(world_is_closed(peer));
	world_sleep(world, 3000);
	peer = world_open_stream(world);
	CHECK(got(peer, "mechanisms"));
	/* The world ends before that. */
	guess(world, peer, "romeo");
	world_cut(&peer);
	world_run(world);
	world_free(&world);
}

/* --- keys that are not the account's any more ----------------------------- */

static void
on_committed(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* The account of the login that is under way; made anew if it is removed. */
static void
change_account(struct world *world, struct arena *arena, bool is_removed)
{
	const struct jid *romeo =
	    jid_parse(arena, STR("romeo@montague.example"));
	struct shard *shard = shard_of(&world->server, romeo);
	struct store_commit *commit = arena_new(arena, struct store_commit);
	struct account *account;

	world_connect(world, "romeo@montague.example/orchard");
	world_run(world);
	account = account_find(shard, romeo);
	shard_enter(shard);
	if (is_removed)
		account_remove(account, commit, on_committed);
	else
		account_set_password(
		    account, STR("another one"), NULL, commit, on_committed);
	world->is_quiet[shard->index] = false;
	world_run(world);
	if (is_removed)
		world_add_account(
		    world, "romeo@montague.example", "another one");
}

/* Who had the challenge before and proves the old password after. */
static void
late_proofs_let_nobody_in(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct world *world = make_world();
		struct arena *arena = arena_make(0);
		struct world_peer *peer = world_open_stream(world);
		struct str response = begin_scram(world, peer, arena);

		world_sleep(world, 1000);
		change_account(world, arena, i == 1);
		world_sleep(world, 1000);
		prove_and_bind(world, peer, arena, response);
		CHECK(got(peer, "<not-authorized"));
		arena_free(&arena);
		world_free(&world);
	}
}

/* --- why a stream ends ---------------------------------------------------- */

static char ends[1000];

static void
note_end(enum log_level level, const char *text)
{
	const char *at = strstr(text, ": closed");

	if (at != NULL)
		snprintf(ends, sizeof(ends), "%s", at + 2);
}

static void
the_log_says_who_ended_it(void **state)
{
	static const struct {
		const char *sent, *said;
	} cases[] = {
	    {"</stream:stream>", "closed as the peer asked"},
	    {"<stream:error><reset xmlns="
	     "'urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	     "</stream:stream>",
		"closed: the client says reset"},
	    {"<stream:error/></stream:stream>",
		"closed: the client says there is an error"},
	};

	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct world *world = make_world();
		struct world_peer *peer = world_open_stream(world);

		ends[0] = '\0';
		log_capture(note_end);
		log_set_level(LOG_INFO);
		world_send(peer, cases[i].sent);
		world_sleep(world, 10000);
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		CHECK_TEXT(ends, cases[i].said);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guesses_are_slowed),
	    cmocka_unit_test(a_success_forgives_no_guess),
	    cmocka_unit_test(failures_are_forgotten),
	    cmocka_unit_test(who_does_not_log_in_is_sent_away),
	    cmocka_unit_test(
		what_came_before_the_bytes_were_there_proves_nothing),
	    cmocka_unit_test(
		one_sign_of_life_proves_what_the_kernel_had_acknowledged),
	    cmocka_unit_test(what_waited_to_be_read_proves_nothing),
	    cmocka_unit_test(who_never_stops_is_pinged),
	    cmocka_unit_test(who_goes_without_a_sign_proved_nothing),
	    cmocka_unit_test(who_goes_on_before_success_is_told),
	    cmocka_unit_test(one_thing_comes_after_the_other),
	    cmocka_unit_test(attempts_that_are_given_up_are_counted),
	    cmocka_unit_test(who_aborts_is_told_so),
	    cmocka_unit_test(a_login_goes_on_over_a_reload),
	    cmocka_unit_test(who_asks_for_an_account_of_a_host_that_goes),
	    cmocka_unit_test(a_header_behind_the_proof_opens_the_stream),
	    cmocka_unit_test(who_goes_before_the_answer_holds_his_place),
	    cmocka_unit_test(late_proofs_let_nobody_in),
	    cmocka_unit_test(the_log_says_who_ended_it),
	};

	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
