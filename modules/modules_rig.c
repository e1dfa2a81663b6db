#include "modules/modules_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "modules/roster_private.h"
#include "server/outbox.h"
#include "server/world_private.h"
#include "server/world_scene.h"
#include "xml/writer.h"

struct world *
rig_world(uint64_t seed, unsigned shard_count, const char *yaml)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = seed, .shard_count = shard_count, .yaml = yaml});

	world_add_account(world, ROMEO, NULL);
	world_add_account(world, JULIET, NULL);
	return world;
}

/* --- peers --------------------------------------------------------------- */

struct world_peer *
rig_bind(struct world *world, const char *jid)
{
	struct world_peer *peer = world_connect(world, jid);

	world_run(world);
	rig_skip(peer);
	return peer;
}

struct world_peer *
rig_login(struct world *world, const char *jid)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, "<presence/>");
	rig_skip(peer);
	return peer;
}

struct world_peer *
rig_interested(struct world *world, const char *jid)
{
	struct world_peer *peer = rig_login(world, jid);

	rig_send(peer,
	    "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>");
	rig_skip(peer);
	return peer;
}

void
rig_send(struct world_peer *peer, const char *xml)
{
	world_send(peer, xml);
	world_run(peer->world);
}

static struct world_event *
first(struct world_peer *peer)
{
	return list_entry(list_first(&peer->events), struct world_event, link);
}

/* Empty when it fits, else why not. */
static struct str
misfit(struct arena *arena, const struct world_event *event, const char *text)
{
	struct variables variables;
	struct str expanded, why = STR("is no pattern");
	const struct node *pattern;

	variables_init(&variables, arena);
	expanded = variables_expand(&variables, str_of(text), true, true, &why);
	if (expanded.text == NULL ||
	    (pattern = pattern_parse(arena, expanded)) == NULL)
		return why;
	if (event == NULL || event->kind != WORLD_ELEMENT)
		return STR("nothing came");
	if (pattern_fits(node_first(pattern), event->node, &variables, &why))
		return STR_NONE;
	return why;
}

void
rig_expect_at(
    struct world_peer *peer, const char *pattern, const char *file, int line)
{
	struct arena *arena = arena_make(0);
	struct world_event *event = first(peer);
	struct str why = misfit(arena, event, pattern);

	if (why.text != NULL) {
		struct str came = STR("nothing");

		if (event != NULL && event->kind == WORLD_ELEMENT)
			came = writer_text(arena, event->node);
		print_error("wanted %s\ncame %.*s\n%.*s\n", pattern,
		    STR_ARG(came), STR_ARG(why));
		_fail(file, line);
	}
	world_event_free(&event);
	arena_free(&arena);
}

bool
rig_finds(struct world_peer *peer, const char *pattern)
{
	struct arena *arena = arena_make(0);
	struct world_event *event;
	bool is_found = false;

	while (!is_found && (event = first(peer)) != NULL) {
		is_found = misfit(arena, event, pattern).text == NULL;
		world_event_free(&event);
	}
	arena_free(&arena);
	return is_found;
}

unsigned
rig_hears(struct world_peer *peer, const char *text)
{
	unsigned count = 0;
	const char *came;

	while ((came = world_next(peer)) != NULL)
		count += strstr(came, text) != NULL;
	return count;
}

void
rig_enable(struct world_peer *peer, char id[static RIG_ID_LEN])
{
	const char *enabled, *at;

	rig_send(peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	enabled = world_next(peer);
	must(enabled != NULL);
	at = strstr(enabled, "id='");
	must(at != NULL);
	snprintf(id, RIG_ID_LEN, "%.*s", (int)strcspn(at + 4, "'"), at + 4);
}

void
rig_resume(struct world_peer *peer, const char *id, unsigned h)
{
	char xml[160];

	snprintf(xml, sizeof(xml),
	    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", id, h);
	rig_send(peer, xml);
}

struct world_peer *
rig_come_back(struct world *world, const char *bare, const char *id, unsigned h,
    const char *wanted)
{
	struct world_peer *again = world_connect(world, bare);

	rig_resume(again, id, h);
	rig_expect(again, wanted);
	return again;
}

bool
rig_run_killed(struct world *world, unsigned steps)
{
	world_kill_after(world, steps);
	world_run(world);
	return world_was_killed(world);
}

void
rig_seeds(int argc, char **argv, uint64_t *first, uint64_t *count)
{
	if (argc <= 2)
		return;
	*first = strtoull(argv[1], NULL, 10);
	*count = strtoull(argv[2], NULL, 10);
}

void
rig_talks(struct world_peer *peer, const struct rig_talk *talks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		rig_send(peer, talks[i].sent);
		if (talks[i].wanted != NULL)
			rig_expect_at(
			    peer, talks[i].wanted, talks[i].sent, (int)i + 1);
		rig_expect_nothing_at(peer, talks[i].sent, (int)i + 1);
	}
}

void
rig_expect_nothing_at(struct world_peer *peer, const char *file, int line)
{
	const char *text = world_next(peer);

	if (text == NULL)
		return;
	print_error("wanted nothing\ncame %s\n", text);
	_fail(file, line);
}

void
rig_skip(struct world_peer *peer)
{
	while (world_next(peer) != NULL)
		continue;
}

/* --- the server ---------------------------------------------------------- */

struct account *
rig_account(struct world *world, const char *bare)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, str_of(bare));
	struct shard *shard = shard_of(&world->server, jid);

	shard_enter(shard);
	owner_want(shard, jid);
	world_hold_store(world, false);
	world_run(world);
	shard_enter(shard);
	struct account *account = account_find(shard, jid);
	arena_free(&arena);
	return account;
}

unsigned
rig_sub(struct world *world, const char *bare, const char *contact)
{
	struct account *account = rig_account(world, bare);
	struct arena *arena = arena_make(0);
	unsigned sub;

	CHECK(account != NULL);
	sub = roster_sub(account, jid_parse(arena, str_of(contact)));
	arena_free(&arena);
	return sub;
}

/* --- the store ----------------------------------------------------------- */

static struct shard *
enter_first(struct world *world)
{
	struct shard *shard = &world->server.shards[0];

	shard_enter(shard);
	world_hold_store(world, false);
	return shard;
}

static void
page_came(struct store_page *page)
{
	CHECK_EQUAL(page->err, ERR_NONE);
}

unsigned
rig_outbox(struct world *world)
{
	struct arena *arena = arena_make(0);
	struct store_page page;
	unsigned count;

	store_due(enter_first(world)->store, &page, arena,
	    &(struct due_query){
		.kind = &outbox_kind, .until_us = INT64_MAX, .max = 100},
	    page_came);
	world_run(world);
	count = (unsigned)page.count;
	arena_free(&arena);
	return count;
}

static void
write_done(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

void
rig_outbox_add(struct world *world, const char *xml, uint64_t ahead_ms)
{
	struct arena *arena = arena_make(0);
	struct store_commit commit;
	struct store_write *write = store_write_new(enter_first(world)->store);

	store_append(write, &outbox_kind,
	    &(struct log_row){.owner = OWNER_SERVER,
		.id = store_log_id(0),
		.nonce = 1,
		.time_us = clock_wall_us() + ahead_ms * 1000,
		.value = str_format(arena, "0 %s", xml)});
	store_commit(write, &commit, write_done);
	world_run(world);
	arena_free(&arena);
}

void
rig_put_key(struct world *world, const char *bare,
    const struct store_kind *kind, struct str key, const char *value)
{
	const struct account *account = rig_account(world, bare);
	struct store_commit commit;
	struct store_write *write;

	write = store_write_new(enter_first(world)->store);
	store_put(write, account->owner.id, kind, key, str_of(value));
	store_commit(write, &commit, write_done);
	world_run(world);
}

void
rig_put(struct world *world, const char *bare, const struct store_kind *kind,
    const char *key, const char *value)
{
	rig_put_key(world, bare, kind, str_of(key), value);
}

void
rig_put_sub(
    struct world *world, const char *bare, const char *contact, unsigned sub)
{
	char item[200];

	snprintf(item, sizeof(item),
	    "<item xmlns='jabber:iq:roster' jid='x@y' sub='%u' ver='1' "
	    "listed='yes'/>",
	    sub);
	rig_put(world, bare, &roster_kind, contact, item);
}

void
rig_put_subs(struct world *world, unsigned romeo, unsigned juliet)
{
	rig_put_sub(world, ROMEO, JULIET, romeo);
	rig_put_sub(world, JULIET, ROMEO, juliet);
	world_kill(world);
}

void
rig_append(struct world *world, const char *bare, const struct store_kind *kind,
    const char *value)
{
	const struct account *account = rig_account(world, bare);
	struct store_commit commit;
	struct store_write *write;
	const struct log_row row = {.owner = account->owner.id,
	    .id = clock_wall_us() + 1000,
	    .nonce = 1,
	    .time_us = clock_wall_us(),
	    .value = str_of(value)};

	write = store_write_new(enter_first(world)->store);
	store_append(write, kind, &row);
	store_commit(write, &commit, write_done);
	world_run(world);
}

static void
count_came(struct store_count *count)
{
	CHECK_EQUAL(count->err, ERR_NONE);
}

unsigned
rig_count(struct world *world, owner_id owner, const struct store_kind *kind)
{
	struct store_count count;

	store_count(enter_first(world)->store, &count, owner, kind, count_came);
	world_run(world);
	return (unsigned)count.count;
}

static void
scan_came(struct store_scan *scan)
{
	CHECK_EQUAL(scan->err, ERR_NONE);
}

bool
rig_has(struct world *world, owner_id owner, const struct store_kind *kind)
{
	struct arena *arena = arena_make(0);
	struct store_scan scan;
	bool has;

	store_scan(enter_first(world)->store, &scan, arena,
	    &(struct map_query){.owner = owner, .kind = kind, .max = 1},
	    scan_came);
	world_run(world);
	has = scan.count > 0;
	arena_free(&arena);
	return has;
}
