/* The contract that every backend keeps: ends, losses and lateness. */
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
static const struct store_kind log_counted = {
    .name = "log-counted", .shape = STORE_LOG, .flags = KIND_COUNTED};

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
committed_rows_survive(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_fill_log(rig, &log_counted, 10);
	rig_reopen(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	assert_int_equal(rig_count(rig, 2, &log_counted).count, 10);
}

static void
closing_keeps_writes_and_cancels_reads(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	struct rig_commit kept;
	struct seen seen = {.calls = 0};

	store_put(write, 2, &plain, STR("k"), STR("v"));
	rig_start(&kept, write);
	store_get(rig->store, &seen.get, rig->arena,
	    &(struct map_key){2, &plain, STR("k")}, seen_done);
	rig_close_store(rig);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(kept.commit.err, ERR_NONE);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.get.err, ERR_CANCELED);
	rig_open_store(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
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

static const struct rig_case cases[] = {
    RIG_CASE(committed_rows_survive),
    RIG_CASE(closing_keeps_writes_and_cancels_reads),
    RIG_CASE(a_second_server_is_kept_out),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}
