/*
 * server/stream_limits_test.c - what a stream may send, before authentication
 * and after: bytes, depth, attributes, elements, rate; and that it is told so
 * (XEP-0478).
 */
#include <string.h>

#include "base/check.h"
#include "server/s2s_stage.h"

const struct module *const modules_builtin[] = {NULL};

/* \0romeo\0secret */
#define LOGIN                                             \
	"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' " \
	"mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>"

/* --- an element of a size ------------------------------------------------- */

enum size { BYTES, DEPTH, ATTRIBUTES, ELEMENTS };

static void
add(struct buf *buf, const char *text)
{
	buf_add(buf, str_of(text));
}

/* With so many of what is measured, itself included, and few of the others. */
static void
write_element(struct buf *buf, const char *name, enum size size, unsigned count)
{
	char attr[32];
	const size_t begin = buf->len;

	add(buf, "<");
	add(buf, name);
	for (unsigned i = 0; size == ATTRIBUTES && i < count; i++) {
		snprintf(attr, sizeof(attr), " a%u=''", i);
		add(buf, attr);
	}
	add(buf, ">");
	for (unsigned i = 1; size == DEPTH && i < count; i++)
		add(buf, "<a>");
	for (unsigned i = 1; size == DEPTH && i < count; i++)
		add(buf, "</a>");
	for (unsigned i = 1; size == ELEMENTS && i < count; i++)
		add(buf, "<a/>");
	while (size == BYTES && buf->len - begin + 3 + strlen(name) < count)
		add(buf, "x");
	add(buf, "</");
	add(buf, name);
	add(buf, ">");
}

static void
send_element(struct world *world, struct world_peer *peer, enum size size,
    unsigned count)
{
	struct buf buf = {0};

	write_element(&buf, "nonza", size, count);
	buf_add(&buf, (struct str){"", 1});
	world_send(peer, buf.text);
	buf_deinit(&buf);
	world_run(world);
}

/* Whether it was too much; something else may be wrong with it. */
static bool
is_refused(struct world_peer *peer)
{
	const char *text;
	bool is_policy = false;

	while ((text = world_next(peer)) != NULL)
		is_policy |= strstr(text, "<policy-violation") != NULL;
	return is_policy;
}

/* What the last features said of it; 0: nothing. */
static unsigned
read_limit(struct world_peer *peer, const char *name)
{
	const char *text, *number;
	unsigned told = 0;

	while ((text = world_next(peer)) != NULL) {
		number = strstr(text, name);
		if (number != NULL)
			told = (unsigned)strtoul(
			    strchr(number, '>') + 1, NULL, 10);
	}
	return told;
}

#define MAX_BYTES "<max-bytes"
#define IDLE      "<idle-seconds"

/* --- what comes before and after ------------------------------------------ */

static struct world_peer *
arrive(struct world *world, bool is_proved)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer, WORLD_OPENING);
	if (is_proved) {
		world_send(peer, LOGIN);
		world_run(world);
		world_send(peer, WORLD_OPENING);
	}
	world_run(world);
	return peer;
}

static const struct {
	const char *yaml;
	enum size size;
	unsigned first, later;
} limits[] = {
    {"limits: {first_stanza: 10000 B, stanza: 20000 B}\n", BYTES, 10000, 20000},
    {"limits: {first_stanza: 30000 B, stanza: 20000 B}\n", BYTES, 20000, 20000},
    {"limits: {first_depth: 12, depth: 25}\n", DEPTH, 12, 25},
    {"limits: {first_depth: 30, depth: 25}\n", DEPTH, 25, 25},
    {"limits: {first_attributes: 12, attributes: 25}\n", ATTRIBUTES, 12, 25},
    {"limits: {first_attributes: 30, attributes: 25}\n", ATTRIBUTES, 25, 25},
    {"limits: {first_elements: 100, elements: 300}\n", ELEMENTS, 100, 300},
    {"limits: {elements: 100}\n", ELEMENTS, 100, 100},
    {"limits: {first_depth: 16}\n", DEPTH, 16, 64},
    {"", BYTES, 10240, 262144},
    {"", DEPTH, 16, 64},
    {"", ATTRIBUTES, 24, 64},
    {"", ELEMENTS, 128, 10000},
};

static void
sizes_are_limited_before_and_after(void **state)
{
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		struct world *world = world_new(&(struct world_options){
		    .seed = i + 1, .yaml = limits[i].yaml});

		world_add_account(world, "romeo@montague.example", NULL);
		for (unsigned is_proved = 0; is_proved < 2; is_proved++) {
			const unsigned most =
			    is_proved ? limits[i].later : limits[i].first;
			struct world_peer *two = arrive(world, is_proved);
			struct world_peer *one = arrive(world, is_proved);
			unsigned told;

			told = read_limit(one, MAX_BYTES);
			if (limits[i].size == BYTES)
				CHECK_EQUAL(told, most);
			send_element(world, one, limits[i].size, most);
			send_element(world, two, limits[i].size, most + 1);
			if (is_refused(one) || !is_refused(two))
				fail_msg("%zu %u", i, is_proved);
		}
		world_free(&world);
	}
}

/* A server that is not proved, too. */
static void
servers_are_strangers_first(void **state)
{
	static const char yaml[] =
	    CLEAR "limits: {elements: 200, first_elements: 100}\n";
	static const char less[] = CLEAR "limits: {elements: 110}\n";
	static const struct {
		const char *yaml;
		bool is_proved;
		unsigned most;
	} cases[] = {{yaml, false, 100}, {yaml, true, 200}, {less, false, 110}};

	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		struct stage stage = stage_begin(i + 1, cases[i / 2].yaml);
		struct world_peer *peer;

		if (cases[i / 2].is_proved) {
			peer = stage_arrive_proved(&stage);
		} else {
			peer = stage_arrive(&stage);
			world_send(peer, OPENING);
		}
		world_run(stage.world);
		CHECK(!is_refused(peer));
		send_element(stage.world, peer, ELEMENTS,
		    cases[i / 2].most + (unsigned)(i % 2));
		if (is_refused(peer) != (i % 2 == 1))
			fail_msg("%zu", i);
		world_free(&stage.world);
	}
}

static void
prove(const struct stage *stage, struct world_peer *peer)
{
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage->world);
	CHECK(stage_vouch(stage, "valid"));
	CHECK(stage_comes(peer, "type='valid'"));
}

/* Dialback brings no other features: so these say what it will bring. */
static void
servers_are_told_what_will_hold(void **state)
{
	for (unsigned more = 0; more < 2; more++) {
		struct stage stage = stage_begin(more + 1,
		    CLEAR "limits: {first_stanza: 12000 B, stanza: 20 KiB}\n");
		struct world_peer *peer = stage_arrive(&stage);

		world_send(peer, OPENING);
		world_run(stage.world);
		CHECK_EQUAL(read_limit(peer, MAX_BYTES), 20480);
		prove(&stage, peer);
		send_element(stage.world, peer, BYTES, 20480 + more);
		CHECK_EQUAL(is_refused(peer), more == 1);
		world_free(&stage.world);
	}
}

/* --- silence -------------------------------------------------------------- */

static const char silence[] =
    CLEAR "limits: {auth_time: 40 s, idle_ping: 3 min, idle_timeout: 1 min}\n";

static const char *
last_of(struct world_peer *peer)
{
	static char last[200];
	const char *text;

	while ((text = world_next(peer)) != NULL)
		snprintf(last, sizeof(last), "%s", text);
	return last;
}

static void
must_end_after(struct world *world, struct world_peer *peer, unsigned seconds)
{
	CHECK_EQUAL(read_limit(peer, IDLE), seconds);
	world_sleep(world, (seconds - 1) * SECOND);
	CHECK(!world_is_closed(peer));
	world_sleep(world, 2 * SECOND);
	CHECK(world_is_closed(peer));
}

/* Who is bound is asked then whether it is there. */
static void
silence_lasts_as_long_as_was_told(void **state)
{
	struct stage stage = stage_begin(1, silence);
	struct world_peer *peer;

	must_end_after(stage.world, arrive(stage.world, false), 40);
	must_end_after(stage.world, arrive(stage.world, true), 180);
	peer = stage_arrive(&stage);
	world_send(peer, OPENING);
	world_run(stage.world);
	CHECK_EQUAL(read_limit(peer, IDLE), 600);
	prove(&stage, peer);
	world_sleep(stage.world, 599 * SECOND);
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 2 * SECOND);
	CHECK(strstr(last_of(peer), "</stream:stream>") != NULL);
	peer = arrive(stage.world, true);
	world_send(peer,
	    "<iq type='set' id='b'>"
	    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
	world_run(stage.world);
	CHECK_EQUAL(read_limit(peer, IDLE), 180);
	world_sleep(stage.world, 179 * SECOND);
	CHECK(world_next(peer) == NULL);
	world_sleep(stage.world, 2 * SECOND);
	CHECK(strstr(world_next(peer), "urn:xmpp:ping") != NULL);
	world_free(&stage.world);
}

/* --- rate ----------------------------------------------------------------- */

static void
send_blanks(struct world *world, struct world_peer *peer, size_t count)
{
	char blanks[101];

	memset(blanks, ' ', sizeof(blanks) - 1);
	blanks[sizeof(blanks) - 1] = '\0';
	for (size_t i = 0; i < count / 100; i++)
		world_send(peer, blanks);
	world_run(world);
}

/* Whether what it asks now is answered within this time. */
static bool
is_heard(struct world *world, struct world_peer *peer, uint64_t ms)
{
	while (world_next(peer) != NULL)
		continue;
	world_send(peer, "</stream:stream>");
	world_run(world);
	world_sleep(world, ms);
	return world_is_closed(peer);
}

static const char rates[] =
    "limits: {first_rate: 1000 B, first_burst: 10000 B, rate: 10000 B,"
    " burst: 40000 B}\n";

static const struct {
	bool is_proved;
	size_t bytes;
	uint64_t ms;
	bool is_heard;
} pauses[] = {
    {false, 8000, 10, true},
    {false, 15000, 4000, false},
    {false, 15000, 7000, true},
    {true, 38000, 10, true},
    {true, 70000, 2500, false},
    {true, 70000, 4000, true},
};

static void
strangers_are_heard_more_slowly(void **state)
{
	for (size_t i = 0; i < COUNT_OF(pauses); i++) {
		struct world *world = world_new(
		    &(struct world_options){.seed = i + 1, .yaml = rates});
		struct world_peer *peer;

		world_add_account(world, "romeo@montague.example", NULL);
		peer = arrive(world, pauses[i].is_proved);
		send_blanks(world, peer, pauses[i].bytes);
		if (is_heard(world, peer, pauses[i].ms) != pauses[i].is_heard)
			fail_msg("%zu", i);
		world_free(&world);
	}
}

/* In numbers that a week of silence makes too large to be multiplied. */
static void
who_was_silent_for_long_is_heard(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits: {rate: 16 GiB, burst: 16 GiB, idle_ping: 0 s}\n",
	});
	struct world_peer *peer;

	(void)state;
	world_add_account(world, "romeo@montague.example", NULL);
	peer = arrive(world, true);
	world_sleep(world, 8 * DAY);
	send_blanks(world, peer, 100);
	CHECK(is_heard(world, peer, 10));
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_limited_before_and_after),
	    cmocka_unit_test(servers_are_strangers_first),
	    cmocka_unit_test(servers_are_told_what_will_hold),
	    cmocka_unit_test(silence_lasts_as_long_as_was_told),
	    cmocka_unit_test(strangers_are_heard_more_slowly),
	    cmocka_unit_test(who_was_silent_for_long_is_heard),
	};

	return cmocka_run_group_tests_name("stream_limits", tests, NULL, NULL);
}
