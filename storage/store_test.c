/* The contract that every backend keeps: maps, batches and owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/list.h"
#include "storage/store_rig.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})
#define HOST           STR("localhost")

static const struct store_kind plain = {.name = "plain", .shape = STORE_MAP};
static const struct store_kind other = {.name = "other", .shape = STORE_MAP};
static const struct store_kind counted = {
    .name = "counted", .shape = STORE_MAP, .flags = KIND_COUNTED};
static const struct store_kind reversed = {
    .name = "reversed", .shape = STORE_MAP, .flags = KIND_REVERSE};
static const struct store_kind log_plain = {
    .name = "log-plain", .shape = STORE_LOG};
static const struct store_kind log_counted = {
    .name = "log-counted", .shape = STORE_LOG, .flags = KIND_COUNTED};

/* --- maps ------------------------------------------------------------- */

static void
a_value_comes_back(void **state)
{
	struct rig *rig = *state;

	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "(not found)");
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	RIG_TEXT(rig_get(rig, 3, &plain, STR("k")), "(not found)");
	RIG_TEXT(rig_get(rig, 2, &other, STR("k")), "(not found)");
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("")), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "");
}

static void
keys_and_values_are_any_bytes(void **state)
{
	struct rig *rig = *state;
	struct str key = BYTES("\0\xff\x80'\"\\"), value = BYTES("\0\0\xfe\n");
	struct map_row row;

	assert_int_equal(rig_put(rig, 2, &plain, key, value), ERR_NONE);
	row = rig_row(rig, 2, &plain, key);
	assert_true(str_equal(row.key, key));
	assert_true(str_equal(row.value, value));
	RIG_TEXT(rig_get(rig, 2, &plain, BYTES("\0")), "(not found)");
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR_NONE, STR("empty")), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR_NONE), "empty");
}

static void
big_values_come_back(void **state)
{
	struct rig *rig = *state;
	size_t len = 3 << 20;
	char *bytes = arena_text(rig->arena, len);
	struct str value = {bytes, len};

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	assert_int_equal(rig_put(rig, 2, &plain, STR("big"), value), ERR_NONE);
	assert_true(str_equal(rig_get(rig, 2, &plain, STR("big")), value));
}

static void
versions_grow(void **state)
{
	struct rig *rig = *state;
	uint64_t first, second;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("1")), ERR_NONE);
	first = rig_row(rig, 2, &plain, STR("k")).version;
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("2")), ERR_NONE);
	second = rig_row(rig, 2, &plain, STR("k")).version;
	assert_true(first != 0 && second > first);

	/* Also when the clock of a later run is behind. */
	clock_fake(1, 1000);
	rig_reopen(rig);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("3")), ERR_NONE);
	clock_fake(0, 0);
	assert_true(rig_row(rig, 2, &plain, STR("k")).version > second);
}

static void
put_new_is_refused_when_it_is_there(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);

	store_put_new(write, 2, &plain, STR("k"), STR("1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	write = store_write_new(rig->store);
	store_put(write, 2, &plain, STR("else"), STR("x"));
	store_put_new(write, 2, &plain, STR("k"), STR("2"));
	assert_int_equal(rig_commit(rig, write), ERR_EXISTS);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "1");
	RIG_TEXT(rig_get(rig, 2, &plain, STR("else")), "(not found)");
}

static void
put_if_wants_the_version(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	struct rig_commit wait;
	uint64_t version;

	store_put(write, 2, &plain, STR("k"), STR("1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	version = rig_row(rig, 2, &plain, STR("k")).version;

	write = store_write_new(rig->store);
	store_put_if(write, 2, &plain, STR("k"), STR("2"), version);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "2");

	write = store_write_new(rig->store);
	store_put(write, 3, &plain, STR("k"), STR("x"));
	store_put_if(write, 2, &plain, STR("k"), STR("3"), version);
	rig_start(&wait, write);
	rig_await(rig, &wait.calls);
	assert_int_equal(wait.commit.err, ERR_CONFLICT);
	assert_int_equal(wait.commit.failed, 1);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "2");
	RIG_TEXT(rig_get(rig, 3, &plain, STR("k")), "(not found)");
}

static void
rows_are_removed(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);

	store_put(write, 2, &plain, STR("a/1"), STR("x"));
	store_put(write, 2, &plain, STR("a/2"), STR("x"));
	store_put(write, 2, &plain, STR("b/1"), STR("x"));
	store_put(write, 2, &other, STR("a/1"), STR("x"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);

	write = store_write_new(rig->store);
	store_remove(write, 2, &plain, STR("nothing"));
	store_remove(write, 2, &plain, STR("b/1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("b/1")), "(not found)");

	write = store_write_new(rig->store);
	store_remove_all(write, 2, &plain, STR("a/"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("a/2")), "(not found)");
	RIG_TEXT(rig_get(rig, 2, &other, STR("a/1")), "x");

	write = store_write_new(rig->store);
	store_remove_all(write, 2, &other, STR_NONE);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &other, STR("a/1")), "(not found)");
}

static void
a_scan_goes_page_by_page(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	struct map_query query = {
	    .owner = 2, .kind = &plain, .prefix = STR("p/"), .max = 4};
	const struct store_scan *scan;
	unsigned seen = 0;

	store_put(write, 2, &plain, STR("o"), STR("x"));
	store_put(write, 2, &plain, STR("q"), STR("x"));
	for (int i = 9; i >= 0; i--)
		store_put(write, 2, &plain, str_format(rig->arena, "p/%d", i),
		    STR("x"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	do {
		scan = rig_scan(rig, &query);
		assert_int_equal(scan->err, ERR_NONE);
		for (size_t i = 0; i < scan->count; i++, seen++)
			assert_true(str_equal(scan->rows[i].key,
			    str_format(rig->arena, "p/%u", seen)));
		query.after = scan->rows[scan->count - 1].key;
		assert_true(scan->is_more == (seen < 10));
	} while (scan->is_more);
	assert_int_equal(seen, 10);
	assert_int_equal(rig_scan(rig, &query)->count, 0);
	query = (struct map_query){.owner = 2, .kind = &plain, .max = 12};
	scan = rig_scan(rig, &query);
	assert_int_equal(scan->count, 12);
	assert_false(scan->is_more);
}

/* --- batches ---------------------------------------------------------- */

static void
a_batch_is_atomic_across_owners(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	owner_id made = 7;

	assert_true(rig_make(rig, HOST, STR("romeo")) != 0);
	store_put(write, 5, &plain, STR("k"), STR("5"));
	store_put(write, 6, &plain, STR("k"), STR("6"));
	store_owner_make(write, HOST, STR("romeo"), &made);
	assert_int_equal(rig_commit(rig, write), ERR_EXISTS);
	assert_int_equal(made, 7);
	RIG_TEXT(rig_get(rig, 5, &plain, STR("k")), "(not found)");
	RIG_TEXT(rig_get(rig, 6, &plain, STR("k")), "(not found)");
}

static void
one_failure_of_many_is_its_own(void **state)
{
	struct rig *rig = *state;
	struct rig_commit waits[20];

	assert_int_equal(
	    rig_put(rig, 5, &plain, STR("k"), STR("old")), ERR_NONE);
	for (unsigned i = 0; i < 20; i++) {
		struct store_write *write = store_write_new(rig->store);

		store_put(write, i + 10, &plain, STR("k"), STR("new"));
		if (i % 5 == 0)
			store_put_new(write, 5, &plain, STR("k"), STR("new"));
		rig_start(&waits[i], write);
	}
	for (unsigned i = 0; i < 20; i++) {
		rig_await(rig, &waits[i].calls);
		assert_int_equal(
		    waits[i].commit.err, i % 5 == 0 ? ERR_EXISTS : ERR_NONE);
		RIG_TEXT(rig_get(rig, i + 10, &plain, STR("k")),
		    i % 5 == 0 ? "(not found)" : "new");
	}
}

static void
writes_keep_their_order(void **state)
{
	struct rig *rig = *state;
	struct rig_commit last;

	for (unsigned i = 0; i < 100; i++) {
		struct store_write *write = store_write_new(rig->store);

		store_put(write, 5, &plain, STR("k"),
		    str_format(rig->arena, "%u", i));
		if (i % 3 == 0)
			store_commit_lazy(write, NULL, NULL);
		else
			store_commit(write, NULL, NULL);
	}
	rig_start(&last, store_write_new(rig->store));
	RIG_TEXT(rig_get(rig, 5, &plain, STR("k")), "99");
	rig_await(rig, &last.calls);
}

struct seen {
	struct store_get get;
	struct rig_commit *write;
	unsigned calls;
};

static void
seen_done(struct store_get *get)
{
	struct seen *seen = container_of(get, struct seen, get);

	seen->calls++;
	if (seen->write != NULL)
		assert_int_equal(seen->write->calls, 1);
}

static void
a_read_sees_what_was_queued_before(void **state)
{
	struct rig *rig = *state;
	struct seen seen = {.calls = 0};

	for (unsigned i = 0; i < 50; i++) {
		struct store_write *write = store_write_new(rig->store);
		struct str value = str_format(rig->arena, "%u", i);
		struct rig_commit wait;

		store_put(write, 5, &plain, STR("k"), value);
		rig_start(&wait, write);
		seen = (struct seen){.write = &wait};
		store_get(rig->store, &seen.get, rig->arena,
		    &(struct map_key){5, &plain, STR("k")}, seen_done);
		rig_await(rig, &seen.calls);
		assert_true(str_equal(seen.get.row.value, value));
	}
}

/* One write after the other, of which the next is queued when one ends. */
struct chain {
	struct store_commit commit;
	struct rig *rig;
	unsigned left, *ended;
};

static void
chain_on(struct store_commit *commit)
{
	struct chain *chain = container_of(commit, struct chain, commit);
	struct store_write *write;

	if (chain->left-- == 0) {
		++*chain->ended;
		return;
	}
	write = store_write_new(chain->rig->store);
	store_put(write, 5, &plain, STR("k"), STR("v"));
	store_commit(write, &chain->commit, chain_on);
}

static void
a_read_does_not_wait_for_what_is_queued_after(void **state)
{
	struct rig *rig = *state;
	struct rig_commit first = {.calls = 1};
	struct seen seen = {.write = &first};
	unsigned ended = 0;
	struct chain chains[2];

	/* So there is a write of this owner at any time. */
	for (unsigned i = 0; i < 2; i++) {
		chains[i] =
		    (struct chain){.rig = rig, .left = 500, .ended = &ended};
		chain_on(&chains[i].commit);
	}
	store_get(rig->store, &seen.get, rig->arena,
	    &(struct map_key){5, &plain, STR("k")}, seen_done);
	rig_await(rig, &seen.calls);
	assert_int_equal(ended, 0);
	RIG_TEXT(seen.get.row.value, "v");
	while (ended < 2)
		rig_turn(rig);
}

static void
lazy_done(struct store_commit *commit)
{
	container_of(commit, struct rig_commit, commit)->calls++;
}

static void
a_lazy_write_is_committed_soon(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	struct rig_commit lazy = {.calls = 0}, also = {.calls = 0};

	store_put(write, 5, &plain, STR("k"), STR("v"));
	store_also(write, &also.commit, lazy_done);
	store_commit_lazy(write, &lazy.commit, lazy_done);
	rig_await(rig, &lazy.calls);
	assert_int_equal(lazy.commit.err, ERR_NONE);
	assert_int_equal(also.calls, 1);
	assert_int_equal(also.commit.err, ERR_NONE);
	RIG_TEXT(rig_get(rig, 5, &plain, STR("k")), "v");
}

/* --- owners ----------------------------------------------------------- */

static void
owners_are_made_found_and_listed(void **state)
{
	struct rig *rig = *state;
	const struct store_owner *found;
	const struct store_owners *list;
	owner_id romeo = rig_make(rig, HOST, STR("romeo"));
	owner_id juliet = rig_make(rig, HOST, STR("juliet"));

	assert_true(romeo > OWNER_SERVER && juliet > romeo);
	assert_int_equal(rig_make(rig, HOST, STR("romeo")), 0);
	assert_true(rig_make(rig, STR("elsewhere"), STR("romeo")) > juliet);
	found = rig_find(rig, HOST, STR("romeo"));
	assert_int_equal(found->err, ERR_NONE);
	assert_true(found->row.id == romeo);
	assert_int_equal(found->row.state, OWNER_ACTIVE);
	assert_true(found->row.made_us > 0);
	RIG_TEXT(found->row.host, "localhost");
	RIG_TEXT(found->row.local, "romeo");
	assert_int_equal(
	    rig_find(rig, HOST, STR("tybalt"))->err, ERR_NOT_FOUND);
	list = rig_list(rig, HOST, STR_NONE, 9);
	assert_int_equal(list->count, 2);
	RIG_TEXT(list->rows[0].local, "juliet");
	list = rig_list(rig, HOST, STR("juliet"), 9);
	assert_int_equal(list->count, 1);
	RIG_TEXT(list->rows[0].local, "romeo");
	assert_int_equal(rig_list(rig, HOST, STR_NONE, 1)->count, 1);
}

static void
the_made_owner_takes_rows_of_its_batch(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	owner_id made = 0;

	store_owner_make(write, HOST, STR("romeo"), &made);
	store_put(write, 0, &plain, STR("k"), STR("v"));
	rig_append(write, &log_plain, 0, 1, STR("p"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	assert_true(made > OWNER_SERVER);
	RIG_TEXT(rig_get(rig, made, &plain, STR("k")), "v");
}

static void
the_server_is_always_an_owner(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(
	    rig_put(rig, OWNER_SERVER, &reversed, STR("k"), STR("v")),
	    ERR_NONE);
	RIG_TEXT(rig_get(rig, OWNER_SERVER, &reversed, STR("k")), "v");
	assert_int_equal(rig_reverse(rig, &reversed, STR("k"), 0, 9)->count, 1);
}

static void
states_are_set(void **state)
{
	struct rig *rig = *state;
	owner_id romeo = rig_make(rig, HOST, STR("romeo"));

	assert_int_equal(rig_set_state(rig, romeo, OWNER_DISABLED), ERR_NONE);
	assert_int_equal(
	    rig_find(rig, HOST, STR("romeo"))->row.state, OWNER_DISABLED);
	assert_int_equal(rig_set_state(rig, romeo, OWNER_ACTIVE), ERR_NONE);
	assert_int_equal(rig_set_state(rig, 999, OWNER_ACTIVE), ERR_NOT_FOUND);
	assert_int_equal(rig_set_state(rig, romeo, OWNER_DELETED), ERR_NONE);
	assert_int_equal(rig_set_state(rig, romeo, OWNER_DELETED), ERR_NONE);
	assert_int_equal(
	    rig_set_state(rig, romeo, OWNER_ACTIVE), ERR_NOT_FOUND);
}

static void
a_deleted_owner_is_purged_and_its_name_is_free(void **state)
{
	struct rig *rig = *state;
	owner_id old = rig_make(rig, HOST, STR("romeo"));
	owner_id new;
	unsigned chunks = 0;
	struct store_write *write = store_write_new(rig->store);

	for (unsigned i = 1; i <= 25; i++) {
		rig_append(write, &log_counted, old, i, STR("p"));
		store_put(write, old, &counted, str_format(rig->arena, "%u", i),
		    STR("v"));
	}
	store_put(write, old, &reversed, STR("k"), STR("v"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	assert_int_equal(rig_purge(rig, old, 10), ERR_NOT_FOUND);
	assert_int_equal(rig_set_state(rig, old, OWNER_DELETED), ERR_NONE);
	assert_int_equal(rig_find(rig, HOST, STR("romeo"))->err, ERR_NOT_FOUND);
	assert_int_equal(rig_reverse(rig, &reversed, STR("k"), 0, 9)->count, 0);

	new = rig_make(rig, HOST, STR("romeo"));
	assert_true(new > old);
	RIG_TEXT(rig_get(rig, new, &counted, STR("1")), "(not found)");
	assert_int_equal(
	    rig_put(rig, new, &counted, STR("1"), STR("new")), ERR_NONE);

	assert_int_equal(rig_deleted(rig)->count, 1);
	while (rig_purge(rig, old, 10) == ERR_NONE) {
		chunks++;
		rig_reopen(rig);
	}
	assert_in_range(chunks, 3, 8);
	assert_int_equal(rig_purge(rig, old, 10), ERR_NOT_FOUND);
	assert_int_equal(rig_deleted(rig)->count, 0);
	assert_int_equal(rig_count(rig, old, &counted).count, 0);
	assert_int_equal(rig_count(rig, old, &log_counted).last_id, 0);
	RIG_TEXT(rig_get(rig, new, &counted, STR("1")), "new");
	rig_reopen(rig);
	assert_true(rig_make(rig, HOST, STR("tybalt")) > new);
}

static void
owners_are_found_by_a_key(void **state)
{
	struct rig *rig = *state;
	owner_id owners[3];
	const struct store_owners *found;

	for (unsigned i = 0; i < 3; i++) {
		owners[i] =
		    rig_make(rig, HOST, str_format(rig->arena, "u%u", i));
		assert_int_equal(rig_put(rig, owners[i], &reversed,
				     STR("tybalt@x"), STR("v")),
		    ERR_NONE);
	}
	found = rig_reverse(rig, &reversed, STR("tybalt@x"), 0, 2);
	assert_int_equal(found->count, 2);
	assert_true(found->rows[0].id == owners[0]);
	RIG_TEXT(found->rows[1].local, "u1");
	found = rig_reverse(rig, &reversed, STR("tybalt@x"), owners[1], 2);
	assert_int_equal(found->count, 1);
	assert_true(found->rows[0].id == owners[2]);
	assert_int_equal(
	    rig_reverse(rig, &reversed, STR("tybalt@"), 0, 9)->count, 0);
}

static const struct rig_case cases[] = {
    RIG_CASE(a_value_comes_back),
    RIG_CASE(keys_and_values_are_any_bytes),
    RIG_CASE(big_values_come_back),
    RIG_CASE(versions_grow),
    RIG_CASE(put_new_is_refused_when_it_is_there),
    RIG_CASE(put_if_wants_the_version),
    RIG_CASE(rows_are_removed),
    RIG_CASE(a_scan_goes_page_by_page),
    RIG_CASE(a_batch_is_atomic_across_owners),
    RIG_CASE(one_failure_of_many_is_its_own),
    RIG_CASE(writes_keep_their_order),
    RIG_CASE(a_read_sees_what_was_queued_before),
    RIG_CASE(a_read_does_not_wait_for_what_is_queued_after),
    RIG_CASE(a_lazy_write_is_committed_soon),
    RIG_CASE(owners_are_made_found_and_listed),
    RIG_CASE(the_made_owner_takes_rows_of_its_batch),
    RIG_CASE(the_server_is_always_an_owner),
    RIG_CASE(states_are_set),
    RIG_CASE(a_deleted_owner_is_purged_and_its_name_is_free),
    RIG_CASE(owners_are_found_by_a_key),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}
