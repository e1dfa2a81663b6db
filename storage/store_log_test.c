/* The contract that every backend keeps: logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "storage/store_rig.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})
#define HOST           STR("localhost")

static const struct store_kind counted = {
    .name = "counted", .shape = STORE_MAP, .flags = KIND_COUNTED};
static const struct store_kind log_plain = {
    .name = "log-plain", .shape = STORE_LOG};
static const struct store_kind log_peer = {
    .name = "log-peer", .shape = STORE_LOG, .flags = KIND_PEER};
static const struct store_kind log_counted = {
    .name = "log-counted", .shape = STORE_LOG, .flags = KIND_COUNTED};
static const struct store_kind log_due = {
    .name = "log-due", .shape = STORE_LOG, .flags = KIND_DUE};
static const struct store_kind log_ref = {.name = "log-ref",
    .shape = STORE_LOG,
    .flags = KIND_REF | KIND_COUNTED | KIND_PEER};
static const struct store_kind log_text = {
    .name = "log-text", .shape = STORE_LOG, .flags = KIND_TEXT};

static void
a_log_row_comes_back(void **state)
{
	struct rig *rig = *state;
	struct log_query query = {.owner = 2, .kind = &log_plain, .max = 10};
	const struct store_page *page;

	rig_fill_log(rig, &log_plain, 1);
	page = rig_page(rig, &query);
	assert_int_equal(page->err, ERR_NONE);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->rows[0].owner, 2);
	assert_int_equal(page->rows[0].id, 1);
	assert_true(page->rows[0].nonce == UINT64_MAX - 1);
	assert_int_equal(page->rows[0].time_us, 10);
	RIG_TEXT(page->rows[0].peer, "c@d");
	RIG_TEXT(page->rows[0].ref, "");
	RIG_TEXT(page->rows[0].value, "value");
	query.owner = 3;
	assert_int_equal(rig_page(rig, &query)->count, 0);
}

struct page_case {
	struct log_query query;
	uint64_t ids[5];
	bool is_more;
};

static void
check_page(struct rig *rig, const struct store_kind *kind,
    const struct page_case *wanted)
{
	struct log_query query = wanted->query;
	const struct store_page *page;
	size_t count = 0;

	query.owner = 2;
	query.kind = kind;
	page = rig_page(rig, &query);
	assert_int_equal(page->err, ERR_NONE);
	while (count < 5 && wanted->ids[count] != 0) {
		assert_true(count < page->count);
		assert_int_equal(page->rows[count].id, wanted->ids[count]);
		count++;
	}
	assert_int_equal(page->count, count);
	assert_int_equal(page->is_more, wanted->is_more);
}

static void
pages_go_both_ways(void **state)
{
	static const struct page_case cases[] = {
	    {{.max = 3}, {1, 2, 3}, true},
	    {{.max = 3, .after = 3}, {4, 5, 6}, true},
	    {{.max = 3, .after = 7}, {8, 9, 10}, false},
	    {{.max = 3, .after = 10}, {0}, false},
	    {{.max = 3, .is_backward = true}, {10, 9, 8}, true},
	    {{.max = 3, .is_backward = true, .before = 4}, {3, 2, 1}, false},
	    {{.max = 3, .before = 3}, {1, 2}, false},
	    {{.max = 5, .after = 2, .before = 6}, {3, 4, 5}, false},
	    {{.max = 2, .after = 2, .before = 6, .is_backward = true}, {5, 4},
		true},
	};
	struct rig *rig = *state;

	rig_fill_log(rig, &log_plain, 10);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_page(rig, &log_plain, &cases[i]);
}

static void
pages_of_one_peer_go_both_ways(void **state)
{
	static const struct page_case cases[] = {
	    {{.max = 2, .peer = BYTES("a@b")}, {2, 4}, true},
	    {{.max = 3, .peer = BYTES("a@b"), .after = 6}, {8, 10}, false},
	    {{.max = 2, .peer = BYTES("a@b"), .before = 8, .is_backward = true},
		{6, 4}, true},
	    {{.max = 5, .peer = BYTES("a@b"), .after = 2, .before = 9},
		{4, 6, 8}, false},
	    {{.max = 2, .peer = BYTES("a@b/res")}, {2, 4}, true},
	    {{.max = 2, .peer = BYTES("a@b/re")}, {0}, false},
	    {{.max = 2, .peer = BYTES("a@")}, {0}, false},
	    {{.max = 2, .peer = BYTES("c@d/res")}, {0}, false},
	    {{.max = 2, .peer = BYTES("c@d"), .is_backward = true}, {9, 7},
		true},
	    {{.max = 9, .peer = BYTES("e@f/a")}, {11}, false},
	    {{.max = 9, .peer = BYTES("e@f")}, {11, 12}, false},
	};
	struct rig *rig = *state;
	struct store_write *write;

	rig_fill_log(rig, &log_peer, 10);
	write = store_write_new(rig->store);
	rig_append(write, &log_peer, 2, 11, STR("e@f/a"));
	rig_append(write, &log_peer, 2, 12, STR("e@f/a/b"));
	rig_append(write, &log_peer, 3, 13, STR("e@f/a"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_page(rig, &log_peer, &cases[i]);
}

static void
log_rows_are_removed_and_trimmed(void **state)
{
	struct rig *rig = *state;
	struct store_write *write;
	struct store_count count;

	rig_fill_log(rig, &log_counted, 10);
	write = store_write_new(rig->store);
	store_log_remove(write, 2, &log_counted, 5);
	store_log_remove(write, 2, &log_counted, 99);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.count, 9);
	assert_int_equal(count.first_id, 1);
	assert_int_equal(count.last_id, 10);

	write = store_write_new(rig->store);
	store_log_trim(write, 2, &log_counted, 7);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &log_counted);
	assert_int_equal(count.count, 3);
	assert_int_equal(count.first_id, 8);

	write = store_write_new(rig->store);
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

	rig_fill_log(rig, &log_counted, 10);
	rig_fill_log(rig, &log_counted, 10);
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
	struct store_write *write = store_write_new(rig->store);
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

	write = store_write_new(rig->store);
	store_put(write, 2, &counted, STR("a1"), STR("12345"));
	store_remove(write, 2, &counted, STR("b"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	count = rig_count(rig, 2, &counted);
	assert_int_equal(count.count, 2);
	assert_int_equal(count.bytes, 12);

	write = store_write_new(rig->store);
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
	struct store_write *write = store_write_new(rig->store);
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

	write = store_write_new(rig->store);
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
	struct store_write *write = store_write_new(rig->store);
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
	RIG_TEXT(page->rows[1].ref, "r");
	query.peer = STR("a@b");
	page = rig_page(rig, &query);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->rows[0].id, 4);
	assert_int_equal(rig_count(rig, 2, &log_ref).count, 5);
}

static void
append_text(struct rig *rig, owner_id owner, uint64_t id, struct str text)
{
	struct store_write *write = store_write_new(rig->store);
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
	write = store_write_new(rig->store);
	store_log_remove(write, 2, &log_text, 1);
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	query.words = STR("romeo");
	assert_int_equal(rig_page(rig, &query)->count, 0);

	/* The words of a row may change; without a row there are none. */
	write = store_write_new(rig->store);
	store_log_words(write, 2, &log_text, 1, STR("a pilot fish"));
	store_log_words(write, 2, &log_text, 2, STR("a pilot fish"));
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	query.words = STR("not");
	assert_int_equal(rig_page(rig, &query)->count, 0);
	query.words = STR("pilot");
	assert_int_equal(rig_page(rig, &query)->count, 1);
}

static void
the_oldest_rows_go(void **state)
{
	struct rig *rig = *state;
	struct log_limit limit = {
	    .owner = 2, .kind = &log_counted, .before = 5, .max = 3};

	rig_fill_log(rig, &log_counted, 10);
	rig_fill_log(rig, &log_plain, 10);
	assert_int_equal(rig_limit(rig, &limit), ERR_NONE);
	assert_int_equal(rig_count(rig, 2, &log_counted).first_id, 4);
	assert_int_equal(rig_limit(rig, &limit), ERR_NONE);
	assert_int_equal(rig_limit(rig, &limit), ERR_NOT_FOUND);
	assert_int_equal(rig_count(rig, 2, &log_counted).first_id, 5);

	limit.keep = 6;
	assert_int_equal(rig_limit(rig, &limit), ERR_NOT_FOUND);
	limit.keep = 7;
	assert_int_equal(rig_limit(rig, &limit), ERR_NOT_FOUND);
	limit.keep = 4;
	assert_int_equal(rig_limit(rig, &limit), ERR_NONE);
	assert_int_equal(rig_count(rig, 2, &log_counted).first_id, 7);
	limit.before = 9;
	assert_int_equal(rig_limit(rig, &limit), ERR_NONE);
	assert_int_equal(rig_count(rig, 2, &log_counted).first_id, 9);
	limit.before = 0;
	limit.keep = 1;
	assert_int_equal(rig_limit(rig, &limit), ERR_NONE);
	assert_int_equal(rig_count(rig, 2, &log_counted).count, 1);
	assert_int_equal(rig_count(rig, 2, &log_plain).last_id, 10);
	assert_int_equal(rig_count(rig, 2, &log_plain).first_id, 1);
}

static void
append_one(
    struct rig *rig, struct rig_commit *wait, uint64_t id, struct str value)
{
	struct store_write *write = store_write_new(rig->store);

	store_append(write, &log_counted,
	    &(struct log_row){.owner = 2, .id = id, .value = value});
	rig_start(wait, write);
}

/* Also those that share a commit, and a statement. */
static void
rows_of_many_batches_keep_their_order(void **state)
{
	struct rig *rig = *state;
	const struct log_query query = {
	    .owner = 2, .kind = &log_counted, .max = 10};
	struct rig_commit waits[4] = {0};
	struct store_write *trim = store_write_new(rig->store);
	const struct store_page *page;

	append_one(rig, &waits[0], 1, STR("gone"));
	store_log_trim(trim, 2, &log_counted, 1);
	rig_start(&waits[1], trim);
	append_one(rig, &waits[2], 2, STR("first"));
	append_one(rig, &waits[3], 2, STR("second"));
	for (size_t i = 0; i < 4; i++) {
		rig_await(rig, &waits[i].calls);
		assert_int_equal(waits[i].commit.err, ERR_NONE);
	}
	page = rig_page(rig, &query);
	assert_int_equal(page->count, 1);
	RIG_TEXT(page->rows[0].value, "second");
	assert_int_equal(rig_count(rig, 2, &log_counted).bytes, 6);
}

static void
a_batch_may_replace_its_own_row(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	const struct log_query query = {
	    .owner = 2, .kind = &log_plain, .max = 10};
	const struct store_page *page;

	store_append(write, &log_plain,
	    &(struct log_row){.owner = 2, .id = 1, .value = STR("first")});
	store_append(write, &log_plain,
	    &(struct log_row){.owner = 2, .id = 1, .value = STR("second")});
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	page = rig_page(rig, &query);
	assert_int_equal(page->count, 1);
	RIG_TEXT(page->rows[0].value, "second");
}

/* More than an index of words has room for: then not all of them are. */
static void
a_text_of_any_length_is_searched(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	const struct log_query query = {.owner = 2,
	    .kind = &log_text,
	    .words = STR("nightingale"),
	    .max = 9};
	struct buf text = {0};

	buf_add(&text, STR("nightingale"));
	for (unsigned i = 0; i < 300000; i++)
		buf_add_format(&text, " \xc3\xa9%x", i);
	store_append(write, &log_text,
	    &(struct log_row){.owner = 2,
		.id = 1,
		.value = STR("v"),
		.text = buf_str(&text)});
	assert_int_equal(rig_commit(rig, write), ERR_NONE);
	assert_int_equal(rig_page(rig, &query)->count, 1);
	buf_deinit(&text);
}

static const struct rig_case cases[] = {
    RIG_CASE(a_log_row_comes_back),
    RIG_CASE(pages_go_both_ways),
    RIG_CASE(pages_of_one_peer_go_both_ways),
    RIG_CASE(log_rows_are_removed_and_trimmed),
    RIG_CASE(a_write_may_be_repeated),
    RIG_CASE(counts_are_kept_with_the_rows),
    RIG_CASE(due_rows_come_by_time),
    RIG_CASE(a_ref_is_unique_per_peer),
    RIG_CASE(words_are_found),
    RIG_CASE(a_text_of_any_length_is_searched),
    RIG_CASE(the_oldest_rows_go),
    RIG_CASE(rows_of_many_batches_keep_their_order),
    RIG_CASE(a_batch_may_replace_its_own_row),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}
