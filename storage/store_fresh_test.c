/* Rows of logs on their way to their places: whatever is asked and done while
 * some are there and some are not, and after a kill, is as if all were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "storage/store_rig.h"

#define OWNERS   5
#define FIRST    2 /* number of the first owner */
#define IDS      60
#define SEEDS    4
#define ACTS     400
#define MANY     150    /* fresh rows, more than a part of a round */
#define LARGE    100000 /* bytes of a value */
#define KILL_ONE 70     /* of so many acts one is a kill */

static const struct store_kind archive = {
    .name = "archive", .shape = STORE_LOG, .flags = KIND_PEER | KIND_TEXT};

static const struct store_kind plain = {.name = "plain", .shape = STORE_MAP};

struct expected { /* a row as it must be; version 0: there is none */
	unsigned version;
	bool has_word;
};

struct play {
	struct rig *rig;
	unsigned short random[3];
	unsigned version;
	struct expected rows[OWNERS][IDS + 1];
};

static unsigned
draw(struct play *play, unsigned count)
{
	return (unsigned)nrand48(play->random) % count;
}

static struct str
peer_of(uint64_t id)
{
	return id % 3 == 0 ? STR("a@b/res") : STR("c@d");
}

/* --- what is done ----------------------------------------------------- */

static void
append_text(struct play *play, unsigned owner, unsigned id, struct str searched)
{
	struct store_write *write = store_write_new(play->rig->store);
	struct expected *expected = &play->rows[owner][id];
	struct log_row row = {.owner = owner + FIRST,
	    .id = id,
	    .time_us = id,
	    .peer = peer_of(id),
	    .text = searched,
	    .value =
		str_format(store_write_arena(write), "%u", ++play->version)};

	store_append(write, &archive, &row);
	store_commit(write, NULL, NULL);
	expected->version = play->version;
	expected->has_word = expected->has_word || searched.len > 0;
}

static void
append(struct play *play, unsigned owner, unsigned id)
{
	append_text(play, owner, id, STR(""));
}

/* With a condition that fails: nothing of the batch is done. */
static void
append_in_vain(struct play *play, unsigned owner, unsigned id)
{
	struct store_write *write = store_write_new(play->rig->store);

	rig_append(write, &archive, owner + FIRST, id, peer_of(id));
	store_put_if(
	    write, owner + FIRST, &plain, STR("none"), STR("value"), 1);
	store_commit(write, NULL, NULL);
}

/* One by one, so that a round has many parts and rows come between them. */
static void
append_many(struct play *play)
{
	for (unsigned i = 0; i < MANY; i++) {
		append(play, draw(play, OWNERS), 1 + draw(play, IDS));
		rig_turn(play->rig);
	}
}

static void
remove_row(struct play *play, unsigned owner, unsigned id)
{
	struct store_write *write = store_write_new(play->rig->store);

	store_log_remove(write, owner + FIRST, &archive, id);
	store_commit(write, NULL, NULL);
	play->rows[owner][id] = (struct expected){0};
}

static void
trim(struct play *play, unsigned owner, unsigned upto)
{
	struct store_write *write = store_write_new(play->rig->store);

	store_log_trim(write, owner + FIRST, &archive, upto);
	store_commit(write, NULL, NULL);
	memset(play->rows[owner], 0, (upto + 1) * sizeof(struct expected));
}

static void
name_word(struct play *play, unsigned owner, unsigned id)
{
	struct store_write *write = store_write_new(play->rig->store);

	store_log_words(write, owner + FIRST, &archive, id, STR("rosemary"));
	store_commit(write, NULL, NULL);
	if (play->rows[owner][id].version != 0)
		play->rows[owner][id].has_word = true;
}

/* --- what is asked ---------------------------------------------------- */

static bool
is_wanted(const struct play *play, unsigned owner, unsigned id,
    struct log_query query)
{
	const struct expected *row = &play->rows[owner][id];

	return row->version != 0 && (query.words.len == 0 || row->has_word) &&
	       (query.peer.len == 0 || str_equal(query.peer, peer_of(id)));
}

static void
check_row(const struct play *play, unsigned owner, const struct log_row *row)
{
	char wanted[16];

	snprintf(
	    wanted, sizeof(wanted), "%u", play->rows[owner][row->id].version);
	RIG_TEXT(row->value, wanted);
	assert_true(str_equal(row->peer, peer_of(row->id)));
}

static void
check_page(
    struct play *play, struct rig *rig, unsigned owner, struct log_query query)
{
	const struct store_page *page;
	size_t at = 0;

	query.owner = owner + FIRST;
	query.kind = &archive;
	query.max = IDS;
	page = rig_page(rig, &query);
	assert_int_equal(page->err, ERR_NONE);
	for (unsigned i = 1; i <= IDS; i++) {
		unsigned id = query.is_backward ? IDS + 1 - i : i;

		if (!is_wanted(play, owner, id, query))
			continue;
		assert_true(at < page->count);
		assert_int_equal(page->rows[at].id, id);
		check_row(play, owner, &page->rows[at++]);
	}
	assert_int_equal(at, page->count);
}

static void
check_ends(struct play *play, unsigned owner)
{
	struct store_count count =
	    rig_count(play->rig, owner + FIRST, &archive);
	unsigned first = 0, last = 0;

	for (unsigned id = 1; id <= IDS; id++) {
		if (play->rows[owner][id].version == 0)
			continue;
		first = first == 0 ? id : first;
		last = id;
	}
	assert_int_equal(count.first_id, first);
	assert_int_equal(count.last_id, last);
}

static void
ask(struct play *play, unsigned owner)
{
	switch (draw(play, 5)) {
	case 0:
		check_ends(play, owner);
		return;
	case 1:
		check_page(play, play->rig, owner,
		    (struct log_query){.is_backward = true});
		return;
	case 2:
		check_page(play, play->rig, owner,
		    (struct log_query){.peer = STR("a@b/res")});
		return;
	case 3:
		check_page(play, play->rig, owner,
		    (struct log_query){.words = STR("rosemary")});
		return;
	default:
		check_page(play, play->rig, owner, (struct log_query){0});
	}
}

/* --- a kill ----------------------------------------------------------- */

/* Writes are done in their order. */
static void
await_writes(struct rig *rig)
{
	assert_int_equal(
	    rig_put(rig, 1, &plain, STR("key"), STR("value")), ERR_NONE);
}

static void
copy_file(const struct rig *rig, const char *suffix)
{
	const char *from =
	    str_format(rig->arena, "%s/db%s", rig->dir, suffix).text;
	const char *to =
	    str_format(rig->arena, "%s/copy%s", rig->dir, suffix).text;
	uv_fs_t copy;

	assert_int_equal(uv_fs_copyfile(NULL, &copy, from, to, 0, NULL), 0);
	uv_fs_req_cleanup(&copy);
}

/* What the files hold at this moment is what the next server finds. The log is
 * too short to be copied into the database meanwhile. */
static void
check_after_kill(struct play *play)
{
	struct rig heir = *play->rig;

	await_writes(play->rig);
	copy_file(play->rig, "");
	copy_file(play->rig, "-wal");
	heir.mode = RIG_INLINE;
	heir.options.is_inline = true;
	heir.options.path = str_format(heir.arena, "%s/copy", heir.dir).text;
	rig_open_all(&heir);
	for (unsigned owner = 0; owner < OWNERS; owner++) {
		check_page(play, &heir, owner, (struct log_query){0});
		check_page(play, &heir, owner,
		    (struct log_query){.words = STR("rosemary")});
	}
	rig_close_all(&heir);
}

/* --- cases ------------------------------------------------------------ */

static void
act(struct play *play)
{
	unsigned owner = draw(play, OWNERS), id = 1 + draw(play, IDS);
	unsigned choice = draw(play, KILL_ONE);

	if (choice == 0)
		check_after_kill(play);
	else if (choice < 4)
		remove_row(play, owner, id);
	else if (choice < 6)
		trim(play, owner, id / 8);
	else if (choice < 8)
		name_word(play, owner, id);
	else if (choice == 8)
		append_text(play, owner, id, STR("rosemary"));
	else if (choice == 9)
		append_many(play);
	else if (choice < 13)
		append_in_vain(play, owner, id);
	else if (choice < 28)
		ask(play, owner);
	else
		append(play, owner, id);
}

static void
rows_are_found_wherever_they_are(void **state)
{
	struct rig *rig = *state;

	for (unsigned short seed = 1; seed <= SEEDS; seed++) {
		struct play play = {.rig = rig, .random = {seed, 2, 3}};

		/* Rounds that are done at once, and in several parts. */
		rig->options.fresh_max = seed % 2 == 0 ? 7 : MANY;
		rig_reopen(rig);
		for (unsigned owner = 0; owner < OWNERS; owner++)
			trim(&play, owner, IDS);
		for (unsigned i = 0; i < ACTS; i++)
			act(&play);
		for (unsigned owner = 0; owner < OWNERS; owner++)
			check_page(&play, rig, owner, (struct log_query){0});
	}
}

static int64_t
count_of(const struct rig *rig, const char *table)
{
	const char *text =
	    str_format(rig->arena, "SELECT count(*) FROM %s", table).text;

	return rig_sqlite_count(rig->options.path, text);
}

static void
rows_wait_until_they_are_many(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};

	rig->options.fresh_max = 20;
	rig_reopen(rig);
	for (unsigned id = 1; id <= 19; id++)
		append(&play, id % OWNERS, id);
	await_writes(rig);
	assert_int_equal(count_of(rig, "logs"), 0);
	append(&play, 0, 20);
	while (count_of(rig, "fresh") > 0)
		rig_run_for(rig, 10);
	assert_int_equal(count_of(rig, "logs"), 20);
	for (unsigned owner = 0; owner < OWNERS; owner++)
		check_page(&play, rig, owner, (struct log_query){0});
}

static enum err
remove_now(struct rig *rig, owner_id owner, uint64_t id)
{
	struct store_write *write = store_write_new(rig->store);

	store_log_remove(write, owner, &archive, id);
	return rig_commit(rig, write);
}

/* Rows of two owners wait, and for that of the first there is no place. */
static void
begin_without_a_place(struct play *play)
{
	struct rig *rig = play->rig;

	rig->options.fresh_max = MANY;
	rig_reopen(rig);
	append(play, 0, 1);
	append(play, 1, 1);
	await_writes(rig);
	rig_sqlite_do(rig->options.path,
	    "CREATE TRIGGER no BEFORE INSERT ON logs WHEN new.owner = 2"
	    " BEGIN SELECT RAISE(ABORT, 'there is no place for it'); END");
}

static void
a_row_without_a_place_harms_no_other(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};

	begin_without_a_place(&play);
	assert_int_not_equal(remove_now(rig, FIRST, 1), ERR_NONE);
	append(&play, 1, 2);
	assert_int_equal(remove_now(rig, FIRST + 1, 1), ERR_NONE);
	play.rows[1][1].version = 0;
	check_page(&play, rig, 1, (struct log_query){0});
	rig_sqlite_do(rig->options.path, "DROP TRIGGER no");
	check_page(&play, rig, 0, (struct log_query){0});
}

struct asked_page {
	struct store_page page;
	unsigned calls;
};

static void
page_done(struct store_page *page)
{
	container_of(page, struct asked_page, page)->calls++;
}

static void
ask_page(struct rig *rig, struct asked_page *asked, owner_id owner)
{
	const struct log_query query = {
	    .owner = owner, .kind = &archive, .max = IDS};

	store_page(rig->store, &asked->page, rig->arena, &query, page_done);
}

static void
a_read_does_not_fail_with_another(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};
	struct asked_page bad = {0}, good = {0};

	begin_without_a_place(&play);
	ask_page(rig, &bad, FIRST);
	ask_page(rig, &good, FIRST + 1);
	rig_await(rig, &bad.calls);
	rig_await(rig, &good.calls);
	assert_int_not_equal(bad.page.err, ERR_NONE);
	assert_int_equal(good.page.err, ERR_NONE);
	assert_int_equal(good.page.count, 1);
	rig_sqlite_do(rig->options.path, "DROP TRIGGER no");
}

/* A round of them has many parts, and so has its end. */
static void
large_rows_are_placed(void **state)
{
	struct rig *rig = *state;
	struct str value = {arena_alloc(rig->arena, LARGE), LARGE};
	const struct store_page *page;

	rig->options.fresh_max = IDS;
	rig_reopen(rig);
	for (unsigned id = 1; id <= IDS; id++) {
		struct store_write *write = store_write_new(rig->store);
		const struct log_row row = {.owner = FIRST + id % 2,
		    .id = id,
		    .peer = peer_of(id),
		    .value = value};

		store_append(write, &archive, &row);
		assert_int_equal(rig_commit(rig, write), ERR_NONE);
	}
	while (count_of(rig, "fresh") > 0)
		rig_run_for(rig, 10);
	assert_int_equal(count_of(rig, "logs"), IDS);
	page = rig_page(rig,
	    &(struct log_query){.owner = FIRST, .kind = &archive, .max = IDS});
	assert_int_equal(page->count, IDS / 2);
	assert_int_equal(page->rows[IDS / 2 - 1].value.len, LARGE);
}

static void
a_full_disk_is_survived(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};
	struct log_query query = {.owner = FIRST, .kind = &archive, .max = IDS};

	rig->options.fresh_max = MANY;
	rig_reopen(rig);
	append(&play, 1, 1);
	check_page(&play, rig, 1, (struct log_query){0});
	append(&play, 0, 1);
	await_writes(rig);
	rig_limit_files(4096);
	assert_int_not_equal(rig_page(rig, &query)->err, ERR_NONE);
	assert_true(store_is_up(rig->store));
	check_page(&play, rig, 1, (struct log_query){0});
	assert_int_not_equal(remove_now(rig, FIRST, 1), ERR_NONE);
	rig_limit_files(0);
	check_page(&play, rig, 0, (struct log_query){0});
}

static void
what_is_no_row_is_told(void **state)
{
	struct rig *rig = *state;
	struct str why = STR_NONE;

	rig_close_all(rig);
	rig_sqlite_do(
	    rig->options.path, "INSERT INTO fresh (rows) VALUES (x'0102')");
	assert_null(storage_open(rig->arena, &rig->options, &why));
	assert_non_null(strstr(why.text, "is damaged: use a backup"));
	rig_sqlite_do(rig->options.path, "DELETE FROM fresh");
	rig_open_all(rig);
}

/* Marks that are left when somebody empties the table. */
static void
marks_of_nothing_are_forgotten(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};

	rig_close_all(rig);
	rig_sqlite_do(rig->options.path, "INSERT INTO settled VALUES (2, 100)");
	rig->options.fresh_max = MANY;
	rig_open_all(rig);
	append(&play, 0, 1);
	check_after_kill(&play);
}

static void
none_wait_when_it_is_closed(void **state)
{
	struct rig *rig = *state;
	struct play play = {.rig = rig, .random = {1, 2, 3}};

	append(&play, 0, 1);
	append(&play, 1, 1);
	rig_close_all(rig);
	assert_int_equal(count_of(rig, "fresh"), 0);
	rig_open_all(rig);
	check_page(&play, rig, 1, (struct log_query){0});
}

int
main(void)
{
	static const struct rig_case cases[] = {
	    RIG_CASE_IN(rows_are_found_wherever_they_are, 1u << RIG_SQLITE),
	    RIG_CASE_IN(rows_wait_until_they_are_many, 1u << RIG_SQLITE),
	    RIG_CASE_IN(a_row_without_a_place_harms_no_other, 1u << RIG_SQLITE),
	    RIG_CASE_IN(a_read_does_not_fail_with_another, 1u << RIG_SQLITE),
	    RIG_CASE_IN(large_rows_are_placed, 1u << RIG_SQLITE),
	    RIG_CASE_IN(a_full_disk_is_survived, 1u << RIG_SQLITE),
	    RIG_CASE_IN(what_is_no_row_is_told, 1u << RIG_SQLITE),
	    RIG_CASE_IN(marks_of_nothing_are_forgotten, 1u << RIG_SQLITE),
	    RIG_CASE_IN(none_wait_when_it_is_closed, 1u << RIG_SQLITE),
	};

	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}
