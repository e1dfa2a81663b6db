#include "server/resolve.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/listed.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

/* Of one domain: whoever lists more wants us to knock on doors. */
#define TARGETS_MAX   8
#define ADDRESSES_MAX 8 /* of a target and family */
#define PLACES        ((size_t)2 * ADDRESSES_MAX)
/* RFC 8305, section 3: the Resolution Delay. */
#define V6_DELAY_MS 50
/* As long as a target that does not answer would hold up the next one: RFC
 * 8305, section 5. */
#define TARGET_DELAY_MS 250

struct resolve_target {
	struct str name;
	uint16_t priority, weight, port;
	bool is_direct_tls, is_secure;
	struct question v6, v4, tlsa;
	bool has_v6, has_v4, has_tlsa; /* the race has what was answered */
	bool is_late;                  /* IPv6 was waited for long enough */
	struct timer delay;
};

/* --- endpoints ------------------------------------------------------------ */

static void
set_address(struct endpoint *endpoint, int family, const void *bytes)
{
	struct sockaddr_in *v4 = (void *)&endpoint->address;
	struct sockaddr_in6 *v6 = (void *)&endpoint->address;

	if (family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(endpoint->port);
		memcpy(&v4->sin_addr, bytes, sizeof(v4->sin_addr));
		endpoint->len = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(endpoint->port);
		memcpy(&v6->sin6_addr, bytes, sizeof(v6->sin6_addr));
		endpoint->len = sizeof(*v6);
	}
}

/* "192.0.2.1" or "[2001:db8::1]". */
static bool
read_literal(struct endpoint *endpoint, struct str name)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	if (name.len > 2 && name.text[0] == '[') {
		name.text++;
		name.len -= 2;
	}
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.text, name.len);
	text[name.len] = '\0';
	if (inet_pton(AF_INET, text, bytes) == 1)
		set_address(endpoint, AF_INET, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		set_address(endpoint, AF_INET6, bytes);
	else
		return false;
	return true;
}

struct str
endpoint_text(struct arena *arena, const struct endpoint *endpoint)
{
	const struct sockaddr_in *v4 = (const void *)&endpoint->address;
	const struct sockaddr_in6 *v6 = (const void *)&endpoint->address;
	char text[INET6_ADDRSTRLEN] = "";

	if (endpoint->address.ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
	return str_format(arena, "%s, port %u (%.*s)", text, endpoint->port,
	    STR_ARG(endpoint->target));
}

/* RFC 7673, section 3.3: who hides a target's TLSA records does not make us
 * go there without. */
static bool
is_open(const struct resolve_target *target)
{
	const enum err err = target->tlsa.ask.err;

	return err == ERR_NONE || err == ERR_NOT_FOUND;
}

static bool
is_answered(const struct question *question)
{
	return !timer_is_running(&question->ask.deadline);
}

static bool
is_vouched_for(const struct question *question)
{
	return is_answered(question) && question->ask.is_secure &&
	       question->ask.count > 0;
}

/* RFC 7673, section 3.2: without that nothing depends on its TLSA records, nor
 * on whether they can be had. */
static bool
has_secure_address(const struct resolve_target *target)
{
	return is_vouched_for(&target->v6) || is_vouched_for(&target->v4);
}

static void
set_tlsa(const struct resolve_target *target, struct endpoint *endpoint)
{
	const struct dns_ask *tlsa = &target->tlsa.ask;

	if (!has_secure_address(target))
		return;
	endpoint->is_tlsa_awaited = !is_answered(&target->tlsa);
	if (endpoint->is_tlsa_awaited)
		return;
	if (!is_open(target)) {
		endpoint->shut = tlsa->why;
	} else if (endpoint->is_secure && tlsa->is_secure) {
		endpoint->tlsa = tlsa->records;
		endpoint->tlsa_count = tlsa->count;
	}
}

static struct endpoint *
places_of(struct resolve *resolve, const struct resolve_target *target)
{
	return resolve->list + resolve->literals +
	       (size_t)(target - resolve->targets) * PLACES;
}

/* IPv6 and IPv4 take turns. */
static void
add_endpoint(struct resolve *resolve, const struct resolve_target *target,
    const struct dns_ask *answer, size_t i)
{
	const bool is_v4 = answer->type == DNS_A;
	struct endpoint *endpoint =
	    &places_of(resolve, target)[2 * i + (is_v4 ? 1 : 0)];

	endpoint->target = target->name;
	endpoint->port = target->port;
	endpoint->is_direct_tls = target->is_direct_tls;
	endpoint->is_secure = target->is_secure && answer->is_secure;
	set_tlsa(target, endpoint);
	set_address(
	    endpoint, is_v4 ? AF_INET : AF_INET6, answer->records[i].address);
}

/* --- the end -------------------------------------------------------------- */

static void
finish(struct resolve *resolve, enum err err, struct str why)
{
	for (size_t i = 0; i < resolve->target_count; i++)
		timer_stop(resolve->shard, &resolve->targets[i].delay);
	timer_stop(resolve->shard, &resolve->patience);
	timer_stop(resolve->shard, &resolve->share);
	timer_stop(resolve->shard, &resolve->soon);
	resolve->err = resolve->is_canceled ? ERR_CANCELED : err;
	resolve->why = why;
	resolve->done(resolve);
}

/* A failure tells more than that there is no such record. */
static void
look_for_failure(const struct dns_ask *answer, const struct dns_ask **worst)
{
	if (answer->err != ERR_NONE && answer->err != ERR_NOT_FOUND)
		*worst = answer;
}

static void
fail_without_address(struct resolve *resolve)
{
	const struct dns_ask *worst = NULL;

	for (size_t i = 0; i < resolve->target_count; i++) {
		look_for_failure(&resolve->targets[i].v4.ask, &worst);
		look_for_failure(&resolve->targets[i].v6.ask, &worst);
		if (has_secure_address(&resolve->targets[i]))
			look_for_failure(&resolve->targets[i].tlsa.ask, &worst);
	}
	if (worst != NULL)
		finish(resolve, worst->err, worst->why);
	else
		finish(resolve, ERR_NOT_FOUND,
		    str_format(resolve->arena, "DNS has no address of %.*s",
			STR_ARG(resolve->targets[0].name)));
}

static bool
is_usable(const struct endpoint *endpoint)
{
	return endpoint->len > 0 && endpoint->shut.len == 0;
}

static void
finish_all(struct resolve *resolve)
{
	struct endpoint *all;
	size_t room = 0;

	for (size_t i = 0; i < resolve->race_count; i++)
		room += is_usable(&resolve->list[i]);
	resolve->endpoints = all =
	    arena_array(resolve->arena, struct endpoint, room);
	for (size_t i = 0; i < resolve->race_count; i++)
		if (is_usable(&resolve->list[i]))
			all[resolve->count++] = resolve->list[i];
	if (resolve->count == 0)
		fail_without_address(resolve);
	else
		finish(resolve, ERR_NONE, STR_NONE);
}

/* --- the race: RFC 8305, section 3 ---------------------------------------- */

static void advance(struct resolve *);

static void
on_late(struct timer *timer)
{
	struct resolve_target *target =
	    container_of(timer, struct resolve_target, delay);

	target->is_late = true;
	advance(target->v6.resolve);
}

static void
on_patience_end(struct timer *timer)
{
	struct resolve *resolve = container_of(timer, struct resolve, patience);

	resolve->impatient_for = resolve->reached;
	advance(resolve);
}

static void
add_all(struct resolve *resolve, const struct resolve_target *target,
    const struct dns_ask *answer)
{
	for (size_t i = 0; i < answer->count && i < ADDRESSES_MAX; i++)
		add_endpoint(resolve, target, answer, i);
}

/* Whether there is something new of the target; all of it goes into the race
 * once. */
static bool
bring_in(struct resolve *resolve, struct resolve_target *target)
{
	const bool is_v6_due = !target->has_v6 && is_answered(&target->v6);
	const bool is_v4_due = !target->has_v4 && is_answered(&target->v4) &&
			       (is_answered(&target->v6) || target->is_late);

	if (is_v6_due)
		add_all(resolve, target, &target->v6.ask);
	if (is_v4_due)
		add_all(resolve, target, &target->v4.ask);
	target->has_v6 = target->has_v6 || is_v6_due;
	target->has_v4 = target->has_v4 || is_v4_due;
	if (!target->has_v4 && is_answered(&target->v4) &&
	    !timer_is_running(&target->delay))
		timer_start(
		    resolve->shard, &target->delay, V6_DELAY_MS, on_late);
	return (is_v6_due && target->v6.ask.count > 0) ||
	       (is_v4_due && target->v4.ask.count > 0);
}

static bool
learn_tlsa(struct resolve *resolve, struct resolve_target *target)
{
	struct endpoint *places = places_of(resolve, target);
	bool is_new = false;

	if (target->has_tlsa || !is_answered(&target->tlsa))
		return false;
	target->has_tlsa = true;
	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].len == 0)
			continue;
		is_new = is_new || places[i].is_tlsa_awaited;
		set_tlsa(target, &places[i]);
	}
	return is_new;
}

/* Nothing of it is known that could be tried, but may be soon. */
static bool
holds_others_up(struct resolve *resolve, const struct resolve_target *target)
{
	const struct endpoint *places = places_of(resolve, target);

	if ((target->has_v6 && target->has_v4) ||
	    (!is_open(target) && has_secure_address(target)) ||
	    target->priority < resolve->patient_from)
		return false;
	return places[0].len == 0 && places[1].len == 0;
}

/* The first target of a worse priority, while nothing is known of one before
 * it. Of whom something is known that is tried first (server/dial.h). */
static bool
is_too_early(struct resolve *resolve, size_t i)
{
	const struct resolve_target *targets = resolve->targets;

	if (i == 0 || targets[i].priority == targets[i - 1].priority)
		return false;
	for (size_t before = 0; before < i; before++)
		if (holds_others_up(resolve, &targets[before]))
			return true;
	return false;
}

/* Those before i are not answered in time; they may be yet. */
static void
on_share_end(struct timer *timer)
{
	struct resolve *resolve = container_of(timer, struct resolve, share);

	resolve->patient_from = (uint32_t)resolve->priority + 1;
	advance(resolve);
}

/* What is left of the time, divided by the priorities that are left, is for the
 * one that those from i on wait for: as for connections (server/dial.h). */
static void
share_out(struct resolve *resolve, size_t i)
{
	const struct resolve_target *targets = resolve->targets;
	const uint64_t now_ms = clock_mono_ms();
	const uint16_t priority = targets[i - 1].priority;
	unsigned left = 1;

	if (timer_is_running(&resolve->share) && resolve->priority == priority)
		return;
	for (; i < resolve->target_count; i++)
		left += targets[i].priority != targets[i - 1].priority;
	resolve->priority = priority;
	timer_start(resolve->shard, &resolve->share,
	    now_ms < resolve->until_ms ? (resolve->until_ms - now_ms) / left
				       : 0,
	    on_share_end);
}

/* Brings in what may be tried now. A target waits for those of its priority
 * before it, as it is of less weight, and longer for those of a better one. */
static void
advance(struct resolve *resolve)
{
	bool is_held = false, is_new = false;
	size_t i;

	for (i = 0; i < resolve->target_count; i++) {
		struct resolve_target *target = &resolve->targets[i];

		if (is_too_early(resolve, i)) {
			share_out(resolve, i);
			break;
		}
		is_new = learn_tlsa(resolve, target) || is_new;
		if (!is_held)
			is_new = bring_in(resolve, target) || is_new;
		if (i >= resolve->impatient_for)
			is_held = is_held || holds_others_up(resolve, target);
	}
	resolve->reached = i;
	if (is_held && !timer_is_running(&resolve->patience))
		timer_start(resolve->shard, &resolve->patience, TARGET_DELAY_MS,
		    on_patience_end);
	if (is_new && resolve->found != NULL && !resolve->is_canceled)
		resolve->found(resolve);
}

static void
targets_answered(struct resolve *resolve)
{
	advance(resolve);
	if (resolve->left == 0)
		finish_all(resolve);
}

/* --- questions ------------------------------------------------------------ */

static void
one_answered(struct dns_ask *ask)
{
	struct resolve *resolve =
	    container_of(ask, struct question, ask)->resolve;

	resolve->left--;
	resolve->answered(resolve);
}

static void
put(struct resolve *resolve, struct question *question, struct str name,
    enum dns_type type)
{
	resolve->left++;
	question->resolve = resolve;
	dns_query(resolve->shard, &question->ask, resolve->arena,
	    &resolve->policy, (struct dns_name){name, type}, one_answered);
}

static void
make_race(struct resolve *resolve)
{
	struct endpoint *list;

	resolve->race_count =
	    resolve->literals + resolve->target_count * PLACES;
	list =
	    arena_array(resolve->arena, struct endpoint, resolve->race_count);
	memcpy(list, resolve->list, resolve->literals * sizeof(*list));
	resolve->race = resolve->list = list;
	for (size_t i = resolve->literals; i < resolve->race_count; i++)
		list[i].priority =
		    resolve->targets[(i - resolve->literals) / PLACES].priority;
}

/* RFC 7673, section 4: TLSA records count where the way to them is secure. They
 * are asked for before it is known whether the address is, to lose no time. RFC
 * 8305, section 3: IPv6 is asked for first. */
static void
ask_targets(struct resolve *resolve)
{
	make_race(resolve);
	resolve->until_ms =
	    clock_mono_ms() + config_ms(setup_config(resolve->shard->setup),
				  CONFIG_GLOBAL, SETTING(S2S_CONNECT_TIMEOUT));
	resolve->answered = targets_answered;
	for (size_t i = 0; i < resolve->target_count; i++) {
		struct resolve_target *target = &resolve->targets[i];

		put(resolve, &target->v6, target->name, DNS_AAAA);
		put(resolve, &target->v4, target->name, DNS_A);
		if (target->is_secure &&
		    (resolve->policy.proofs & PROOF_DANE) != 0)
			put(resolve, &target->tlsa,
			    str_format(resolve->arena, "_%u._tcp.%.*s",
				target->port, STR_ARG(target->name)),
			    DNS_TLSA);
	}
}

/* Where one of that priority goes: when there are too many, in place of the one
 * that would be tried last; NULL: nowhere. */
static struct resolve_target *
place_for(struct resolve *resolve, uint16_t priority)
{
	struct resolve_target *last = resolve->targets;

	if (resolve->target_count < TARGETS_MAX)
		return &resolve->targets[resolve->target_count++];
	for (unsigned i = 1; i < TARGETS_MAX; i++)
		if (resolve->targets[i].priority > last->priority)
			last = &resolve->targets[i];
	return last->priority > priority ? last : NULL;
}

static struct resolve_target *
add_target(
    struct resolve *resolve, struct str name, uint16_t port, uint16_t priority)
{
	struct resolve_target *target;

	if (resolve->targets == NULL)
		resolve->targets = arena_array(
		    resolve->arena, struct resolve_target, TARGETS_MAX);
	target = place_for(resolve, priority);
	if (target == NULL)
		return NULL;
	*target = (struct resolve_target){
	    .name = name, .port = port, .priority = priority};
	return target;
}

/* --- SRV ------------------------------------------------------------------ */

/* Those without weight come first of their priority. */
static int
compare_targets(const void *a, const void *b)
{
	const struct resolve_target *one = a, *other = b;

	if (one->priority != other->priority)
		return one->priority < other->priority ? -1 : 1;
	return (one->weight > 0) - (other->weight > 0);
}

/* RFC 2782, "Weight": of targets of one priority in that order, one is drawn.
 * Where none has a weight, any. */
static size_t
draw(const struct resolve_target *targets, size_t count)
{
	uint64_t sum = 0, lot;
	size_t drawn = 0;

	for (size_t i = 0; i < count; i++)
		sum += targets[i].weight;
	if (sum == 0)
		return (size_t)rand_below(count);
	lot = rand_below(sum + 1);
	for (sum = 0; drawn < count; drawn++) {
		sum += targets[drawn].weight;
		if (sum >= lot)
			break;
	}
	return drawn;
}

/* The others keep their order behind it. */
static void
put_first(struct resolve_target *targets, size_t at)
{
	struct resolve_target drawn = targets[at];

	memmove(targets + 1, targets, at * sizeof(*targets));
	targets[0] = drawn;
}

static void
order_targets(struct resolve *resolve)
{
	struct resolve_target *targets = resolve->targets;

	qsort(
	    targets, resolve->target_count, sizeof(*targets), compare_targets);
	for (size_t i = 0; i < resolve->target_count; i++) {
		size_t end = i + 1;

		while (end < resolve->target_count &&
		       targets[end].priority == targets[i].priority)
			end++;
		put_first(targets + i, draw(targets + i, end - i));
	}
}

/* "." as a target says that there is no such service. */
static void
add_srv(struct resolve *resolve, const struct dns_ask *answer, bool is_direct)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];
		struct resolve_target *target = NULL;

		if (record->target.len > 0)
			target = add_target(resolve, record->target,
			    record->port, record->priority);
		if (target == NULL)
			continue;
		target->weight = record->weight;
		target->is_direct_tls = is_direct;
		target->is_secure = answer->is_secure;
	}
}

/* There are no SRV records to follow: why. */
static void
without_srv(struct resolve *resolve)
{
	const struct dns_ask *plain = &resolve->plain.ask;
	const struct dns_ask *direct = &resolve->direct.ask, *worst = NULL;

	look_for_failure(direct, &worst);
	look_for_failure(plain, &worst);
	if (worst != NULL) {
		finish(resolve, worst->err, worst->why);
	} else if (direct->count > 0 || plain->count > 0) {
		finish(resolve, ERR_NOT_FOUND,
		    str_format(resolve->arena,
			"DNS says that %.*s has no XMPP server",
			STR_ARG(resolve->domain)));
	} else {
		add_target(resolve, resolve->domain, PORT_S2S, 0)->is_secure =
		    resolve->is_srv_secure;
		ask_targets(resolve);
	}
}

static void
srv_answered(struct resolve *resolve)
{
	const struct dns_ask *plain = &resolve->plain.ask;
	const struct dns_ask *direct = &resolve->direct.ask;

	if (resolve->left > 0)
		return;
	resolve->is_srv_secure = direct->is_secure && plain->is_secure;
	/* RFC 7673, section 3.1: what is forged is not followed, nor what
	 * stands beside it. */
	if (!direct->is_bogus && !plain->is_bogus) {
		add_srv(resolve, direct, true);
		add_srv(resolve, plain, false);
	}
	if (resolve->target_count == 0 || resolve->is_canceled) {
		without_srv(resolve);
		return;
	}
	order_targets(resolve);
	ask_targets(resolve);
}

static void
ask_srv(struct resolve *resolve)
{
	resolve->answered = srv_answered;
	put(resolve, &resolve->direct,
	    str_format(resolve->arena, "_xmpps-server._tcp.%.*s",
		STR_ARG(resolve->domain)),
	    DNS_SRV);
	put(resolve, &resolve->plain,
	    str_format(resolve->arena, "_xmpp-server._tcp.%.*s",
		STR_ARG(resolve->domain)),
	    DNS_SRV);
}

/* --- routes --------------------------------------------------------------- */

static void
follow_route(struct resolve *resolve, struct str route)
{
	struct endpoint endpoint = {0};
	struct resolve_target *target;
	struct route read;

	/* The configuration's reader saw to it. */
	if (!expect(route_read(route, &read)))
		return;
	endpoint.target = read.host;
	endpoint.port = read.port;
	endpoint.is_direct_tls = read.is_direct_tls;
	if (read_literal(&endpoint, endpoint.target)) {
		if (resolve->literals < TARGETS_MAX)
			resolve->list[resolve->literals++] = endpoint;
		return;
	}
	target = add_target(resolve, endpoint.target, endpoint.port, 0);
	if (target != NULL)
		target->is_direct_tls = endpoint.is_direct_tls;
}

/* --- all of it ------------------------------------------------------------ */

/* What is known without asking. */
static void
on_soon(struct timer *timer)
{
	struct resolve *resolve = container_of(timer, struct resolve, soon);

	if (resolve->left == 0)
		finish_all(resolve);
	else if (resolve->found != NULL)
		resolve->found(resolve);
}

static void
ask_for_all(struct resolve *resolve)
{
	struct endpoint *first;

	first = arena_array(resolve->arena, struct endpoint, TARGETS_MAX);
	resolve->list = first;
	for (size_t i = 0; i < resolve->policy.routes.count; i++)
		follow_route(resolve, resolve->policy.routes.items[i]);
	if (resolve->policy.routes.count == 0) {
		first->target = resolve->domain;
		first->port = PORT_S2S;
		if (!read_literal(first, resolve->domain)) {
			ask_srv(resolve);
			return;
		}
		resolve->literals++;
	}
	ask_targets(resolve);
	if (resolve->literals > 0 || resolve->left == 0)
		timer_start(resolve->shard, &resolve->soon, 0, on_soon);
}

void
resolve_start(struct shard *shard, struct resolve *resolve, struct arena *arena,
    const struct policy *policy, struct str domain,
    void (*done)(struct resolve *))
{
	*resolve = (struct resolve){
	    .shard = shard,
	    .arena = arena,
	    .policy = *policy,
	    .domain = domain,
	    .done = done,
	};
	/* A domain of a JID that has no such form is in no DNS either. */
	if (!prep_domain_ascii(arena, &resolve->domain))
		resolve->domain = domain;
	ask_for_all(resolve);
}

static void
cancel(struct question *question)
{
	if (timer_is_running(&question->ask.deadline))
		dns_cancel(&question->ask);
}

void
resolve_cancel(struct resolve *resolve)
{
	resolve->is_canceled = true;
	if (resolve->left > 0)
		timer_stop(resolve->shard, &resolve->soon);
	cancel(&resolve->direct);
	cancel(&resolve->plain);
	for (size_t i = 0; i < resolve->target_count; i++) {
		cancel(&resolve->targets[i].v6);
		cancel(&resolve->targets[i].v4);
		cancel(&resolve->targets[i].tlsa);
	}
}
