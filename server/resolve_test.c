/*
 * Domains are resolved and dialled, by a DNS server and peers of this test on
 * free ports of the loopback.
 */
#include "server/resolve.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/dial.h"
#include "server/dns_rig.h"
#include "server/dns_server.h"
#include "server/setup_rig.h"
#include "server/socket.h"

/* What the DNS server knows. */
static const struct dns_known zone[] = {
    {"plain.lab", DNS_A, .text = "127.0.0.1"},
    {"plain.lab", DNS_AAAA, .text = "::1"},
    {"_xmpp-server._tcp.srv.lab", DNS_SRV, {20, 0, 5301}, "late.srv.lab"},
    {"_xmpp-server._tcp.srv.lab", DNS_SRV, {10, 0, 5302}, "first.srv.lab"},
    {"_xmpps-server._tcp.srv.lab", DNS_SRV, {15, 0, 5303}, "first.srv.lab"},
    {"late.srv.lab", DNS_A, .text = "127.0.0.3"},
    {"brief.lab", DNS_A, .text = "127.0.0.3", .ttl = 1},
    {"gone.lab", DNS_SOA, .owner = "lab", .ttl = 1},
    {"apart.lab", DNS_A, .text = "127.0.0.3"},
    {"first.srv.lab", DNS_A, .text = "127.0.0.2"},
    {"first.srv.lab", DNS_AAAA, .text = "::1"},
    {"srv.lab", DNS_A, .text = "127.0.0.9"},
    {"_xmpp-server._tcp.none.lab", DNS_SRV, {0, 0, 0}, "."},
    {"none.lab", DNS_A, .text = "127.0.0.9"},
    {"_xmpps-server._tcp.undirect.lab", DNS_SRV, {0, 0, 0}, "."},
    {"undirect.lab", DNS_A, .text = "127.0.0.9"},
    {"xn--bcher-kva.lab", DNS_A, .text = "127.0.0.4"},
    {"_xmpp-server._tcp.loop.lab", DNS_CNAME, .text = "one.loop.lab"},
    {"one.loop.lab", DNS_CNAME, .text = "two.loop.lab"},
    {"two.loop.lab", DNS_CNAME, .text = "one.loop.lab"},
    {"loop.lab", DNS_CNAME, .text = "loop.lab"},
    {"_xmpp-server._tcp.looped.lab", DNS_SRV, {0, 0, 5301}, "one.loop.lab"},
    {"_xmpp-server._tcp.endless.lab", DNS_CNAME, .text = "0.chain.lab"},
    {"_xmpp-server._tcp.drawn-out.lab", DNS_SRV, {0, 0, 1}, "0.chain.lab"},
    {"chain.lab", DNS_ENDLESS},
    {"_xmpp-server._tcp.odd.lab", DNS_SRV, .nonsense = 5},
    {"odd.lab", DNS_A, .text = "127.0.0.5"},
    {"_xmpp-server._tcp.stray.lab", DNS_SRV, {0, 0, 5301}, "evil.lab",
	.owner = "_xmpp-server._tcp.plain.lab"},
    {"stray.lab", DNS_A, .text = "127.0.0.66", .owner = "plain.lab"},
    {"_xmpp-server._tcp.chaos.lab", DNS_SRV, {0, 0, 5301}, "plain.lab",
	.class = 3},
    {"chaos.lab", DNS_A, .text = "127.0.0.66", .class = 3},
    {"_xmpp-server._tcp.many.lab", DNS_SRV, {0, 0, 1}, "plain.lab", .more = 99},
    {"_xmpp-server._tcp.silent.lab", DNS_SILENCE},
    {"_xmpp-server._tcp.broken.lab", DNS_FAILURE},
    {"_xmpps-server._tcp.ranked.lab", DNS_SRV, {20, 0, 1}, "plain.lab",
	.more = 19},
    {"_xmpp-server._tcp.ranked.lab", DNS_SRV, {10, 0, 99}, "plain.lab"},
    {"_xmpps-server._tcp.broken.lab", DNS_FAILURE},
    {"broken.lab", DNS_FAILURE},
};

/* --- a shard of its own --------------------------------------------------- */

static struct dns_rig rig;

static struct shard *
shard(void)
{
	return &rig.shard;
}

static void
turn(void)
{
	dns_rig_turn(&rig);
}

static void
start_rig(struct dns_rig *started)
{
	char yaml[600];

	snprintf(yaml, sizeof(yaml),
	    "hosts: {a.lab: {}}\n"
	    "dns: {resolvers: [\"%s\"], timeout: 1500 ms, "
	    "trust_anchor: /dev/null}\n"
	    "domains:\n"
	    "  routed.lab: {s2s: {route: [\"xmpps://[::1]:7001\", "
	    "\"xmpp://plain.lab:7002\"]}}\n"
	    "  apart.lab: {dns: {resolvers: [\"%s\"]}}\n",
	    dns_server_address(0), dns_server_address(1));
	dns_rig_start(started, yaml);
}

static int
start(void **state)
{
	(void)state;
	dns_server_start(zone, COUNT_OF(zone));
	start_rig(&rig);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	dns_rig_stop(&rig);
	dns_server_stop();
	return 0;
}

/* --- cases ---------------------------------------------------------------- */

static bool is_done;
static unsigned done_count;

static void
resolved(struct resolve *resolve)
{
	(void)resolve;
	is_done = true;
	done_count++;
}

static const struct {
	const char *domain;
	enum err err;
	const char *text; /* of the endpoints, or words of the failure */
} cases[] = {
    {"plain.lab", ERR_NONE,
	"::1, port 5269 (plain.lab); 127.0.0.1, port 5269 (plain.lab); "},
    {"srv.lab", ERR_NONE,
	"::1, port 5302 (first.srv.lab); 127.0.0.2, port 5302 (first.srv.lab); "
	"::1, port 5303 (first.srv.lab) TLS; "
	"127.0.0.2, port 5303 (first.srv.lab) TLS; "
	"127.0.0.3, port 5301 (late.srv.lab); "},
    {"none.lab", ERR_NOT_FOUND, "has no XMPP server"},
    {"undirect.lab", ERR_NOT_FOUND, "has no XMPP server"},
    {"nothing.lab", ERR_NOT_FOUND, "has no address of nothing.lab"},
    {"b\xc3\xbc"
     "cher.lab",
	ERR_NONE, "127.0.0.4, port 5269 (xn--bcher-kva.lab); "},
    {"127.0.0.7", ERR_NONE, "127.0.0.7, port 5269 (127.0.0.7); "},
    {"[::1]", ERR_NONE, "::1, port 5269 ([::1]); "},
    {"odd.lab", ERR_UNAVAILABLE, "the resolver failed"},
    {"stray.lab", ERR_NOT_FOUND, "has no address of stray.lab"},
    {"chaos.lab", ERR_NOT_FOUND, "has no address of chaos.lab"},
    {"silent.lab", ERR_TIMEOUT, "no answer came in time"},
    {"broken.lab", ERR_UNAVAILABLE, "the resolver failed"},
    {"routed.lab", ERR_NONE,
	"::1, port 7001 ([::1]) TLS; ::1, port 7002 (plain.lab); "
	"127.0.0.1, port 7002 (plain.lab); "},
};

static void
domains_are_resolved(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_make(0);
		struct resolve *found =
		    dns_rig_resolve(&rig, arena, cases[i].domain);

		CHECK(found->err == cases[i].err);
		if (found->err == ERR_NONE)
			CHECK_TEXT(
			    dns_rig_describe(arena, found), cases[i].text);
		else
			CHECK(strstr(found->why.text, cases[i].text) != NULL);
		arena_free(&arena);
	}
}

/* Who lists more than anybody needs is not followed everywhere: the best of
 * them are. */
static void
targets_are_limited(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve *found = dns_rig_resolve(&rig, arena, "many.lab");

	(void)state;
	CHECK(found->err == ERR_NONE && found->count == 16);
	found = dns_rig_resolve(&rig, arena, "ranked.lab");
	CHECK(found->err == ERR_NONE && found->count == 16);
	CHECK(found->endpoints[0].port == 99 &&
	      !found->endpoints[0].is_direct_tls);
	CHECK(found->endpoints[2].is_direct_tls);
	arena_free(&arena);
}

/* Names for names, in a circle or without end, of SRV records or behind them:
 * few questions, no more time than one that is not answered, and no address. */
static void
loops_end(void **state)
{
	static const char *const loops[] = {
	    "loop.lab", "looped.lab", "endless.lab", "drawn-out.lab"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(loops); i++) {
		struct arena *arena = arena_make(0);
		const unsigned before = dns_server_asked(0, NULL);
		const uint64_t since_ms = clock_mono_ms();
		struct resolve *found = dns_rig_resolve(&rig, arena, loops[i]);

		CHECK(found->err != ERR_NONE && found->count == 0);
		CHECK(clock_mono_ms() - since_ms < 5000);
		if (dns_server_asked(0, NULL) - before > 30)
			fail_msg("%s: %u questions", loops[i],
			    dns_server_asked(0, NULL) - before);
		arena_free(&arena);
	}
}

static void
questions_can_be_canceled(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve found;
	struct policy policy;

	(void)state;
	policy_of(rig.setup, NULL, STR("silent.lab"), &policy);
	is_done = false;
	resolve_start(
	    shard(), &found, arena, &policy, STR("silent.lab"), resolved);
	resolve_cancel(&found);
	assert_false(is_done);
	while (!is_done)
		turn();
	CHECK(found.err == ERR_CANCELED);
	arena_free(&arena);
}

/* More at a time than are asked at a time. */
static void
thousands_wait_their_turn(void **state)
{
	enum { MANY = 1000 };
	struct arena *arena = arena_make(0);
	struct resolve *all = arena_array(arena, struct resolve, MANY);

	(void)state;
	done_count = 0;
	for (unsigned i = 0; i < MANY; i++) {
		struct str name = str_format(arena, "n%u.lab", i);
		struct policy policy;

		policy_of(rig.setup, NULL, name, &policy);
		resolve_start(shard(), &all[i], arena, &policy, name, resolved);
	}
	while (done_count < MANY)
		turn();
	for (unsigned i = 0; i < MANY; i++)
		CHECK(all[i].err == ERR_NOT_FOUND || all[i].err == ERR_TIMEOUT);
	arena_free(&arena);
}

/* Those under way and those that wait for their turn; nothing of them may be
 * touched when they are done. */
static void
thousands_can_be_canceled(void **state)
{
	enum { MANY = 1000 };
	struct arena *arena = arena_make(0);
	struct resolve *all = arena_array(arena, struct resolve, MANY);
	unsigned left = MANY;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		struct str name = str_format(arena, "c%u.lab", i);
		struct policy policy;

		policy_of(rig.setup, NULL, name, &policy);
		resolve_start(shard(), &all[i], arena, &policy, name, resolved);
	}
	for (unsigned i = 0; i < MANY; i++)
		resolve_cancel(&all[i]);
	while (left > 0) {
		turn();
		left = 0;
		for (unsigned i = 0; i < MANY; i++)
			left += all[i].err != ERR_CANCELED;
	}
	arena_free(&arena);
	arena = arena_make(0);
	CHECK(dns_rig_resolve(&rig, arena, "plain.lab")->err == ERR_NONE);
	arena_free(&arena);
}

static void
asked(struct dns_ask *ask)
{
	(void)ask;
	is_done = true;
}

static enum err
ask_address(const char *name)
{
	struct arena *arena = arena_make(0);
	struct policy policy;
	struct dns_ask ask;

	policy_of(rig.setup, NULL, str_of(name), &policy);
	is_done = false;
	dns_query(shard(), &ask, arena, &policy,
	    (struct dns_name){str_of(name), DNS_A}, asked);
	while (!is_done)
		turn();
	arena_free(&arena);
	return ask.err;
}

/* How often these were asked for: what was sent before this is counted, for the
 * server answers in order. Where an answer took more than some 50 ms libunbound
 * has asked again, so one more and three more are the same. */
static unsigned
asked_count(void)
{
	static const char *const counted[] = {
	    "late.srv.lab", "unknown.lab", "brief.lab", "gone.lab"};
	static unsigned fences;
	char fence[32];
	unsigned count = 0;

	snprintf(fence, sizeof(fence), "fence%u.lab", fences++);
	CHECK_EQUAL(ask_address(fence), ERR_NOT_FOUND);
	for (size_t i = 0; i < COUNT_OF(counted); i++)
		count += dns_server_asked(0, counted[i]);
	return count;
}

static bool is_silent_done;

static void
silent_resolved(struct resolve *resolve)
{
	(void)resolve;
	is_silent_done = true;
}

/* What is under way then is answered still. */
static void
answers_are_kept_until_a_reload(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve silent = {.endpoints = NULL};
	struct policy policy;
	unsigned count;

	(void)state;
	CHECK_EQUAL(ask_address("late.srv.lab"), ERR_NONE);
	count = asked_count();
	CHECK_EQUAL(ask_address("late.srv.lab"), ERR_NONE);
	CHECK_EQUAL(asked_count(), count);
	CHECK_EQUAL(ask_address("unknown.lab"), ERR_NOT_FOUND);
	CHECK(asked_count() > count);
	count = asked_count();
	CHECK_EQUAL(ask_address("unknown.lab"), ERR_NOT_FOUND);
	CHECK_EQUAL(asked_count(), count);
	policy_of(rig.setup, NULL, STR("silent.lab"), &policy);
	resolve_start(shard(), &silent, arena, &policy, STR("silent.lab"),
	    silent_resolved);
	dns_setup_changed(shard());
	CHECK_EQUAL(ask_address("late.srv.lab"), ERR_NONE);
	CHECK(asked_count() > count);
	while (!is_silent_done)
		turn();
	CHECK(silent.err != ERR_NONE && silent.err != ERR_CANCELED);
	dns_setup_changed(shard());
	arena_free(&arena);
}

/* Also that there is nothing (RFC 2308). */
static void
answers_are_kept_for_their_time(void **state)
{
	const struct timespec time_to_live = {2, 100000000}; /* rounded up */
	const uint64_t since_ms = clock_mono_ms();
	unsigned before, count;

	(void)state;
	before = asked_count();
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK_EQUAL(ask_address("gone.lab"), ERR_NOT_FOUND);
	count = asked_count();
	CHECK(count >= before + 2);
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK_EQUAL(ask_address("gone.lab"), ERR_NOT_FOUND);
	/* Their time may be over when this was not let run for so long. */
	if (clock_mono_ms() - since_ms < 1000)
		CHECK_EQUAL(asked_count(), count);
	nanosleep(&time_to_live, NULL);
	count = asked_count();
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK(asked_count() > count);
	count = asked_count();
	CHECK_EQUAL(ask_address("gone.lab"), ERR_NOT_FOUND);
	CHECK(asked_count() > count);
}

/* Of one domain others may be asked than of all. */
static void
a_domain_has_resolvers_of_its_own(void **state)
{
	(void)state;
	CHECK_EQUAL(dns_server_asked(1, NULL), 0);
	CHECK_EQUAL(ask_address("apart.lab"), ERR_NONE);
	CHECK_EQUAL(dns_server_asked(0, "apart.lab"), 0);
	CHECK(dns_server_asked(1, "apart.lab") > 0);
}

static char told[200];

static void
note_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(told, sizeof(told), "%s", line);
}

/* Where it is installed there is no line. */
static void
that_dane_is_off_is_told(void **state)
{
	const bool is_installed = access("/usr/share/dns/root.key", R_OK) == 0;
	const struct config *config = setup_config(shard()->setup);
	struct arena *arena = arena_make(0);
	struct setup *other = setup_rig_plain(arena, "hosts: {a.lab: {}}\n");

	(void)state;
	told[0] = '\0';
	log_set_level(LOG_INFO);
	log_capture(note_line);
	dns_tell_anchor(config);
	CHECK(told[0] == '\0');
	dns_tell_anchor(setup_config(other));
	log_capture(NULL);
	log_set_level(LOG_ERROR);
	CHECK((strstr(told, "DANE is off: install the package "
			    "dns-root-data") == NULL) == is_installed);
	setup_unref(&other);
	arena_free(&arena);
}

/* The server of this test signs nothing, like one that takes it out. */
static void
a_resolver_without_dnssec_is_known(void **state)
{
	static const char anchor[] = ". IN DS 20326 8 2 "
				     "E06D44B80B8F1D39A95C0B0D7C65D084"
				     "58E880409BBC683457104237C7F8EC8D\n";
	struct arena *arena = arena_make(0);
	char path[] = "/tmp/resolve_test.XXXXXX", yaml[300];
	const int fd = mkstemp(path);
	struct dns_rig other;
	struct resolve *found;

	(void)state;
	assert_true(write(fd, anchor, strlen(anchor)) > 0);
	close(fd);
	snprintf(yaml, sizeof(yaml),
	    "hosts: {a.lab: {}}\n"
	    "dns: {resolvers: \"%s\", trust_anchor: \"%s\"}\n",
	    dns_server_address(0), path);
	dns_rig_start(&other, yaml);
	found = dns_rig_resolve(&other, arena, "plain.lab");
	CHECK(found->err == ERR_DENIED);
	if (!dns_cannot_begin(found->why))
		fail_msg("%s", found->why.text);
	CHECK(!dns_cannot_begin(STR("no such name")));
	arena_free(&arena);
	dns_rig_stop(&other);
	shard_enter(shard());
	unlink(path);
}

/* What strangers make us ask does not keep us from asking for ourselves. */
static void
silence_for_strangers_holds_nobody_back(void **state)
{
	enum { MANY = 300 };
	struct arena *arena = arena_make(0);
	struct resolve *all = arena_array(arena, struct resolve, MANY);
	struct policy policy;
	unsigned left = MANY;

	(void)state;
	policy_of(rig.setup, NULL, STR("silent.lab"), &policy);
	policy.is_for_stranger = true;
	for (unsigned i = 0; i < MANY; i++)
		resolve_start(shard(), &all[i], arena, &policy,
		    STR("silent.lab"), resolved);
	CHECK_EQUAL(ask_address("first.srv.lab"), ERR_NONE);
	while (left > 0) {
		turn();
		left = 0;
		for (unsigned i = 0; i < MANY; i++)
			left += all[i].err == ERR_NONE;
	}
	arena_free(&arena);
}

static void
questions_end_with_the_shard(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve found;
	struct dns_rig other;
	struct policy policy;

	(void)state;
	start_rig(&other);
	policy_of(other.setup, NULL, STR("silent.lab"), &policy);
	resolve_start(
	    &other.shard, &found, arena, &policy, STR("silent.lab"), resolved);
	dns_rig_turn(&other);
	dns_rig_stop(&other);
	CHECK(found.err == ERR_CANCELED);
	arena_free(&arena);
	shard_enter(shard());
}

/* --- dialling ------------------------------------------------------------- */

static int
listen_on(const char *address, uint16_t *port_r)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &here.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&here, &len);
	*port_r = ntohs(here.sin_port);
	return fd;
}

static void
set_endpoint(struct endpoint *endpoint, const char *address, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)&endpoint->address;

	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	inet_pton(AF_INET, address, &v4->sin_addr);
	endpoint->len = sizeof(*v4);
	endpoint->port = port;
	endpoint->target = STR("t");
}

static void
dialled(struct dial *dial)
{
	(void)dial;
	is_done = true;
}

static void
await(void)
{
	while (!is_done)
		turn();
	is_done = false;
}

/* The first refuses, the second answers, the third too; then none is left. */
static void
endpoints_are_tried_in_order(void **state)
{
	struct arena *arena = arena_make(0);
	struct endpoint endpoints[3] = {0};
	struct dial dial;
	uint16_t ports[2];
	int fds[2] = {listen_on("127.0.0.1", &ports[0]),
	    listen_on("127.0.0.1", &ports[1])};

	(void)state;
	set_endpoint(&endpoints[0], "127.0.0.1", 1);
	set_endpoint(&endpoints[1], "127.0.0.1", ports[0]);
	set_endpoint(&endpoints[2], "127.0.0.1", ports[1]);
	is_done = false;
	dial_start(shard(), &dial, arena, endpoints, 3, dialled);
	for (unsigned i = 1; i < 3; i++) {
		await();
		CHECK(dial.err == ERR_NONE && dial.endpoint == &endpoints[i]);
		conn_drop(dial.conn);
		dial_next(&dial);
	}
	await();
	CHECK(dial.err == ERR_UNAVAILABLE);
	CHECK(strstr(dial.why.text, "refused") != NULL);
	close(fds[0]);
	close(fds[1]);
	arena_free(&arena);
}

static void
dialling_can_be_canceled(void **state)
{
	struct arena *arena = arena_make(0);
	struct endpoint endpoint = {0};
	struct dial dial;

	(void)state;
	set_endpoint(&endpoint, "127.0.0.1", 1);
	is_done = false;
	dial_start(shard(), &dial, arena, &endpoint, 1, dialled);
	dial_cancel(&dial);
	await();
	CHECK(dial.err == ERR_CANCELED && dial.conn == NULL);
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(domains_are_resolved),
	    cmocka_unit_test(targets_are_limited),
	    cmocka_unit_test(loops_end),
	    cmocka_unit_test(questions_can_be_canceled),
	    cmocka_unit_test(thousands_wait_their_turn),
	    cmocka_unit_test(thousands_can_be_canceled),
	    cmocka_unit_test(answers_are_kept_until_a_reload),
	    cmocka_unit_test(answers_are_kept_for_their_time),
	    cmocka_unit_test(a_domain_has_resolvers_of_its_own),
	    cmocka_unit_test(that_dane_is_off_is_told),
	    cmocka_unit_test(a_resolver_without_dnssec_is_known),
	    cmocka_unit_test(silence_for_strangers_holds_nobody_back),
	    cmocka_unit_test(questions_end_with_the_shard),
	    cmocka_unit_test(endpoints_are_tried_in_order),
	    cmocka_unit_test(dialling_can_be_canceled),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
