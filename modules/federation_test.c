#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/remote_list.h"
#include "server/remote_table.h"
#include "server/world_component.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define PARIS   "paris@" VERONA
#define PLAYS   "plays.montague.example"
#define MAB     "mab@deep." PLAYS
#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)
#define HOURS   (60 * MINUTES)

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

static struct stage
begin_with(uint64_t seed)
{
	struct stage stage = {
	    .world = rig_world(seed, 0,
		"limits.idle_ping: 0 s\n"
		"domains: {" PLAYS
		": {component: {secret: one, subdomains: true}}}\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	return stage;
}

static struct stage
begin(void)
{
	return begin_with(7);
}

static void
end(struct stage *stage)
{
	world_free(&stage->world);
}

/* Whether it got one that says all of this. */
static bool
got(struct stage *stage, const char *one, const char *two)
{
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL)
		if (strstr(text, one) != NULL && strstr(text, two) != NULL)
			return true;
	return false;
}

/* Whether both contacts got one that says this, in any order. */
static bool
both_got(struct stage *stage, const char *part)
{
	bool has_escalus = false, has_paris = false;
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL) {
		if (strstr(text, part) == NULL)
			continue;
		has_escalus |= strstr(text, "to='" ESCALUS "'") != NULL;
		has_paris |= strstr(text, "to='" PARIS "'") != NULL;
	}
	return has_escalus && has_paris;
}

static void
forget_all(struct stage *stage)
{
	while (neighbour_next(stage->verona) != NULL)
		continue;
	if (stage->romeo != NULL)
		rig_skip(stage->romeo);
}

#define FROM(jid, more)                                                       \
	"<presence xmlns='jabber:server' from='" jid "' to='" ROMEO "' " more \
	"/>"

#define AWAY "<presence><show>away</show></presence>"

/* Romeo and they see each other. */
static void
befriend(struct stage *stage, const char *jid)
{
	char text[200];

	snprintf(
	    text, sizeof(text), "<presence type='subscribe' to='%s'/>", jid);
	rig_send(stage->romeo, text);
	snprintf(text, sizeof(text),
	    "<presence xmlns='jabber:server' type='subscribed' from='%s' "
	    "to='" ROMEO "'/>",
	    jid);
	neighbour_send(stage->verona, text);
	snprintf(text, sizeof(text),
	    "<presence xmlns='jabber:server' type='subscribe' from='%s' "
	    "to='" ROMEO "'/>",
	    jid);
	neighbour_send(stage->verona, text);
	snprintf(
	    text, sizeof(text), "<presence type='subscribed' to='%s'/>", jid);
	rig_send(stage->romeo, text);
	CHECK_EQUAL(rig_sub(stage->world, ROMEO, jid), SUB_TO | SUB_FROM);
	forget_all(stage);
}

static void
come(struct stage *stage, const char *presence)
{
	neighbour_send(stage->verona, presence);
}

/* --- subscriptions and presence ------------------------------------------- */

static void
subscriptions_work_both_ways(void **state)
{
	struct stage stage = begin();

	rig_send(stage.romeo, "<presence type='subscribe' to='" ESCALUS "'/>");
	CHECK(got(&stage, "type='subscribe'", "from='" ROMEO "'"));
	CHECK_EQUAL(rig_outbox(stage.world), 0);
	come(&stage, FROM(ESCALUS, "type='subscribed'"));
	CHECK_EQUAL(rig_sub(stage.world, ROMEO, ESCALUS), SUB_TO);
	come(&stage, FROM(ESCALUS, "type='subscribe'"));
	CHECK(rig_finds(
	    stage.romeo, "<presence type='subscribe' from='" ESCALUS "'/>"));
	rig_send(stage.romeo, "<presence type='subscribed' to='" ESCALUS "'/>");
	CHECK(got(&stage, "type='subscribed'", "from='" ROMEO "'"));
	CHECK(got(&stage, "<presence", "from='" ROMEO "/orchard'"));
	rig_send(stage.romeo,
	    "<iq type='set' id='r1'><query xmlns='jabber:iq:roster'>"
	    "<item jid='" ESCALUS "' subscription='remove'/></query></iq>");
	CHECK(got(&stage, "type='unsubscribe'", "from='" ROMEO "'"));
	end(&stage);
}

static void
what_is_not_kept_does_not_leave(void **state)
{
	struct stage stage = begin();

	world_break_store(stage.world, ERR_UNAVAILABLE);
	rig_send(stage.romeo, "<presence type='subscribe' to='" ESCALUS "'/>");
	world_sleep(stage.world, 10 * SECONDS);
	CHECK(neighbour_next(stage.verona) == NULL);
	world_break_store(stage.world, ERR_NONE);
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(neighbour_next(stage.verona) == NULL);
	CHECK_EQUAL(rig_sub(stage.world, ROMEO, ESCALUS), 0);
	end(&stage);
}

static void
presence_goes_to_all_of_a_domain(void **state)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	befriend(&stage, PARIS);
	rig_send(stage.romeo, "<presence><show>away</show></presence>");
	CHECK(both_got(&stage, "<show>away</show>"));
	world_cut(&stage.romeo);
	world_run(stage.world);
	CHECK(both_got(&stage, "unavailable"));
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	CHECK(got(&stage, "to='" ESCALUS "'", "from='" ROMEO "/orchard'"));
	CHECK(got(&stage, "type='probe'", "from='" ROMEO "'"));
	end(&stage);
}

static void
probes_are_answered(void **state)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	come(&stage, FROM(ESCALUS, "type='probe'"));
	CHECK(got(&stage, "to='" ESCALUS "'", "from='" ROMEO "/orchard'"));
	come(&stage, FROM(PARIS, "type='probe'"));
	CHECK(got(&stage, "to='" PARIS "'", "type='unsubscribed'"));
	come(&stage, "<presence xmlns='jabber:server' type='probe' from='" PARIS
		     "' to='nobody@montague.example'/>");
	CHECK(got(&stage, "nobody@montague.example", "type='unsubscribed'"));
	world_cut(&stage.romeo);
	world_run(stage.world);
	forget_all(&stage);
	come(&stage, FROM(ESCALUS, "type='probe'"));
	CHECK(got(&stage, "type='unavailable'", "from='" ROMEO "'"));
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	come(&stage, FROM(ESCALUS, "type='unsubscribed'"));
	CHECK_EQUAL(rig_sub(stage.world, ROMEO, ESCALUS), SUB_FROM);
	end(&stage);
}

/* --- when the link breaks ------------------------------------------------ */

static void
who_cannot_be_reached_becomes_unavailable(void **state)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	come(&stage, FROM(ESCALUS "/throne", ""));
	rig_skip(stage.romeo);
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 4 * MINUTES);
	rig_expect_nothing(stage.romeo);
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(rig_finds(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>"));
	rig_expect_nothing(stage.romeo);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(got(&stage, "to='" ESCALUS "'", "from='" ROMEO "/orchard'"));
	CHECK(got(&stage, "to='" ESCALUS "'", "type='probe'"));
	end(&stage);
}

/* What of the presence that was sent meanwhile is told when a domain is back
 * after so long. */
static void
what_was_missed_is_told(void **state)
{
	static const struct {
		uint64_t away_ms;
		enum neighbour_mood mood;
		const char *said; /* NULL: romeo is cut off */
		bool is_told;
		const char *what;
	} cases[] = {
	    {20 * MINUTES, NEIGHBOUR_UNREACHABLE, NULL, true,
		"type='unavailable'"},
	    {20 * MINUTES, NEIGHBOUR_REFUSING, NULL, true,
		"type='unavailable'"},
	    {23 * HOURS, NEIGHBOUR_UNREACHABLE, NULL, true,
		"type='unavailable'"},
	    {30 * HOURS, NEIGHBOUR_UNREACHABLE, NULL, false,
		"type='unavailable'"},
	    {2 * MINUTES, NEIGHBOUR_UNREACHABLE, AWAY, true, "away"},
	    {20 * MINUTES, NEIGHBOUR_UNREACHABLE, AWAY, true, "away"},
	    {20 * MINUTES, NEIGHBOUR_UNREACHABLE,
		"<presence type='unsubscribed' to='" ESCALUS "'/>", true,
		"type='unsubscribed'"},
	    {20 * MINUTES, NEIGHBOUR_UNREACHABLE,
		"<presence type='subscribe' to='" PARIS "'/>", true,
		"type='subscribe'"},
	    {20 * MINUTES, NEIGHBOUR_UNREACHABLE,
		"<presence to='" PARIS "/directed'/>", false, PARIS},
	};

	for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
		const bool in_order = i % 2 == 0;
		struct stage stage = begin();

		befriend(&stage, ESCALUS);
		stage.verona->mood = cases[i / 2].mood;
		neighbour_cut(stage.verona, in_order);
		world_sleep(stage.world, 5 * SECONDS);
		if (cases[i / 2].said == NULL)
			world_cut(&stage.romeo);
		else
			world_send(stage.romeo, cases[i / 2].said);
		world_sleep(stage.world, cases[i / 2].away_ms);
		forget_all(&stage);
		stage.verona->mood = NEIGHBOUR_WILLING;
		world_sleep(stage.world, 6 * MINUTES);
		CHECK(got(&stage, cases[i / 2].what, "from='" ROMEO) ==
		      cases[i / 2].is_told);
		end(&stage);
	}
}

/* The last that came of romeo's resource says that it is there. */
static bool
is_seen(struct stage *stage)
{
	bool is_available = false;
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL)
		if (strstr(text, "from='" ROMEO "/orchard'") != NULL)
			is_available = strstr(text, "unavailable") == NULL;
	return is_available;
}

/* Who went and came again, long before or within the minute that presence
 * waits. */
static void
what_is_told_late_is_told_in_order(void **state)
{
	static const uint64_t pauses_ms[] = {
	    10 * SECONDS, 15 * MINUTES + 50 * SECONDS};

	for (size_t i = 0; i < COUNT_OF(pauses_ms); i++) {
		struct stage stage = begin();

		befriend(&stage, ESCALUS);
		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		neighbour_cut(stage.verona, false);
		world_cut(&stage.romeo);
		world_sleep(stage.world, pauses_ms[i]);
		stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		world_sleep(stage.world, 16 * MINUTES - pauses_ms[i]);
		neighbour_open(stage.verona, "montague.example");
		CHECK(got(&stage, "unavailable", "from='" ROMEO "/orchard'"));
		world_sleep(stage.world, 2 * MINUTES);
		CHECK(is_seen(&stage));
		end(&stage);
	}
}

/* PARIS asked to see Romeo before the link was lost; he agrees, and what he
 * does then is in said. */
static struct stage
approve_meanwhile(enum neighbour_mood mood, const char *said)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	come(&stage, FROM(PARIS, "type='subscribe'"));
	stage.verona->mood = mood;
	neighbour_cut(stage.verona, false);
	forget_all(&stage);
	world_sleep(stage.world, 500);
	world_hold_store(stage.world, true);
	rig_send(stage.romeo, "<presence type='subscribed' to='" PARIS "'/>");
	rig_send(stage.romeo, said);
	world_hold_store(stage.world, false);
	world_run(stage.world);
	return stage;
}

static void
who_was_approved_meanwhile_sees_us(void **state)
{
	struct stage stage = approve_meanwhile(NEIGHBOUR_UNREACHABLE, " ");

	world_sleep(stage.world, 2 * MINUTES);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 5 * MINUTES);
	CHECK(got(&stage, "type='subscribed'", "to='" PARIS "'"));
	CHECK(got(&stage, "from='" ROMEO "/orchard'", "to='" PARIS "'"));
	end(&stage);
}

/* A number of all links, as the administration sees it. */
static long long
listed(const struct stage *stage, const char *name)
{
	long long sum = 0;

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *list = remote_list(&stage->world->server.shards[i]);
		json_t *each;
		size_t at;

		json_array_foreach (list, at, each)
			sum += json_integer_value(json_object_get(each, name));
		json_decref(list);
	}
	return sum;
}

/* Also when what was said first is committed last. */
static void
what_is_owed_keeps_its_order(void **state)
{
	struct stage stage = approve_meanwhile(
	    NEIGHBOUR_REFUSING, "<presence type='unavailable'/>");

	world_sleep(stage.world, 2 * MINUTES);
	CHECK(neighbour_next(stage.verona) == NULL);
	CHECK_EQUAL(listed(&stage, "queued"), 2);
	CHECK_EQUAL(listed(&stage, "kept"), 1);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 6 * MINUTES);
	CHECK(got(&stage, "type='subscribed'", "to='" PARIS "'"));
	CHECK(got(&stage, "type='unavailable'", "from='" ROMEO "/orchard'"));
	end(&stage);
}

/* The link broke again before all accounts had said what holds. */
static void
a_link_that_breaks_again_is_told_what_holds(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin_with(seed);

		befriend(&stage, ESCALUS);
		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		neighbour_cut(stage.verona, false);
		rig_send(stage.romeo, AWAY);
		world_sleep(stage.world, 2 * MINUTES);
		neighbour_open(stage.verona, "montague.example");
		neighbour_cut(stage.verona, false);
		neighbour_open(stage.verona, "montague.example");
		world_sleep(stage.world, 1 * MINUTES);
		CHECK(got(&stage, "away", "to='" ESCALUS "'"));
		end(&stage);
	}
}

/* Its commit took longer than it waits. */
static void
who_asks_is_answered_though_it_was_kept_late(void **state)
{
	struct stage stage = begin();

	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	world_hold_store(stage.world, true);
	rig_send(stage.romeo, "<presence type='subscribe' to='" PARIS "'/>");
	world_sleep(stage.world, 2 * MINUTES);
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 1 * SECONDS);
	CHECK(rig_finds(
	    stage.romeo, "<presence type='error' from='" PARIS "'/>"));
	end(&stage);
}

/* Nobody there knows of a request that was never sent. */
static void
names_that_never_answered_are_owed_nothing(void **state)
{
	struct stage stage = begin();

	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	rig_send(stage.romeo, "<presence type='subscribe' to='" PARIS "'/>");
	rig_send(stage.romeo,
	    "<iq type='set' id='r1'><query xmlns='jabber:iq:roster'>"
	    "<item jid='" PARIS "' subscription='remove'/></query></iq>");
	CHECK_EQUAL(neighbours_in_use(stage.world), 1);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	CHECK_EQUAL(rig_outbox(stage.world), 0);
	end(&stage);
}

/* Who asks about nobody is told so, or asks again. */
static void
strangers_are_owed_no_answer(void **state)
{
	struct stage stage = begin();

	come(&stage, FROM(PARIS, "type='probe'"));
	CHECK(got(&stage, "to='" PARIS "'", "type='unsubscribed'"));
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, true);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	come(&stage, FROM(PARIS, "type='probe'"));
	CHECK_EQUAL(neighbours_in_use(stage.world), 1);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	end(&stage);
}

static void
who_does_not_answer_after_a_break_is_unavailable(void **state)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	befriend(&stage, PARIS);
	come(&stage, FROM(ESCALUS "/throne", ""));
	come(&stage, FROM(ESCALUS "/horse", ""));
	come(&stage, FROM(PARIS "/churchyard", ""));
	forget_all(&stage);
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 5 * SECONDS);
	CHECK(both_got(&stage, "type='probe'"));
	come(&stage, FROM(ESCALUS "/horse", ""));
	come(&stage, FROM(PARIS, "type='unavailable'"));
	rig_skip(stage.romeo);
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(rig_finds(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>"));
	rig_expect_nothing(stage.romeo);
	end(&stage);
}

/* --- anything, in any order ---------------------------------------------- */

/* Romeo is there. */
static bool
is_online(const struct stage *stage)
{
	return stage->romeo != NULL;
}

static void
come_or_go(struct stage *stage)
{
	if (is_online(stage))
		world_cut(&stage->romeo);
	else
		stage->romeo = rig_login(stage->world, ROMEO "/orchard");
}

static void
cut_link(struct stage *stage)
{
	world_run(stage->world);
	stage->verona->is_deaf = false;
	neighbour_cut(stage->verona, world_random(stage->world, 2) == 0);
}

static void
lose_what_is_sent(struct stage *stage)
{
	stage->verona->is_deaf = true;
}

static void
open_link(struct stage *stage)
{
	neighbour_open(stage->verona, "montague.example");
}

static void
change_mood(struct stage *stage)
{
	static const enum neighbour_mood moods[] = {
	    NEIGHBOUR_WILLING, NEIGHBOUR_UNREACHABLE, NEIGHBOUR_REFUSING};

	stage->verona->mood =
	    moods[world_random(stage->world, COUNT_OF(moods))];
}

static void
approve(struct stage *stage)
{
	if (!is_online(stage))
		return;
	come(stage, FROM(PARIS, "type='subscribe'"));
	rig_send(stage->romeo, "<presence type='subscribed' to='" PARIS "'/>");
}

static void
cancel(struct stage *stage)
{
	if (is_online(stage))
		rig_send(stage->romeo,
		    "<presence type='unsubscribed' to='" PARIS "'/>");
}

static void
let_time_pass(struct stage *stage)
{
	static const uint64_t naps_ms[] = {
	    100, 5 * SECONDS, 61 * SECONDS, 3 * MINUTES, 7 * MINUTES};

	world_sleep(stage->world,
	    naps_ms[world_random(stage->world, COUNT_OF(naps_ms))]);
}

/* Whether the contact believes that Romeo is there, after what came. */
static void
see(const char *text, const char *contact, bool *sees)
{
	if (strstr(text, "from='" ROMEO "/orchard'") != NULL &&
	    strstr(text, contact) != NULL)
		*sees = strstr(text, "unavailable") == NULL;
}

/* Whatever became of the link, contacts see what holds a while after it is
 * there again. */
static void
presence_comes_right_by_itself(void **state)
{
	static void (*const things[])(struct stage *) = {come_or_go, cut_link,
	    lose_what_is_sent, open_link, change_mood, approve, cancel,
	    let_time_pass, let_time_pass, let_time_pass};

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct stage stage = begin_with(seed);
		bool escalus = true, paris = false, is_approved;
		const char *text;

		befriend(&stage, ESCALUS);
		for (unsigned i = 0; i < 60; i++)
			things[world_random(stage.world, COUNT_OF(things))](
			    &stage);
		stage.verona->mood = NEIGHBOUR_WILLING;
		cut_link(&stage);
		world_sleep(stage.world, 15 * MINUTES);
		while ((text = neighbour_next(stage.verona)) != NULL) {
			see(text, "to='" ESCALUS "'", &escalus);
			see(text, "to='" PARIS "'", &paris);
		}
		is_approved =
		    (rig_sub(stage.world, ROMEO, PARIS) & SUB_FROM) != 0;
		CHECK_EQUAL(escalus, is_online(&stage));
		CHECK_EQUAL(paris, is_online(&stage) && is_approved);
		end(&stage);
	}
}

static void
idle_links_may_end(void **state)
{
	struct stage stage = begin();

	befriend(&stage, ESCALUS);
	come(&stage, FROM(ESCALUS "/throne", ""));
	forget_all(&stage);
	neighbour_cut(stage.verona, true);
	world_sleep(stage.world, 20 * MINUTES);
	CHECK(neighbour_next(stage.verona) == NULL);
	rig_expect_nothing(stage.romeo);
	CHECK_EQUAL(stage.verona->connects, 1);
	end(&stage);
}

/* Also those of its subdomains, whom the same connection carries. */
static void
who_is_of_a_component_goes_and_comes_with_it(void **state)
{
	static const char says[] =
	    "<presence type='subscribed' from='" MAB "' to='" ROMEO "'/>"
	    "<presence from='" MAB "/x' to='" ROMEO "'/>";
	struct stage stage = begin();
	struct world_peer *plays;
	const char *text;
	bool is_asked = false;

	plays = world_component_join(stage.world, PLAYS, "one");
	rig_send(stage.romeo, "<presence type='subscribe' to='" MAB "'/>");
	rig_send(plays, says);
	CHECK(rig_finds(stage.romeo, "<presence from='" MAB "/x'/>"));
	world_cut(&plays);
	world_sleep(stage.world, 4 * MINUTES);
	rig_expect_nothing(stage.romeo);
	world_sleep(stage.world, 2 * MINUTES);
	rig_expect(
	    stage.romeo, "<presence type='unavailable' from='" MAB "/x'/>");
	plays = world_component_join(stage.world, PLAYS, "one");
	world_sleep(stage.world, 1 * MINUTES);
	while ((text = world_next(plays)) != NULL)
		is_asked |= strstr(text, "type='probe'") != NULL &&
			    strstr(text, "to='" MAB "'") != NULL;
	CHECK(is_asked);
	end(&stage);
}

/* --- iqs ----------------------------------------------------------------- */

#define ASK(id, to, payload)                                              \
	"<iq xmlns='jabber:server' type='get' id='" id "' from='" ESCALUS \
	"/throne' to='" to "'>" payload "</iq>"

static void
a_host_answers_strangers(void **state)
{
	struct stage stage = begin();

	come(&stage,
	    ASK("i1", "montague.example", "<ping xmlns='urn:xmpp:ping'/>"));
	CHECK(got(&stage, "id='i1'", "type='result'"));
	come(&stage,
	    ASK("i2", "montague.example",
		"<query xmlns='http://jabber.org/protocol/disco#info'/>"));
	CHECK(got(&stage, "id='i2'", "category='server'"));
	come(&stage, ASK("i3", "montague.example",
			 "<query xmlns='jabber:iq:version'/>"));
	CHECK(got(&stage, "id='i3'", "Jackdaw"));
	come(&stage,
	    ASK("i4", "montague.example", "<query xmlns='jabber:iq:last'/>"));
	CHECK(got(&stage, "id='i4'", "seconds="));
	come(&stage, ASK("i5", "montague.example",
			 "<query xmlns='jabber:iq:register'/>"));
	CHECK(got(&stage, "id='i5'", "forbidden"));
	come(&stage,
	    ASK("i6", "montague.example", "<vCard xmlns='vcard-temp'/>"));
	CHECK(got(&stage, "id='i6'", "service-unavailable"));
	come(&stage, ASK("i7", ROMEO, "<vCard xmlns='vcard-temp'/>"));
	CHECK(got(&stage, "id='i7'", "type="));
	end(&stage);
}

static void
resources_are_asked_only_by_who_sees_them(void **state)
{
	struct stage stage = begin();
	const char *ask = ASK("i1", ROMEO "/orchard", "<q xmlns='urn:q'/>");

	come(&stage, ask);
	CHECK(got(&stage, "id='i1'", "service-unavailable"));
	rig_expect_nothing(stage.romeo);
	befriend(&stage, ESCALUS);
	come(&stage, ask);
	rig_expect(stage.romeo, "<iq type='get' id='i1' from='" ESCALUS
				"/throne'><q xmlns='urn:q'/></iq>");
	rig_send(
	    stage.romeo, "<iq type='result' id='i1' to='" ESCALUS "/throne'/>");
	CHECK(got(&stage, "id='i1'", "type='result'"));
	end(&stage);
}

/* --- messages ------------------------------------------------------------ */

static void
messages_go_both_ways(void **state)
{
	struct stage stage = begin();

	come(&stage, "<message xmlns='jabber:server' type='chat' from='" ESCALUS
		     "/throne' to='" ROMEO
		     "'><body>Rebellious subjects</body></message>");
	rig_expect(stage.romeo,
	    "<message type='chat' from='" ESCALUS "/throne'>"
	    "<body>Rebellious subjects</body></message>");
	rig_send(stage.romeo,
	    "<message type='chat' to='" ESCALUS "/throne'><body>?</body>"
	    "</message>");
	CHECK(got(&stage, "<body>?</body>", "to='" ESCALUS "/throne'"));
	come(&stage,
	    "<message xmlns='jabber:server' type='chat' id='x' from='" ESCALUS
	    "' to='nobody@montague.example'><body>?</body></message>");
	CHECK(got(&stage, "id='x'", "service-unavailable"));
	world_cut(&stage.romeo);
	world_run(stage.world);
	come(&stage, "<message xmlns='jabber:server' type='chat' from='" ESCALUS
		     "/throne' to='" ROMEO "'><body>Later</body></message>");
	stage.romeo = rig_bind(stage.world, ROMEO "/orchard");
	rig_send(stage.romeo, "<presence/>");
	CHECK(rig_finds(stage.romeo,
	    "<message type='chat'><body>Later</body>"
	    "<delay xmlns='urn:xmpp:delay'/></message>"));
	end(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(subscriptions_work_both_ways),
	    cmocka_unit_test(what_is_not_kept_does_not_leave),
	    cmocka_unit_test(presence_goes_to_all_of_a_domain),
	    cmocka_unit_test(probes_are_answered),
	    cmocka_unit_test(who_cannot_be_reached_becomes_unavailable),
	    cmocka_unit_test(what_was_missed_is_told),
	    cmocka_unit_test(what_is_told_late_is_told_in_order),
	    cmocka_unit_test(who_was_approved_meanwhile_sees_us),
	    cmocka_unit_test(what_is_owed_keeps_its_order),
	    cmocka_unit_test(who_asks_is_answered_though_it_was_kept_late),
	    cmocka_unit_test(a_link_that_breaks_again_is_told_what_holds),
	    cmocka_unit_test(names_that_never_answered_are_owed_nothing),
	    cmocka_unit_test(strangers_are_owed_no_answer),
	    cmocka_unit_test(who_does_not_answer_after_a_break_is_unavailable),
	    cmocka_unit_test(who_is_of_a_component_goes_and_comes_with_it),
	    cmocka_unit_test(presence_comes_right_by_itself),
	    cmocka_unit_test(idle_links_may_end),
	    cmocka_unit_test(a_host_answers_strangers),
	    cmocka_unit_test(resources_are_asked_only_by_who_sees_them),
	    cmocka_unit_test(messages_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
