#include "server/login.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/address.h"
#include "server/keys_counts.h"
#include "server/metrics.h"
#include "server/settings.h"
#include "server/setup.h"

static uint64_t
setting_ms(const struct account *account, const struct setting *setting)
{
	return config_ms(
	    setup_config(account->host->setup), account->host->index, setting);
}

static unsigned
setting_int(const struct account *account, const struct setting *setting)
{
	return (unsigned)config_int(
	    setup_config(account->host->setup), account->host->index, setting);
}

/* --- the brake ---------------------------------------------------------- */

static unsigned
delay_ms(struct account *account)
{
	struct owner *owner = &account->owner;

	if (clock_mono_ms() - owner->failed_ms >
	    setting_ms(account, SETTING(AUTH_FORGET_AFTER)))
		owner->failures = 0;
	return address_delay_ms(owner->failures + 1,
	    setting_int(account, SETTING(AUTH_FREE_FAILURES)),
	    (unsigned)setting_ms(account, SETTING(AUTH_LONGEST_DELAY)));
}

void
login_count(struct account *account, struct post *letter)
{
	struct owner *owner = &account->owner;

	/* A success forgives none: a guesser would learn that there is such an
	 * account, and go on unslowed whenever its clients come back. */
	if (!letter->login->is_success) {
		owner->failures++;
		owner->failed_ms = clock_mono_ms();
	}
	post_free(&letter);
}

/* --- keys: read for each login, for there are many accounts -------------- */

/* Lives in the letter. */
struct keys_find {
	struct join join;
	struct store_owner owner;
	struct store_scan counts, rows;
	struct account *account;
	struct post *letter;
};

static void owner_found(struct store_owner *);
static void counts_found(struct store_scan *);
static void all_found(struct join *);
static void rows_found(struct store_scan *);

void
login_answer(struct account *account, struct post *letter)
{
	struct keys_find *find = arena_new(letter->arena, struct keys_find);
	struct owner *owner = &account->owner;
	struct store *store = owner->shard->store;

	find->account = account;
	find->letter = letter;
	owner_pin(owner);
	join_init(&find->join, all_found);
	join_wait(&find->join);
	store_owner_find(store, &find->owner, letter->arena,
	    jid_domain(owner->jid), jid_local(owner->jid), owner_found);
	join_wait(&find->join);
	keys_counts_find(store, &find->counts, letter->arena,
	    owner->shard->server->secret, owner->jid, counts_found);
	join_wait_done(&find->join, ERR_NONE);
}

static void
owner_found(struct store_owner *wait)
{
	struct keys_find *find = container_of(wait, struct keys_find, owner);

	join_wait_done(
	    &find->join, wait->err == ERR_NOT_FOUND ? ERR_NONE : wait->err);
}

static void
counts_found(struct store_scan *scan)
{
	struct keys_find *find = container_of(scan, struct keys_find, counts);

	join_wait_done(&find->join, scan->err);
}

/* That the database is away was told. */
static void
count_failure(const struct owner *owner, enum err err)
{
	metric_add(owner->shard, METRIC_STORE_ERRORS, 1);
	log_at(store_is_up(owner->shard->store) ? LOG_WARN : LOG_DEBUG,
	    &owner->log, "has keys that could not be read: %s", err_text(err));
}

static void
send_keys(struct keys_find *find, struct keys *keys)
{
	struct owner *owner = &find->account->owner;
	struct post *letter = find->letter;

	if (keys->err != ERR_NONE && keys->err != ERR_CANCELED)
		count_failure(owner, keys->err);
	letter->kind = POST_KEYS;
	letter->keys = keys;
	post_send(owner->shard, letter);
	owner_unpin(owner);
}

/* Also for who does not exist, so that it takes as long. */
static void
all_found(struct join *join)
{
	struct keys_find *find = container_of(join, struct keys_find, join);
	struct arena *arena = find->letter->arena;
	struct keys *keys;

	if (join->first != ERR_NONE) {
		keys = arena_new(arena, struct keys);
		keys->err = join->first;
		send_keys(find, keys);
		return;
	}
	store_scan(find->account->owner.shard->store, &find->rows, arena,
	    &(struct map_query){.owner = find->owner.row.id,
		.kind = &keys_kind,
		.max = KEY_HASH_COUNT},
	    rows_found);
}

static void
fill(const struct keys_find *find, struct keys *keys)
{
	struct account *account = find->account;
	struct owner *owner = &account->owner;
	struct key_counts counts;

	if (!keys_counts_read(&find->counts, &counts))
		for (unsigned i = 0; i < KEY_HASH_COUNT; i++)
			counts.of[i] =
			    setting_int(account, SETTING(AUTH_ITERATIONS));
	keys_fill(find->letter->arena, owner->shard->server->secret,
	    jid_bare(owner->jid), &counts, keys);
}

static void
rows_found(struct store_scan *scan)
{
	struct keys_find *find = container_of(scan, struct keys_find, rows);
	struct account *account = find->account;
	struct arena *arena = find->letter->arena;
	struct keys *keys = arena_new(arena, struct keys);

	if (!keys_read(arena, scan->rows, scan->count, keys))
		log_error(&account->owner.log, "has keys that are damaged");
	fill(find, keys);
	keys->err = scan->err;
	keys->exists = find->owner.err == ERR_NONE;
	keys->is_disabled =
	    keys->exists && find->owner.row.state == OWNER_DISABLED;
	keys->delay_ms = delay_ms(account);
	send_keys(find, keys);
}
