/*
 * Domains are resolved and dialled, by a DNS server and peers of this test on
 * free ports of the loopback.
 */
#include "server/resolve.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "server/dial.h"
#include "server/dns_rig.h"
#include "server/socket.h"

/* --- a DNS server --------------------------------------------------------- */

#define PACKET_MAX 16384

enum { CNAME = 5, SILENCE = 1000, FAILURE };

/* What it knows. */
static const struct known {
	const char *name;
	unsigned type;       /* or SILENCE: no answer; FAILURE: SERVFAIL */
	unsigned numbers[3]; /* SRV */
	const char *text;    /* address or name */
	unsigned nonsense;   /* bytes of it instead */
	const char *owner;   /* it says that it is of this name */
	unsigned class;      /* and of this class */
	unsigned more;       /* so many more of it */
	unsigned ttl;        /* seconds; 0: a minute */
} zone[] = {
    {"plain.lab", DNS_A, .text = "127.0.0.1"},
    {"plain.lab", DNS_AAAA, .text = "::1"},
    {"_xmpp-server._tcp.srv.lab", DNS_SRV, {20, 0, 5301}, "late.srv.lab"},
    {"_xmpp-server._tcp.srv.lab", DNS_SRV, {10, 0, 5302}, "first.srv.lab"},
    {"_xmpps-server._tcp.srv.lab", DNS_SRV, {15, 0, 5303}, "first.srv.lab"},
    {"late.srv.lab", DNS_A, .text = "127.0.0.3"},
    {"brief.lab", DNS_A, .text = "127.0.0.3", .ttl = 1},
    {"apart.lab", DNS_A, .text = "127.0.0.3"},
    {"first.srv.lab", DNS_A, .text = "127.0.0.2"},
    {"first.srv.lab", DNS_AAAA, .text = "::1"},
    {"srv.lab", DNS_A, .text = "127.0.0.9"},
    {"_xmpp-server._tcp.none.lab", DNS_SRV, {0, 0, 0}, "."},
    {"none.lab", DNS_A, .text = "127.0.0.9"},
    {"xn--bcher-kva.lab", DNS_A, .text = "127.0.0.4"},
    {"_xmpp-server._tcp.loop.lab", CNAME, .text = "one.loop.lab"},
    {"one.loop.lab", CNAME, .text = "two.loop.lab"},
    {"two.loop.lab", CNAME, .text = "one.loop.lab"},
    {"_xmpp-server._tcp.odd.lab", DNS_SRV, .nonsense = 5},
    {"odd.lab", DNS_A, .text = "127.0.0.5"},
    {"_xmpp-server._tcp.stray.lab", DNS_SRV, {0, 0, 5301}, "evil.lab",
	.owner = "_xmpp-server._tcp.plain.lab"},
    {"stray.lab", DNS_A, .text = "127.0.0.66", .owner = "plain.lab"},
    {"_xmpp-server._tcp.chaos.lab", DNS_SRV, {0, 0, 5301}, "plain.lab",
	.class = 3},
    {"chaos.lab", DNS_A, .text = "127.0.0.66", .class = 3},
    {"_xmpp-server._tcp.many.lab", DNS_SRV, {0, 0, 1}, "plain.lab", .more = 99},
    {"_xmpp-server._tcp.silent.lab", SILENCE},
    {"_xmpp-server._tcp.broken.lab", FAILURE},
    {"_xmpps-server._tcp.ranked.lab", DNS_SRV, {20, 0, 1}, "plain.lab",
	.more = 19},
    {"_xmpp-server._tcp.ranked.lab", DNS_SRV, {10, 0, 99}, "plain.lab"},
    {"_xmpps-server._tcp.broken.lab", FAILURE},
    {"broken.lab", FAILURE},
};

static struct {
	pthread_t thread;
	int fd, other_fd, stop[2];
	char address[32], other_address[32];
	/* Of questions about the counted names; of all to the other address. */
	atomic_uint count, other_count;
} names;

static const char *const counted[] = {
    "late.srv.lab", "unknown.lab", "brief.lab", "apart.lab"};

static size_t
put_name(uint8_t *at, const char *name)
{
	size_t len = 0;

	while (*name != '\0' && strcmp(name, ".") != 0) {
		size_t label = strcspn(name, ".");

		at[len] = (uint8_t)label;
		memcpy(at + len + 1, name, label);
		len += label + 1;
		name += label + (name[label] == '.');
	}
	at[len] = 0;
	return len + 1;
}

static size_t
put_u16(uint8_t *at, unsigned number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
	return 2;
}

/* The data of a record. */
static size_t
put_data(uint8_t *data, const struct known *known)
{
	size_t len = 0;

	if (known->nonsense > 0) {
		memset(data, 0xc0, known->nonsense);
		return known->nonsense;
	}
	switch (known->type) {
	case DNS_A:
		inet_pton(AF_INET, known->text, data);
		return 4;
	case DNS_AAAA:
		inet_pton(AF_INET6, known->text, data);
		return 16;
	case DNS_SRV:
		for (size_t i = 0; i < 3; i++)
			len += put_u16(data + len, known->numbers[i]);
		break;
	default:
		break;
	}
	return len + put_name(data + len, known->text);
}

static void
read_name(const uint8_t *at, char *name)
{
	while (*at != 0) {
		memcpy(name, at + 1, *at);
		name += *at;
		*name++ = '.';
		at += *at + 1;
	}
	name[-1] = '\0';
}

static size_t
put_answer(uint8_t *at, const char *name, const struct known *known)
{
	size_t used = put_name(at, known->owner == NULL ? name : known->owner);
	size_t len;

	used += put_u16(at + used, known->type);
	used += put_u16(at + used, known->class == 0 ? 1 : known->class);
	used += put_u16(at + used, 0);
	used += put_u16(at + used, known->ttl == 0 ? 60 : known->ttl);
	len = put_data(at + used + 2, known);
	put_u16(at + used, (unsigned)len);
	return used + 2 + len;
}

/* As often as it says, with another port each time. */
static unsigned
put_answers(
    uint8_t *packet, size_t *len, const char *name, const struct known *known)
{
	struct known record = *known;

	for (unsigned i = 0; i <= known->more; i++) {
		*len += put_answer(packet + *len, name, &record);
		record.numbers[2]++;
	}
	return known->more + 1;
}

/* Appends what there is; the code of the answer, or -1 for none at all. */
static int
answer(uint8_t *packet, size_t *len, const char *name, unsigned type)
{
	unsigned count = 0;
	bool is_known = false;

	for (size_t i = 0; i < COUNT_OF(zone); i++) {
		const struct known *known = &zone[i];

		if (strcasecmp(known->name, name) != 0)
			continue;
		if (known->type == SILENCE)
			return -1;
		if (known->type == FAILURE)
			return 2;
		is_known = true;
		if (known->type == type || known->type == CNAME)
			count += put_answers(packet, len, name, known);
	}
	put_u16(packet + 6, count);
	return is_known ? 0 : 3;
}

static void
count_question(int fd, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(counted); i++)
		if (strcasecmp(name, counted[i]) == 0)
			atomic_fetch_add(&names.count, 1);
	if (fd == names.other_fd)
		atomic_fetch_add(&names.other_count, 1);
}

static void
serve_one(int fd)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t packet[PACKET_MAX];
	char name[512];
	ssize_t got = recvfrom(
	    fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &from_len);
	size_t type_at, len;
	int code;

	if (got < 17)
		return;
	read_name(packet + 12, name);
	count_question(fd, name);
	type_at = 12 + strlen(name) + 2;
	len = type_at + 4;
	code = answer(packet, &len, name,
	    (unsigned)(packet[type_at] << 8 | packet[type_at + 1]));
	if (code < 0)
		return;
	packet[2] = 0x84;
	packet[3] = (uint8_t)(0x80 | code);
	put_u16(packet + 4, 1);
	put_u16(packet + 8, 0);
	put_u16(packet + 10, 0);
	(void)sendto(fd, packet, len, 0, (struct sockaddr *)&from, from_len);
}

static void *
serve(void *unused)
{
	struct pollfd fds[3] = {{.fd = names.fd, .events = POLLIN},
	    {.fd = names.other_fd, .events = POLLIN},
	    {.fd = names.stop[0], .events = POLLIN}};

	(void)unused;
	for (;;) {
		if (poll(fds, 3, -1) > 0 && fds[2].revents != 0)
			return NULL;
		for (size_t i = 0; i < 2; i++)
			if (fds[i].revents != 0)
				serve_one(fds[i].fd);
	}
}

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
	    "\"xmpp://plain.lab:7002\", \"ftp://x\"]}}\n"
	    "  wrong.lab: {s2s: {route: [\"http://x\"]}}\n"
	    "  apart.lab: {dns: {resolvers: [\"%s\"]}}\n",
	    names.address, names.other_address);
	dns_rig_start(started, yaml);
}

static int
bind_free(char *text, size_t text_len)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	snprintf(text, text_len, "127.0.0.1@%u", ntohs(address.sin_port));
	return fd;
}

static int
start(void **state)
{
	(void)state;
	names.fd = bind_free(names.address, sizeof(names.address));
	names.other_fd =
	    bind_free(names.other_address, sizeof(names.other_address));
	assert_int_equal(pipe(names.stop), 0);
	assert_int_equal(pthread_create(&names.thread, NULL, serve, NULL), 0);
	start_rig(&rig);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	dns_rig_stop(&rig);
	assert_int_equal(write(names.stop[1], "", 1), 1);
	pthread_join(names.thread, NULL);
	close(names.fd);
	close(names.other_fd);
	close(names.stop[0]);
	close(names.stop[1]);
	return 0;
}

/* --- cases ---------------------------------------------------------------- */

static bool is_done;

static void
resolved(struct resolve *resolve)
{
	(void)resolve;
	is_done = true;
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
    {"wrong.lab", ERR_NOT_FOUND, "write xmpp://host:port"},
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

/* A chain that never ends costs one question's time. */
static void
loops_end(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve *found = dns_rig_resolve(&rig, arena, "loop.lab");

	(void)state;
	CHECK(found->err != ERR_NONE);
	arena_free(&arena);
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
	unsigned left;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		struct str name = str_format(arena, "n%u.lab", i);
		struct policy policy;

		policy_of(rig.setup, NULL, name, &policy);
		resolve_start(shard(), &all[i], arena, &policy, name, resolved);
	}
	do {
		turn();
		left = 0;
		for (unsigned i = 0; i < MANY; i++)
			left += all[i].endpoints == NULL;
	} while (left > 0);
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
	count = atomic_load(&names.count);
	CHECK_EQUAL(ask_address("late.srv.lab"), ERR_NONE);
	CHECK_EQUAL(atomic_load(&names.count), count);
	CHECK_EQUAL(ask_address("unknown.lab"), ERR_NOT_FOUND);
	CHECK_EQUAL(atomic_load(&names.count), count + 1);
	CHECK_EQUAL(ask_address("unknown.lab"), ERR_NOT_FOUND);
	CHECK_EQUAL(atomic_load(&names.count), count + 1);
	policy_of(rig.setup, NULL, STR("silent.lab"), &policy);
	resolve_start(shard(), &silent, arena, &policy, STR("silent.lab"),
	    silent_resolved);
	dns_setup_changed(shard());
	CHECK_EQUAL(ask_address("late.srv.lab"), ERR_NONE);
	CHECK(atomic_load(&names.count) > count + 1);
	while (!is_silent_done)
		turn();
	CHECK(silent.err != ERR_NONE && silent.err != ERR_CANCELED);
	dns_setup_changed(shard());
	arena_free(&arena);
}

static void
answers_are_kept_for_their_time(void **state)
{
	const struct timespec time_to_live = {2, 100000000}; /* rounded up */
	unsigned count;

	(void)state;
	count = atomic_load(&names.count);
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK_EQUAL(atomic_load(&names.count), count + 1);
	nanosleep(&time_to_live, NULL);
	CHECK_EQUAL(ask_address("brief.lab"), ERR_NONE);
	CHECK_EQUAL(atomic_load(&names.count), count + 2);
}

/* Of one domain others may be asked than of all. */
static void
a_domain_has_resolvers_of_its_own(void **state)
{
	const unsigned count = atomic_load(&names.count);

	(void)state;
	CHECK_EQUAL(atomic_load(&names.other_count), 0);
	CHECK_EQUAL(ask_address("apart.lab"), ERR_NONE);
	CHECK_EQUAL(atomic_load(&names.count), count + 1);
	CHECK_EQUAL(atomic_load(&names.other_count), 1);
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
conn_gave(struct conn *conn, struct str bytes)
{
	(void)conn;
	(void)bytes;
}

static void
conn_closed(struct conn *conn, const char *why)
{
	(void)conn;
	(void)why;
}

static const struct conn_events events = {
    .on_bytes = conn_gave,
    .on_closed = conn_closed,
};

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
	if (dial->conn != NULL)
		dial->conn->events = &events;
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
		conn_abort(dial.conn);
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
	    cmocka_unit_test(silence_for_strangers_holds_nobody_back),
	    cmocka_unit_test(questions_end_with_the_shard),
	    cmocka_unit_test(endpoints_are_tried_in_order),
	    cmocka_unit_test(dialling_can_be_canceled),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
