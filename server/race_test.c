/*
 * RFC 8305: endpoints are tried as DNS answers, and who answers late holds up
 * nobody. The answers come from a table, at times of a clock that is set.
 */
#include "server/resolve.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/conn.h"
#include "server/dial.h"
#include "server/dns_rig.h"
#include "server/outward.h"
#include "server/setup_rig.h"

/* --- what DNS says, and when ---------------------------------------------- */

enum { NEVER = 100000, TIMEOUT_MS = 5000, SECURE = true };

static const struct known {
	const char *name;
	enum dns_type type;
	uint64_t ms;
	const char *text; /* of a record; NULL: err */
	enum err err;
	unsigned priority;
	bool is_secure;
	unsigned weight;
	uint16_t port; /* 0: 5269 */
} zone[] = {
    {"v6-first.lab", DNS_AAAA, 10, "::1"},
    {"v6-first.lab", DNS_A, 100, "127.0.0.1"},
    {"v4-first.lab", DNS_A, 10, "127.0.0.1"},
    {"v4-first.lab", DNS_AAAA, 40, "::1"},
    {"v6-late.lab", DNS_A, 10, "127.0.0.1"},
    {"v6-late.lab", DNS_AAAA, 3000, "::1"},
    {"no-v6.lab", DNS_A, 10, "127.0.0.1"},
    {"no-v6.lab", DNS_AAAA, 20, NULL, ERR_NOT_FOUND},
    {"v6-broken.lab", DNS_A, 10, "127.0.0.1"},
    {"v6-broken.lab", DNS_AAAA, 20, NULL, ERR_UNAVAILABLE},
    {"v6-silent.lab", DNS_A, 10, "127.0.0.1"},
    {"v6-silent.lab", DNS_AAAA, NEVER},
    {"v4-silent.lab", DNS_AAAA, 10, "::1"},
    {"v4-silent.lab", DNS_A, NEVER},
    {"none.lab", DNS_A, 10, NULL, ERR_NOT_FOUND},
    {"none.lab", DNS_AAAA, 20, NULL, ERR_NOT_FOUND},

    {"quick.lab", DNS_A, 10, "127.0.0.2"},
    {"quick.lab", DNS_AAAA, 10, "::2"},
    {"slow.lab", DNS_A, 2000, "127.0.0.3"},
    {"slow.lab", DNS_AAAA, 2000, "::3"},
    {"_xmpp-server._tcp.last-slow.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.last-slow.lab", DNS_SRV, 0, "slow.lab", ERR_NONE, 2},
    {"_xmpp-server._tcp.first-slow.lab", DNS_SRV, 0, "slow.lab", ERR_NONE, 1,
	false, 65535},
    {"_xmpp-server._tcp.first-slow.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.better-slow.lab", DNS_SRV, 0, "slow.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.better-slow.lab", DNS_SRV, 0, "none.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.better-slow.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2},
    {"_xmpp-server._tcp.better-mute.lab", DNS_SRV, 0, "v4-silent.lab", ERR_NONE,
	1},
    {"_xmpp-server._tcp.better-mute.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2},
    {"silent.lab", DNS_A, NEVER},
    {"silent.lab", DNS_AAAA, NEVER},
    {"_xmpp-server._tcp.third.lab", DNS_SRV, 0, "silent.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.third.lab", DNS_SRV, 0, "silent.lab", ERR_NONE, 2},
    {"_xmpp-server._tcp.third.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 3},
    {"_xmpp-server._tcp.between.lab", DNS_SRV, 0, "no-v6.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.between.lab", DNS_SRV, 0, "silent.lab", ERR_NONE, 2},
    {"_xmpp-server._tcp.between.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 3},
    {"_xmpp-server._tcp.at-last.lab", DNS_SRV, 0, "slow.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.at-last.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2},
    {"_xmpp-server._tcp.first-none.lab", DNS_SRV, 0, "none.lab", ERR_NONE, 1},
    {"_xmpp-server._tcp.first-none.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2},

    {"_xmpp-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2, false,
	60, 1},
    {"_xmpps-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2, false,
	30, 2},
    {"_xmpps-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2, false,
	10, 3},
    {"_xmpps-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 1, false,
	0, 4},
    {"_xmpp-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 3, false,
	65535, 5},
    {"_xmpp-server._tcp.both.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 0, false,
	0, 6},

    {"_xmpp-server._tcp.vouched.lab", DNS_SRV, 0, "dane.lab", ERR_NONE, 1,
	SECURE},
    {"dane.lab", DNS_AAAA, 10, "::4", ERR_NONE, 0, SECURE},
    {"dane.lab", DNS_A, 600, "127.0.0.4", ERR_NONE, 0, SECURE},
    {"_5269._tcp.dane.lab", DNS_TLSA, 500, "record", ERR_NONE, 0, SECURE},
    {"_xmpp-server._tcp.early.lab", DNS_SRV, 0, "early-dane.lab", ERR_NONE, 1,
	SECURE},
    {"early-dane.lab", DNS_AAAA, 10, "::4", ERR_NONE, 0, SECURE},
    {"early-dane.lab", DNS_A, 10, "127.0.0.4"},
    {"_5269._tcp.early-dane.lab", DNS_TLSA, 5, "record", ERR_NONE, 0, SECURE},
    {"_xmpp-server._tcp.hidden.lab", DNS_SRV, 0, "no-dane.lab", ERR_NONE, 1,
	SECURE},
    {"no-dane.lab", DNS_AAAA, 10, "::4", ERR_NONE, 0, SECURE},
    {"no-dane.lab", DNS_A, 10, "127.0.0.4"},
    {"_5269._tcp.no-dane.lab", DNS_TLSA, 500, NULL, ERR_UNAVAILABLE},
    {"_xmpp-server._tcp.forged.lab", DNS_SRV, 0, "forged-dane.lab", ERR_NONE, 1,
	SECURE},
    {"forged-dane.lab", DNS_AAAA, 600, "::4", ERR_NONE, 0, SECURE},
    {"_5269._tcp.forged-dane.lab", DNS_TLSA, 5, NULL, ERR_DENIED},
    {"_xmpp-server._tcp.mute.lab", DNS_SRV, 0, "mute-dane.lab", ERR_NONE, 1,
	SECURE},
    {"mute-dane.lab", DNS_AAAA, 10, "::4", ERR_NONE, 0, SECURE},
    {"_5269._tcp.mute-dane.lab", DNS_TLSA, NEVER},
    {"_xmpp-server._tcp.hosted.lab", DNS_SRV, 0, "provider.lab", ERR_NONE, 1,
	SECURE},
    {"provider.lab", DNS_AAAA, 10, "::4"},
    {"provider.lab", DNS_A, 10, "127.0.0.4"},
    {"_5269._tcp.provider.lab", DNS_TLSA, 20, NULL, ERR_UNAVAILABLE},
    {"_xmpp-server._tcp.late.lab", DNS_SRV, 0, "late-provider.lab", ERR_NONE, 1,
	SECURE},
    {"_xmpp-server._tcp.late.lab", DNS_SRV, 0, "quick.lab", ERR_NONE, 2,
	SECURE},
    {"late-provider.lab", DNS_AAAA, 200, "::4"},
    {"late-provider.lab", DNS_A, 200, "127.0.0.4"},
    {"_5269._tcp.late-provider.lab", DNS_TLSA, 20, NULL, ERR_UNAVAILABLE},
    {"_xmpp-server._tcp.nobody.lab", DNS_SRV, 0, "no-address.lab", ERR_NONE, 1,
	SECURE},
    {"no-address.lab", DNS_AAAA, 10, NULL, ERR_NOT_FOUND},
    {"no-address.lab", DNS_A, 10, NULL, ERR_NOT_FOUND},
    {"_5269._tcp.no-address.lab", DNS_TLSA, 20, NULL, ERR_UNAVAILABLE},
    {"_xmpp-server._tcp.mixed.lab", DNS_SRV, 0, "mixed-dane.lab", ERR_NONE, 1,
	SECURE},
    {"mixed-dane.lab", DNS_AAAA, 10, "::4"},
    {"mixed-dane.lab", DNS_A, 30, "127.0.0.4", ERR_NONE, 0, SECURE},
    {"_5269._tcp.mixed-dane.lab", DNS_TLSA, 50, "record", ERR_NONE, 0, SECURE},
    {"_xmpp-server._tcp.free.lab", DNS_SRV, 0, "without-dane.lab", ERR_NONE, 1,
	SECURE},
    {"without-dane.lab", DNS_AAAA, 10, "::4", ERR_NONE, 0, SECURE},
    {"_5269._tcp.without-dane.lab", DNS_TLSA, 500, NULL, ERR_NOT_FOUND, 0,
	SECURE},
};

static struct dns_rig rig;
static struct buf asked; /* types, in order */

static void
add_record(struct dns_ask *ask, const struct known *known)
{
	struct dns_record *records =
	    arena_array(ask->arena, struct dns_record, ask->count + 1);

	if (ask->count > 0)
		memcpy(records, ask->records, ask->count * sizeof(*records));
	if (ask->type == DNS_A || ask->type == DNS_AAAA)
		inet_pton(ask->type == DNS_A ? AF_INET : AF_INET6, known->text,
		    records[ask->count].address);
	records[ask->count].priority = (uint16_t)known->priority;
	records[ask->count].weight = (uint16_t)known->weight;
	records[ask->count].port = known->port == 0 ? 5269 : known->port;
	records[ask->count].target = str_of(known->text);
	ask->records = records;
	ask->count++;
}

static void
answer(struct dns_ask *ask)
{
	buf_add_format(&asked, "%d ", (int)ask->type);
	ask->err = ERR_NOT_FOUND;
	for (size_t i = 0; i < COUNT_OF(zone); i++) {
		const struct known *known = &zone[i];

		if (known->type != ask->type ||
		    !str_equal(str_of(known->name), ask->name))
			continue;
		ask->err = known->ms == NEVER ? ERR_TIMEOUT : known->err;
		ask->is_bogus = known->err == ERR_DENIED;
		ask->is_secure = known->is_secure;
		ask->delay_ms = known->ms;
		if (known->text != NULL)
			add_record(ask, known);
	}
}

/* Nobody answers. */
static unsigned connects;

static enum err
connect_to(
    struct shard *shard, const struct endpoint *endpoint, struct conn **conn_r)
{
	(void)shard;
	(void)endpoint;
	(void)conn_r;
	connects++;
	return ERR_TIMEOUT;
}

static const struct outward outward = {
    .answer = answer,
    .connect = connect_to,
};

static uint64_t now_ms;

static void
set_now(uint64_t ms)
{
	now_ms = ms;
	clock_fake(1000000 + ms, 1700000000000000 + ms * 1000);
}

static int
start(void **state)
{
	(void)state;
	set_now(0);
	dns_rig_start(&rig, "hosts: {a.lab: {}}\ndns.timeout: 5 s\n"
			    "domains:\n  routed.lab: {s2s: {route: "
			    "[\"xmpp://slow.lab\", \"xmpp://127.0.0.9\"]}}\n");
	rig.server.outward = &outward;
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	rig.server.outward = NULL;
	clock_fake(0, 0);
	dns_rig_stop(&rig);
	buf_deinit(&asked);
	return 0;
}

/* Until then. */
static void
pass(uint64_t ms)
{
	for (; now_ms <= ms; set_now(now_ms + 1))
		timers_ring(&rig.shard.timers, clock_mono_ms());
	set_now(ms);
}

/* --- what becomes known, and when ----------------------------------------- */

static struct buf told;
static size_t told_before;
static uint64_t told_ms, done_ms;
static bool is_done;

/* "10: ::1 127.0.0.1?; ": TLSA records are awaited; "!": shut; "=1": one. The
 * last word of each millisecond. */
static void
found(struct resolve *resolve)
{
	struct arena *arena = arena_make(0);

	if (told_ms == now_ms)
		told.len = told_before;
	told_before = told.len;
	told_ms = now_ms;
	buf_add_format(&told, "%u:", (unsigned)now_ms);
	for (size_t i = 0; i < resolve->race_count; i++) {
		const struct endpoint *endpoint = &resolve->race[i];
		struct str text;

		if (endpoint->len == 0)
			continue;
		text = endpoint_text(arena, endpoint);
		buf_add_format(&told, " %.*s%s%s%s",
		    (int)strcspn(text.text, ","), text.text,
		    endpoint->is_tlsa_awaited ? "?" : "",
		    endpoint->shut.len > 0 ? "!" : "",
		    endpoint->tlsa_count > 0 ? "=1" : "");
	}
	buf_add(&told, STR("; "));
	arena_free(&arena);
}

static void
resolved(struct resolve *resolve)
{
	(void)resolve;
	is_done = true;
	done_ms = now_ms;
}

static void
begin(struct resolve *resolve, struct arena *arena, const char *domain)
{
	struct policy policy;

	buf_clear(&told, 0);
	buf_clear(&asked, 0);
	is_done = false;
	told_ms = NEVER;
	set_now(0);
	policy_of(rig.setup, NULL, str_of(domain), &policy);
	resolve_start(
	    &rig.shard, resolve, arena, &policy, str_of(domain), resolved);
	resolve->found = found;
}

struct race_case {
	const char *domain;
	const char *told;
	uint64_t done_ms;
	enum err err;
};

static const struct race_case cases[] = {
    {"v6-first.lab", "10: ::1; 100: ::1 127.0.0.1; ", 100},
    {"v4-first.lab", "40: ::1 127.0.0.1; ", 40},
    {"v6-late.lab", "60: 127.0.0.1; 3000: ::1 127.0.0.1; ", 3000},
    {"no-v6.lab", "20: 127.0.0.1; ", 20},
    {"v6-broken.lab", "20: 127.0.0.1; ", 20},
    {"v6-silent.lab", "60: 127.0.0.1; ", TIMEOUT_MS},
    {"v4-silent.lab", "10: ::1; ", TIMEOUT_MS},
    {"none.lab", "", 20, ERR_NOT_FOUND},
    {"last-slow.lab", "10: ::2 127.0.0.2; 2000: ::2 127.0.0.2 ::3 127.0.0.3; ",
	2000},
    {"first-slow.lab",
	"260: ::2 127.0.0.2; 2000: ::3 127.0.0.3 ::2 127.0.0.2; ", 2000},
    {"better-slow.lab", "2000: ::3 127.0.0.3 ::2 127.0.0.2; ", 2000},
    {"better-mute.lab", "10: ::1 ::2 127.0.0.2; ", TIMEOUT_MS},
    {"first-none.lab", "20: ::2 127.0.0.2; ", 20},
    {"routed.lab", "0: 127.0.0.9; 2000: 127.0.0.9 ::3 127.0.0.3; ", 2000},
    {"vouched.lab", "10: ::4?; 500: ::4=1; 600: ::4=1 127.0.0.4=1; ", 600},
    {"early.lab", "10: ::4=1 127.0.0.4; ", 10},
    {"hosted.lab", "10: ::4 127.0.0.4; ", 20},
    {"late.lab", "200: ::4 127.0.0.4 ::2 127.0.0.2; ", 200},
    {"nobody.lab", "", 20, ERR_NOT_FOUND},
    {"mixed.lab", "10: ::4; 30: ::4 127.0.0.4?; 50: ::4 127.0.0.4=1; ", 50},
    {"hidden.lab", "10: ::4? 127.0.0.4?; 500: ::4! 127.0.0.4!; ", 500,
	ERR_UNAVAILABLE},
    {"forged.lab", "600: ::4!; ", 600, ERR_DENIED},
    {"mute.lab", "10: ::4?; 5000: ::4!; ", TIMEOUT_MS, ERR_TIMEOUT},
    {"free.lab", "10: ::4?; 500: ::4; ", 500},
};

static void
play(const struct race_case *played, size_t count)
{
	rand_fake(7);
	for (size_t i = 0; i < count; i++) {
		struct arena *arena = arena_make(0);
		struct resolve resolve;

		begin(&resolve, arena, played[i].domain);
		pass(TIMEOUT_MS + 1);
		buf_add_byte(&told, '\0');
		if (strcmp(told.text, played[i].told) != 0)
			fail_msg("%s: %s", played[i].domain, told.text);
		CHECK(is_done);
		CHECK_EQUAL(done_ms, played[i].done_ms);
		CHECK_EQUAL(resolve.err, played[i].err);
		arena_free(&arena);
	}
	rand_fake(0);
	buf_deinit(&told);
}

static void
nobody_waits_for_the_last_answer(void **state)
{
	(void)state;
	play(cases, COUNT_OF(cases));
}

/* XEP-0495, section 4.1: what is worse waits while nothing is known of what is
 * better, but for its share of 3 s only: less than DNS may take. */
static const struct race_case shared[] = {
    {"third.lab", "2003: ::2 127.0.0.2; ", TIMEOUT_MS},
    {"between.lab", "20: 127.0.0.1; 1510: 127.0.0.1 ::2 127.0.0.2; ",
	TIMEOUT_MS},
    {"at-last.lab", "1505: ::2 127.0.0.2; 2000: ::3 127.0.0.3 ::2 127.0.0.2; ",
	2000},
    {"better-mute.lab", "10: ::1 ::2 127.0.0.2; ", TIMEOUT_MS},
};

static void
silent_names_leave_time_for_what_is_worse(void **state)
{
	struct arena *arena = arena_make(0);
	struct setup *setup = setup_rig_plain(arena,
	    "hosts: {a.lab: {}}\ndns.timeout: 5 s\ns2s.connect_timeout: 3 s\n");

	(void)state;
	rig.shard.setup = setup;
	play(shared, COUNT_OF(shared));
	rig.shard.setup = rig.setup;
	setup_unref(&setup);
	arena_free(&arena);
}

/* Section 3: and both at once. */
static void
ipv6_is_asked_for_first(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve resolve;

	(void)state;
	begin(&resolve, arena, "v6-first.lab");
	pass(9);
	buf_add_byte(&asked, '\0');
	CHECK_TEXT(asked.text, "33 33 28 1 ");
	pass(TIMEOUT_MS);
	arena_free(&arena);
}

static void
who_cancels_is_told_nothing_more(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve resolve;

	(void)state;
	begin(&resolve, arena, "v6-late.lab");
	pass(20);
	resolve_cancel(&resolve);
	CHECK(!is_done);
	pass(TIMEOUT_MS);
	CHECK(is_done && done_ms == 20);
	CHECK_EQUAL(resolve.err, ERR_CANCELED);
	CHECK_EQUAL(told.len, 0);
	buf_deinit(&told);
	arena_free(&arena);
}

/* --- the order: RFC 2782, XEP-0368 ---------------------------------------- */

/* Records of both names stand in one order of priorities, and where those are
 * the same, by weight: of ports 1 to 3, with 60, 30 and 10 of a hundred. */
static void
both_names_are_one_list(void **state)
{
	enum { TIMES = 2000 };
	unsigned first[4] = {0};

	(void)state;
	rand_fake(7);
	for (unsigned i = 0; i < TIMES; i++) {
		struct arena *arena = arena_make(0);
		const struct endpoint *list;
		struct resolve resolve;
		unsigned seen = 0;

		begin(&resolve, arena, "both.lab");
		pass(20);
		CHECK(is_done && resolve.count == 12);
		list = resolve.endpoints;
		CHECK(list[0].port == 6 && !list[0].is_direct_tls);
		CHECK(list[2].port == 4 && list[2].is_direct_tls);
		for (unsigned j = 4; j < 10; j += 2) {
			CHECK(list[j].port >= 1 && list[j].port <= 3);
			CHECK(list[j].is_direct_tls == (list[j].port != 1));
			seen |= 1u << list[j].port;
		}
		CHECK_EQUAL(seen, 2 + 4 + 8);
		CHECK(list[10].port == 5 && !list[10].is_direct_tls);
		first[list[4].port]++;
		arena_free(&arena);
	}
	rand_fake(0);
	buf_deinit(&told);
	CHECK(first[1] > TIMES * 55 / 100 && first[1] < TIMES * 65 / 100);
	CHECK(first[2] > TIMES * 25 / 100 && first[2] < TIMES * 35 / 100);
	CHECK(first[3] > TIMES * 7 / 100 && first[3] < TIMES * 13 / 100);
}

/* --- the race ------------------------------------------------------------- */

static struct dial dial;
static bool has_dialled;

static void
dialled(struct dial *done)
{
	(void)done;
	has_dialled = true;
}

static struct endpoint
endpoint_of(const char *address, uint16_t port)
{
	struct endpoint endpoint = {.port = port, .target = STR("t")};
	struct sockaddr_in *v4 = (void *)&endpoint.address;

	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	inet_pton(AF_INET, address, &v4->sin_addr);
	endpoint.len = sizeof(*v4);
	return endpoint;
}

/* Section 5: what comes late waits for its turn, and for no more. */
static void
late_answers_join_the_race(void **state)
{
	struct arena *arena = arena_make(0);
	struct endpoint race[4] = {0};

	(void)state;
	set_now(0);
	connects = 0;
	has_dialled = false;
	race[1] = endpoint_of("127.0.0.1", 1);
	dial_start(&rig.shard, &dial, arena, race, 4, dialled);
	dial_expect_more(&dial);
	pass(100);
	CHECK_EQUAL(connects, 1);
	race[0] = endpoint_of("127.0.0.2", 1);
	dial_more(&dial, false);
	pass(249);
	CHECK_EQUAL(connects, 1);
	pass(250);
	CHECK_EQUAL(connects, 2);
	pass(2000);
	CHECK_EQUAL(connects, 2);
	race[2] = endpoint_of("127.0.0.3", 1);
	dial_more(&dial, true);
	pass(2001);
	CHECK_EQUAL(connects, 3);
	dial_cancel(&dial);
	dial_more(&dial, true);
	pass(2010);
	CHECK(has_dialled);
	CHECK_EQUAL(dial.err, ERR_CANCELED);
	CHECK_EQUAL(connects, 3);
	arena_free(&arena);
}

/* XEP-0495, section 4.1: what is worse waits until all that is better failed,
 * or for its share of the time: of 30 s with three priorities 10, then 10. */
static void
worse_priorities_wait(void **state)
{
	struct arena *arena = arena_make(0);
	struct endpoint race[4];

	(void)state;
	set_now(0);
	connects = 0;
	has_dialled = false;
	for (unsigned i = 0; i < 4; i++)
		race[i] = endpoint_of("127.0.0.1", 1);
	race[2].priority = 1;
	race[3].priority = 65535;
	dial_start(&rig.shard, &dial, arena, race, 4, dialled);
	pass(250);
	CHECK_EQUAL(connects, 2);
	pass(9999);
	CHECK_EQUAL(connects, 2);
	pass(10001);
	CHECK_EQUAL(connects, 3);
	pass(19999);
	CHECK_EQUAL(connects, 3);
	pass(20002);
	CHECK_EQUAL(connects, 4);
	pass(29999);
	CHECK(!has_dialled);
	pass(30001);
	CHECK(has_dialled);
	CHECK_EQUAL(dial.err, ERR_TIMEOUT);
	arena_free(&arena);
}

/* --- connections ---------------------------------------------------------- */

/* With the clock that runs. */
static void
let_pass(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		dns_rig_turn(&rig);
}

static void
await_dialled(void)
{
	while (!has_dialled)
		let_pass(1);
}

static int
listen_on(uint16_t *port_r)
{
	struct sockaddr_in here = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(here);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&here, &len);
	*port_r = ntohs(here.sin_port);
	return fd;
}

/* RFC 7673: a connection is made while TLSA records are awaited, but nobody may
 * use it before they are known, nor at all when they cannot be had. */
static void
nothing_is_said_before_tlsa_records_are_known(void **state)
{
	for (unsigned is_shut = 0; is_shut < 2; is_shut++) {
		struct arena *arena = arena_make(0);
		struct endpoint race[1];
		uint16_t port;
		const int server = listen_on(&port);
		char byte;
		int peer;

		(void)state;
		clock_fake(0, 0);
		rig.server.outward = NULL;
		has_dialled = false;
		race[0] = endpoint_of("127.0.0.1", port);
		race[0].is_tlsa_awaited = true;
		dial_start(&rig.shard, &dial, arena, race, 1, dialled);
		dial_expect_more(&dial);
		let_pass(20);
		peer = accept(server, NULL, NULL);
		CHECK(peer >= 0 && !has_dialled);
		CHECK(recv(peer, &byte, 1, MSG_DONTWAIT) < 0);
		race[0].is_tlsa_awaited = false;
		if (is_shut == 1)
			race[0].shut = STR("the records are hidden");
		dial_more(&dial, true);
		CHECK(!has_dialled);
		await_dialled();
		let_pass(2);
		CHECK((dial.err == ERR_NONE) == (is_shut == 0));
		if (is_shut == 1) {
			CHECK(strstr(dial.why.text, "hidden") != NULL);
			CHECK_EQUAL(recv(peer, &byte, 1, 0), 0);
		} else {
			CHECK(dial.endpoint == &race[0]);
			conn_drop(dial.conn);
			let_pass(2);
		}
		close(peer);
		close(server);
		rig.server.outward = &outward;
		arena_free(&arena);
	}
}

/* Two servers, and a way to each. */
struct two {
	struct arena *arena;
	struct endpoint race[2];
	int servers[2];
};

static void
open_two(struct two *two)
{
	two->arena = arena_make(0);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port;

		two->servers[i] = listen_on(&port);
		two->race[i] = endpoint_of("127.0.0.1", port);
	}
	clock_fake(0, 0);
	rig.server.outward = NULL;
}

static void
dial_two(struct two *two)
{
	has_dialled = false;
	dial_start(&rig.shard, &dial, two->arena, two->race, 2, dialled);
	dial_expect_more(&dial);
}

/* TLSA records that were awaited are there, or cannot be had. */
static void
know(struct endpoint *endpoint, bool is_shut)
{
	endpoint->is_tlsa_awaited = false;
	if (is_shut)
		endpoint->shut = STR("the records are hidden");
}

static void
close_two(struct two *two)
{
	close(two->servers[0]);
	close(two->servers[1]);
	rig.server.outward = &outward;
	arena_free(&two->arena);
}

/* A connection that is held for its TLSA records may still be of use. */
static void
what_is_held_goes_before_what_is_worse(void **state)
{
	for (unsigned is_shut = 0; is_shut < 2; is_shut++) {
		struct two two;

		(void)state;
		open_two(&two);
		two.race[0].is_tlsa_awaited = true;
		two.race[1].priority = 1;
		dial_two(&two);
		let_pass(60);
		CHECK(!has_dialled && !dial.is_tried[1]);
		know(&two.race[0], is_shut == 1);
		dial_more(&dial, true);
		await_dialled();
		CHECK_EQUAL(dial.err, ERR_NONE);
		CHECK(dial.endpoint == &two.race[is_shut]);
		conn_drop(dial.conn);
		let_pass(2);
		close_two(&two);
	}
}

/* Two that are connected and held become known at once: each has its turn, the
 * first one first. */
static void
all_that_are_held_have_their_turn(void **state)
{
	for (unsigned shut = 0; shut <= 2; shut++) {
		struct two two;

		(void)state;
		open_two(&two);
		for (unsigned i = 0; i < 2; i++)
			two.race[i].is_tlsa_awaited = true;
		dial_two(&two);
		while (!dial.is_tried[1])
			let_pass(1);
		let_pass(20);
		CHECK(!has_dialled);
		for (unsigned i = 0; i < 2; i++)
			know(&two.race[i], i < shut);
		dial_more(&dial, true);
		await_dialled();
		if (shut < 2) {
			CHECK_EQUAL(dial.err, ERR_NONE);
			CHECK(dial.endpoint == &two.race[shut]);
			conn_drop(dial.conn);
			let_pass(2);
		} else {
			CHECK_EQUAL(dial.err, ERR_UNAVAILABLE);
			CHECK(strstr(dial.why.text, "hidden") != NULL);
		}
		close_two(&two);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_waits_for_the_last_answer),
	    cmocka_unit_test(silent_names_leave_time_for_what_is_worse),
	    cmocka_unit_test(ipv6_is_asked_for_first),
	    cmocka_unit_test(who_cancels_is_told_nothing_more),
	    cmocka_unit_test(both_names_are_one_list),
	    cmocka_unit_test(late_answers_join_the_race),
	    cmocka_unit_test(worse_priorities_wait),
	    cmocka_unit_test(nothing_is_said_before_tlsa_records_are_known),
	    cmocka_unit_test(what_is_held_goes_before_what_is_worse),
	    cmocka_unit_test(all_that_are_held_have_their_turn),
	};

	return cmocka_run_group_tests_name("race", tests, start, stop);
}
