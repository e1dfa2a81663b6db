/* The contract that every backend keeps. */
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
static const struct store_kind log_due = {
    .name = "log-due", .shape = STORE_LOG, .flags = KIND_DUE};
static const struct store_kind log_ref = {
    .name = "log-ref", .shape = STORE_LOG, .flags = KIND_REF | KIND_COUNTED};
static const struct store_kind log_text = {
    .name = "log-text", .shape = STORE_LOG, .flags = KIND_TEXT};

static int
setup(void **state)
{
	*state = rig_new((enum rig_mode)(uintptr_t)*state);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	rig_free(&rig);
	return 0;
}

static struct store_write *
write_new(struct rig *rig)
{
	return store_write_new(rig->store);
}

#define CHECK_TEXT(str, literal) check_text((str), (literal), __LINE__)

static void
check_text(struct str str, const char *want, int line)
{
	if (!str_equal(str, str_of(want)))
		print_error("line %d: \"%.*s\"\n", line, STR_ARG(str));
	assert_true(str_equal(str, str_of(want)));
}

/* --- maps ------------------------------------------------------------- */

static void
a_value_comes_back(void **state)
{
	struct rig *rig = *state;

	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "(not found)");
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	CHECK_TEXT(rig_get(rig, 3, &plain, STR("k")), "(not found)");
	CHECK_TEXT(rig_get(rig, 2, &other, STR("k")), "(not found)");
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("")), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "");
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
	CHECK_TEXT(rig_get(rig, 2, &plain, BYTES("\0")), "(not found)");
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR_NONE, STR("empty")), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR_NONE), "empty");
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
	struct store_write *write = write_new(rig);

	store_put_new(write, 2, &plain, STR("k"), STR("1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	write = write_new(rig);
	store_put(write, 2, &plain, STR("else"), STR("x"));
	store_put_new(write, 2, &plain, STR("k"), STR("2"));
	assert_int_equal(rig_commit(rig, write), ERR_EXISTS);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "1");
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("else")), "(not found)");
}

static void
put_if_wants_the_version(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);
	struct rig_commit wait;
	uint64_t version;

	store_put(write, 2, &plain, STR("k"), STR("1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	version = rig_row(rig, 2, &plain, STR("k")).version;

	write = write_new(rig);
	store_put_if(write, 2, &plain, STR("k"), STR("2"), version);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "2");

	write = write_new(rig);
	store_put(write, 3, &plain, STR("k"), STR("x"));
	store_put_if(write, 2, &plain, STR("k"), STR("3"), version);
	rig_start(&wait, write);
	rig_await(rig, &wait.calls);
	assert_int_equal(wait.commit.err, ERR_CONFLICT);
	assert_int_equal(wait.commit.failed, 1);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "2");
	CHECK_TEXT(rig_get(rig, 3, &plain, STR("k")), "(not found)");
}

static void
rows_are_removed(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);

	store_put(write, 2, &plain, STR("a/1"), STR("x"));
	store_put(write, 2, &plain, STR("a/2"), STR("x"));
	store_put(write, 2, &plain, STR("b/1"), STR("x"));
	store_put(write, 2, &other, STR("a/1"), STR("x"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);

	write = write_new(rig);
	store_remove(write, 2, &plain, STR("nothing"));
	store_remove(write, 2, &plain, STR("b/1"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("b/1")), "(not found)");

	write = write_new(rig);
	store_remove_all(write, 2, &plain, STR("a/"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("a/2")), "(not found)");
	CHECK_TEXT(rig_get(rig, 2, &other, STR("a/1")), "x");

	write = write_new(rig);
	store_remove_all(write, 2, &other, STR_NONE);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	CHECK_TEXT(rig_get(rig, 2, &other, STR("a/1")), "(not found)");
}

static void
a_scan_goes_page_by_page(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);
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
	struct store_write *write = write_new(rig);
	owner_id made = 7;

	assert_true(rig_make(rig, HOST, STR("romeo")) != 0);
	store_put(write, 5, &plain, STR("k"), STR("5"));
	store_put(write, 6, &plain, STR("k"), STR("6"));
	store_owner_make(write, HOST, STR("romeo"), &made);
	assert_int_equal(rig_commit(rig, write), ERR_EXISTS);
	assert_int_equal(made, 7);
	CHECK_TEXT(rig_get(rig, 5, &plain, STR("k")), "(not found)");
	CHECK_TEXT(rig_get(rig, 6, &plain, STR("k")), "(not found)");
}

static void
one_failure_of_many_is_its_own(void **state)
{
	struct rig *rig = *state;
	struct rig_commit waits[20];

	assert_int_equal(
	    rig_put(rig, 5, &plain, STR("k"), STR("old")), ERR_NONE);
	for (unsigned i = 0; i < 20; i++) {
		struct store_write *write = write_new(rig);

		store_put(write, i + 10, &plain, STR("k"), STR("new"));
		if (i % 5 == 0)
			store_put_new(write, 5, &plain, STR("k"), STR("new"));
		rig_start(&waits[i], write);
	}
	for (unsigned i = 0; i < 20; i++) {
		rig_await(rig, &waits[i].calls);
		assert_int_equal(
		    waits[i].commit.err, i % 5 == 0 ? ERR_EXISTS : ERR_NONE);
		CHECK_TEXT(rig_get(rig, i + 10, &plain, STR("k")),
		    i % 5 == 0 ? "(not found)" : "new");
	}
}

static void
writes_keep_their_order(void **state)
{
	struct rig *rig = *state;
	struct rig_commit last;

	for (unsigned i = 0; i < 100; i++) {
		struct store_write *write = write_new(rig);

		store_put(write, 5, &plain, STR("k"),
		    str_format(rig->arena, "%u", i));
		if (i % 3 == 0)
			store_commit_lazy(write, NULL, NULL);
		else
			store_commit(write, NULL, NULL);
	}
	rig_start(&last, write_new(rig));
	CHECK_TEXT(rig_get(rig, 5, &plain, STR("k")), "99");
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
		struct store_write *write = write_new(rig);
		struct str value = str_format(rig->arena, "%u", i);
		struct rig_commit wait;

		store_put(write, 5, &plain, STR("k"), value);
		rig_start(&wait, write);
		seen = (struct seen){.write = &wait};
		store_get(rig->store, &seen.get, rig->arena, 5, &plain,
		    STR("k"), seen_done);
		rig_await(rig, &seen.calls);
		assert_true(str_equal(seen.get.row.value, value));
	}
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
	struct store_write *write = write_new(rig);
	struct rig_commit lazy = {.calls = 0}, also = {.calls = 0};

	store_put(write, 5, &plain, STR("k"), STR("v"));
	store_also(write, &also.commit, lazy_done);
	store_commit_lazy(write, &lazy.commit, lazy_done);
	rig_await(rig, &lazy.calls);
	assert_int_equal(lazy.commit.err, ERR_NONE);
	assert_int_equal(also.calls, 1);
	assert_int_equal(also.commit.err, ERR_NONE);
	CHECK_TEXT(rig_get(rig, 5, &plain, STR("k")), "v");
}

/* --- logs ------------------------------------------------------------- */

static void
append(struct store_write *write, const struct store_kind *kind, owner_id owner,
    uint64_t id, struct str peer)
{
	struct log_row row = {.owner = owner,
	    .id = id,
	    .nonce = UINT64_MAX - id,
	    .time_us = id * 10,
	    .peer = peer,
	    .value = STR("value")};

	store_append(write, kind, &row);
}

static void
fill_log(struct rig *rig, const struct store_kind *kind, unsigned count)
{
	struct store_write *write = write_new(rig);

	for (unsigned i = 1; i <= count; i++)
		append(write, kind, 2, i,
		    i % 2 == 0 ? STR("a@b/res") : STR("c@d"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
}

static void
a_log_row_comes_back(void **state)
{
	struct rig *rig = *state;
	struct log_query query = {.owner = 2, .kind = &log_plain, .max = 10};
	const struct store_page *page;

	fill_log(rig, &log_plain, 1);
	page = rig_page(rig, &query);
	assert_int_equal(page->err, ERR_NONE);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->rows[0].owner, 2);
	assert_int_equal(page->rows[0].id, 1);
	assert_true(page->rows[0].nonce == UINT64_MAX - 1);
	assert_int_equal(page->rows[0].time_us, 10);
	CHECK_TEXT(page->rows[0].peer, "c@d");
	CHECK_TEXT(page->rows[0].ref, "");
	CHECK_TEXT(page->rows[0].value, "value");
	query.owner = 3;
	assert_int_equal(rig_page(rig, &query)->count, 0);
}

static void
pages_go_both_ways(void **state)
{
	static const struct {
		struct log_query query;
		uint64_t ids[5];
		bool is_more;
	} cases[] = {
	    {{.max = 3}, {1, 2, 3}, true},
	    {{.max = 3, .after = 3}, {4, 5, 6}, true},
	    {{.max = 3, .after = 7}, {8, 9, 10}, false},
	    {{.max = 3, .after = 10}, {0}, false},
	    {{.max = 3, .is_backward = true}, {10, 9, 8}, true},
	    {{.max = 3, .is_backward = true, .before = 4}, {3, 2, 1}, false},
	    {{.max = 3, .before = 3}, {1, 2}, false},
	    {{.max = 5, .from_us = 30, .to_us = 50}, {3, 4, 5}, false},
	    {{.max = 2, .from_us = 30, .to_us = 50, .is_backward = true},
		{5, 4}, true},
	    {{.max = 2, .peer = BYTES("a@b")}, {2, 4}, true},
	    {{.max = 2, .peer = BYTES("a@b/res")}, {2, 4}, true},
	    {{.max = 2, .peer = BYTES("a@b/re")}, {0}, false},
	    {{.max = 2, .peer = BYTES("a@")}, {0}, false},
	    {{.max = 2, .peer = BYTES("c@d"), .is_backward = true}, {9, 7},
		true},
	};
	struct rig *rig = *state;

	fill_log(rig, &log_plain, 10);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_query query = cases[i].query;
		const struct store_page *page;
		size_t count = 0;

		query.owner = 2;
		query.kind = &log_plain;
		page = rig_page(rig, &query);
		assert_int_equal(page->err, ERR_NONE);
		while (count < 5 && cases[i].ids[count] != 0) {
			assert_true(count < page->count);
			assert_int_equal(
			    page->rows[count].id, cases[i].ids[count]);
			count++;
		}
		assert_int_equal(page->count, count);
		assert_int_equal(page->is_more, cases[i].is_more);
	}
}

static void
log_rows_are_removed_and_trimmed(void **state)
{
	struct rig *rig = *state;
	struct store_write *write;
	struct store_count count;

	fill_log(rig, &log_counted, 10);
	write = write_new(rig);
	store_log_remove(write, 2, &log_counted, 5);
	store_log_remove(write, 2, &log_counted, 99);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.count, 9);
	assert_int_equal(count.first_id, 1);
	assert_int_equal(count.last_id, 10);

	write = write_new(rig);
	store_log_trim(write, 2, &log_counted, 7);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.count, 3);
	assert_int_equal(count.first_id, 8);

	write = write_new(rig);
	store_log_trim(write, 2, &log_counted, UINT64_MAX);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.count, 0);
	assert_int_equal(count.bytes, 0);
	assert_int_equal(count.last_id, 0);
}

static void
a_write_may_be_repeated(void **state)
{
	struct rig *rig = *state;
	struct store_count count;

	fill_log(rig, &log_counted, 10);
	fill_log(rig, &log_counted, 10);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.err, ERR_NONE);
	assert_int_equal(count.count, 10);
	assert_int_equal(count.bytes, 50);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    rig_put(rig, 2, &counted, STR("key"), STR("value")),
		    ERR_NONE);
	count = rig_count(rig, 2, &counted);
	assert_int_equal(count.count, 1);
	assert_int_equal(count.bytes, 8);
}

static void
counts_are_kept_with_the_rows(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);
	struct store_count count = rig_count(rig, 2, &counted);

	assert_int_equal(count.err, ERR_NONE);
	assert_int_equal(count.count, 0);
	store_put(write, 2, &counted, STR("a1"), STR("123"));
	store_put(write, 2, &counted, STR("a2"), STR("123"));
	store_put(write, 2, &counted, STR("b"), STR(""));
	store_put(write, 3, &counted, STR("a1"), STR("123"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &counted);
	assert_int_equal(count.count, 3);
	assert_int_equal(count.bytes, 11);
	assert_int_equal(count.last_id, 0);

	write = write_new(rig);
	store_put(write, 2, &counted, STR("a1"), STR("12345"));
	store_remove(write, 2, &counted, STR("b"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &counted);
	assert_int_equal(count.count, 2);
	assert_int_equal(count.bytes, 12);

	write = write_new(rig);
	store_remove_all(write, 2, &counted, STR("a"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	assert_int_equal(rig_count(rig, 2, &counted).count, 0);
	assert_int_equal(rig_count(rig, 2, &counted).bytes, 0);
	assert_int_equal(rig_count(rig, 3, &counted).count, 1);
}

static void
due_rows_come_by_time(void **state)
{
	struct rig *rig = *state;
	struct due_query query = {.kind = &log_due, .until_us = 100, .max = 3};
	static const uint64_t times[] = {50, 20, 200, 50, 100};
	struct store_write *write = write_new(rig);
	const struct store_page *page;

	for (unsigned i = 0; i < 5; i++) {
		struct log_row row = {.owner = i + 2,
		    .id = 7,
		    .time_us = times[i],
		    .value = STR("v")};

		store_append(write, &log_due, &row);
	}
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	page = rig_due(rig, &query);
	assert_int_equal(page->count, 3);
	assert_true(page->is_more);
	assert_int_equal(page->rows[0].owner, 3);
	assert_int_equal(page->rows[1].owner, 2);
	assert_int_equal(page->rows[2].owner, 5);

	query.after_us = 50;
	query.after_id = 7;
	query.after_owner = 2;
	page = rig_due(rig, &query);
	assert_int_equal(page->count, 2);
	assert_int_equal(page->rows[0].owner, 5);
	query.after_owner = 0;
	page = rig_due(rig, &query);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->rows[0].owner, 6);

	write = write_new(rig);
	store_log_due(write, 4, &log_due, 7, 60);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	page = rig_due(rig, &query);
	assert_int_equal(page->count, 2);
	assert_int_equal(page->rows[0].owner, 4);
	assert_int_equal(page->rows[0].time_us, 60);
}

static void
append_ref(struct rig *rig, uint64_t id, struct str peer, struct str ref)
{
	struct store_write *write = write_new(rig);
	struct log_row row = {.owner = 2,
	    .id = id,
	    .time_us = 1,
	    .peer = peer,
	    .ref = ref,
	    .value = STR("v")};

	store_append(write, &log_ref, &row);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
}

static void
a_ref_is_unique_per_peer(void **state)
{
	struct rig *rig = *state;
	struct log_query query = {
	    .owner = 2, .kind = &log_ref, .ref = STR("r"), .max = 9};
	const struct store_page *page;

	append_ref(rig, 1, STR("a@b/x"), STR("r"));
	append_ref(rig, 2, STR("c@d"), STR("r"));
	append_ref(rig, 3, STR("a@b/x"), STR("other"));
	append_ref(rig, 4, STR("a@b/x"), STR("r"));
	append_ref(rig, 4, STR("a@b/x"), STR("r"));
	append_ref(rig, 5, STR("a@b/x"), STR_NONE);
	append_ref(rig, 6, STR("a@b/x"), STR_NONE);
	page = rig_page(rig, &query);
	assert_int_equal(page->count, 2);
	assert_int_equal(page->rows[0].id, 2);
	assert_int_equal(page->rows[1].id, 4);
	CHECK_TEXT(page->rows[1].ref, "r");
	query.peer = STR("a@b");
	page = rig_page(rig, &query);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->rows[0].id, 4);
	assert_int_equal(rig_count(rig, 2, &log_ref).count, 5);
}

static void
append_text(struct rig *rig, owner_id owner, uint64_t id, struct str text)
{
	struct store_write *write = write_new(rig);
	struct log_row row = {
	    .owner = owner, .id = id, .time_us = 1, .text = text};

	store_append(write, &log_text, &row);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
}

static void
words_are_found(void **state)
{
	static const struct {
		const char *words;
		uint64_t id; /* 0: none */
	} cases[] = {
	    {"romeo", 1},
	    {"ROMEO art", 1},
	    {"romeo juliet", 0},
	    {"wherefore \"art\"", 1},
	    {"NOT AND", 2},
	    {"owner3", 0},
	    {"Mond", 0},
	};
	struct rig *rig = *state;
	struct log_query query = {.owner = 2, .kind = &log_text, .max = 9};
	struct store_write *write;

	append_text(rig, 2, 1, STR("Wherefore art thou Romeo?"));
	append_text(rig, 2, 2, STR("do not and"));
	append_text(rig, 3, 3, STR("Romeo, der Mond"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct store_page *page;

		query.words = str_of(cases[i].words);
		page = rig_page(rig, &query);
		assert_int_equal(page->err, ERR_NONE);
		assert_int_equal(page->count, cases[i].id == 0 ? 0 : 1);
		if (page->count == 1)
			assert_int_equal(page->rows[0].id, cases[i].id);
	}
	write = write_new(rig);
	store_log_remove(write, 2, &log_text, 1);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	query.words = STR("romeo");
	assert_int_equal(rig_page(rig, &query)->count, 0);
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
	CHECK_TEXT(found->row.host, "localhost");
	CHECK_TEXT(found->row.local, "romeo");
	assert_int_equal(
	    rig_find(rig, HOST, STR("tybalt"))->err, ERR_NOT_FOUND);
	list = rig_list(rig, HOST, STR_NONE, 9);
	assert_int_equal(list->count, 2);
	CHECK_TEXT(list->rows[0].local, "juliet");
	list = rig_list(rig, HOST, STR("juliet"), 9);
	assert_int_equal(list->count, 1);
	CHECK_TEXT(list->rows[0].local, "romeo");
	assert_int_equal(rig_list(rig, HOST, STR_NONE, 1)->count, 1);
}

static void
the_made_owner_takes_rows_of_its_batch(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);
	owner_id made = 0;

	store_owner_make(write, HOST, STR("romeo"), &made);
	store_put(write, 0, &plain, STR("k"), STR("v"));
	append(write, &log_plain, 0, 1, STR("p"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	assert_true(made > OWNER_SERVER);
	CHECK_TEXT(rig_get(rig, made, &plain, STR("k")), "v");
}

static void
the_server_is_always_an_owner(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(
	    rig_put(rig, OWNER_SERVER, &reversed, STR("k"), STR("v")),
	    ERR_NONE);
	CHECK_TEXT(rig_get(rig, OWNER_SERVER, &reversed, STR("k")), "v");
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
	struct store_write *write = write_new(rig);

	for (unsigned i = 1; i <= 25; i++) {
		append(write, &log_counted, old, i, STR("p"));
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
	CHECK_TEXT(rig_get(rig, new, &counted, STR("1")), "(not found)");
	assert_int_equal(
	    rig_put(rig, new, &counted, STR("1"), STR("new")), ERR_NONE);

	assert_int_equal(rig_deleted(rig)->count, 1);
	while (rig_purge(rig, old, 10) == ERR_NONE)
		chunks++;
	assert_in_range(chunks, 3, 8);
	assert_int_equal(rig_purge(rig, old, 10), ERR_NOT_FOUND);
	assert_int_equal(rig_deleted(rig)->count, 0);
	assert_int_equal(rig_count(rig, old, &counted).count, 0);
	assert_int_equal(rig_count(rig, old, &log_counted).last_id, 0);
	CHECK_TEXT(rig_get(rig, new, &counted, STR("1")), "new");
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
	CHECK_TEXT(found->rows[1].local, "u1");
	found = rig_reverse(rig, &reversed, STR("tybalt@x"), owners[1], 2);
	assert_int_equal(found->count, 1);
	assert_true(found->rows[0].id == owners[2]);
	assert_int_equal(
	    rig_reverse(rig, &reversed, STR("tybalt@"), 0, 9)->count, 0);
}

/* --- time and trouble ------------------------------------------------- */

static void
committed_rows_survive(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	fill_log(rig, &log_counted, 10);
	rig_reopen(rig);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	assert_int_equal(rig_count(rig, 2, &log_counted).count, 10);
}

static void
closing_keeps_writes_and_cancels_reads(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = write_new(rig);
	struct rig_commit kept;
	struct seen seen = {.calls = 0};

	store_put(write, 2, &plain, STR("k"), STR("v"));
	rig_start(&kept, write);
	store_get(
	    rig->store, &seen.get, rig->arena, 2, &plain, STR("k"), seen_done);
	rig_close_store(rig);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(kept.commit.err, ERR_NONE);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.get.err, ERR_CANCELED);
	rig_open_store(rig);
	CHECK_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
}

static void
a_second_server_is_kept_out(void **state)
{
	struct rig *rig = *state;
	struct str why = STR_NONE;
	struct storage *second = storage_open(rig->arena, &rig->options, &why);

	assert_null(second);
	assert_true(why.len > 0);
}

#define CASE(name)          \
	{                   \
#name, name \
	}

static const struct {
	const char *name;
	CMUnitTestFunction run;
} cases[] = {
    CASE(a_value_comes_back),
    CASE(keys_and_values_are_any_bytes),
    CASE(big_values_come_back),
    CASE(versions_grow),
    CASE(put_new_is_refused_when_it_is_there),
    CASE(put_if_wants_the_version),
    CASE(rows_are_removed),
    CASE(a_scan_goes_page_by_page),
    CASE(a_batch_is_atomic_across_owners),
    CASE(one_failure_of_many_is_its_own),
    CASE(writes_keep_their_order),
    CASE(a_read_sees_what_was_queued_before),
    CASE(a_lazy_write_is_committed_soon),
    CASE(a_log_row_comes_back),
    CASE(pages_go_both_ways),
    CASE(log_rows_are_removed_and_trimmed),
    CASE(a_write_may_be_repeated),
    CASE(counts_are_kept_with_the_rows),
    CASE(due_rows_come_by_time),
    CASE(a_ref_is_unique_per_peer),
    CASE(words_are_found),
    CASE(owners_are_made_found_and_listed),
    CASE(the_made_owner_takes_rows_of_its_batch),
    CASE(the_server_is_always_an_owner),
    CASE(states_are_set),
    CASE(a_deleted_owner_is_purged_and_its_name_is_free),
    CASE(owners_are_found_by_a_key),
    CASE(committed_rows_survive),
    CASE(closing_keeps_writes_and_cancels_reads),
    CASE(a_second_server_is_kept_out),
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static const char *const modes[] = {
    [RIG_INLINE] = "inline",
    [RIG_SQLITE] = "sqlite",
    [RIG_POSTGRES] = "postgres",
};

static void
no_postgres(void **state)
{
	print_message("JACKDAW_TEST_PG names no database\n");
	skip();
}

/* All cases for each backend. */
int
main(void)
{
	struct arena *arena = arena_make(0);
	struct CMUnitTest tests[3 * CASE_COUNT];
	size_t count = 0;
	int failed;

	for (unsigned mode = 0; mode <= RIG_POSTGRES; mode++) {
		if (mode == RIG_POSTGRES && !rig_has_postgres())
			break;
		for (size_t i = 0; i < CASE_COUNT; i++)
			tests[count++] = (struct CMUnitTest){
			    .name = str_format(
				arena, "%s: %s", modes[mode], cases[i].name)
					.text,
			    .test_func = cases[i].run,
			    .setup_func = setup,
			    .teardown_func = teardown,
			    .initial_state = (void *)(uintptr_t)mode,
			};
	}
	if (!rig_has_postgres())
		tests[count++] = (struct CMUnitTest){
		    .name = "postgres", .test_func = no_postgres};
	failed = _cmocka_run_group_tests("store", tests, count, NULL, NULL);
	arena_free(&arena);
	return failed;
}
