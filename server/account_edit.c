#include <stdlib.h>

#include "base/err.h"
#include "server/account.h"
#include "server/outbox.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

#define PURGE_ROWS  500
#define DELETED_MAX 1000

/* A change of the account that waits for its commit; in an arena of its own. */
struct edit {
	struct store_commit commit;
	struct arena *arena;
	struct account *account;
	uint64_t keep; /* number of the session that stays, or 0 */
	bool is_disabled;
	bool is_holding;
	/* Of a password. */
	struct keys_job keys;
	struct store_commit *wait;
	void (*wait_done)(struct store_commit *);
};

static void edit_password_done(struct store_commit *);
static void edit_state_done(struct store_commit *);
static void edit_removed(struct store_commit *);

static struct edit *
edit_new(struct account *account)
{
	struct arena *arena = arena_make(0);
	struct edit *edit = arena_new(arena, struct edit);

	edit->arena = arena;
	edit->account = account;
	owner_pin(&account->owner);
	return edit;
}

static void
edit_free(struct edit *edit)
{
	struct arena *arena = edit->arena;

	owner_unpin(&edit->account->owner);
	arena_free(&arena);
}

/* What comes for the account waits, so that nothing overtakes the edit. */
static void
hold(struct edit *edit)
{
	if (edit->account->owner.stage != OWNER_READY)
		return;
	owner_hold(&edit->account->owner);
	edit->is_holding = true;
}

static void
resume(struct edit *edit)
{
	if (edit->is_holding)
		owner_resume(&edit->account->owner);
	edit->is_holding = false;
}

static unsigned
iterations(const struct setup *setup, const struct host *host)
{
	return (unsigned)config_int(
	    setup_config(setup), host->index, SETTING(AUTH_ITERATIONS));
}

/* --- password ----------------------------------------------------------- */

static void password_keys_made(struct keys_job *);

void
account_set_password(struct account *account, struct str password,
    const struct session *keep, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	struct edit *edit = edit_new(account);

	edit->keep = keep == NULL ? 0 : keep->number;
	edit->wait = wait;
	edit->wait_done = done;
	hold(edit);
	keys_job_start(&edit->keys, account->owner.shard, edit->arena, password,
	    iterations(account->owner.shard->setup, account->host),
	    password_keys_made);
}

static void
password_keys_made(struct keys_job *job)
{
	struct edit *edit = container_of(job, struct edit, keys);
	struct account *account = edit->account;
	struct shard *shard = account->owner.shard;
	struct store_write *write;

	resume(edit);
	if (shard->store == NULL) {
		edit->wait->err = ERR_CANCELED;
		edit->wait_done(edit->wait);
		edit_free(edit);
		return;
	}
	write = store_write_new(shard->store);
	keys_put(write, account->owner.id, &job->keys);
	store_also(write, &edit->commit, edit_password_done);
	store_commit(write, edit->wait, edit->wait_done);
}

static void
edit_password_done(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);
	struct account *account = edit->account;

	if (commit->err == ERR_NONE && !account->owner.is_detached)
		account_close_sessions(account,
		    session_of_number(account, edit->keep), STREAM_ERR_RESET);
	edit_free(edit);
}

/* --- switching off and on ----------------------------------------------- */

void
account_set_disabled(struct account *account, bool is_disabled,
    struct store_commit *wait, void (*done)(struct store_commit *))
{
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct edit *edit = edit_new(account);

	edit->is_disabled = is_disabled;
	store_owner_set_state(write, account->owner.id,
	    is_disabled ? OWNER_DISABLED : OWNER_ACTIVE);
	store_also(write, &edit->commit, edit_state_done);
	store_commit(write, wait, done);
}

static void
edit_state_done(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);
	struct account *account = edit->account;

	if (commit->err == ERR_NONE && !account->owner.is_detached) {
		account->owner.state =
		    edit->is_disabled ? OWNER_DISABLED : OWNER_ACTIVE;
		if (edit->is_disabled)
			account_close_sessions(
			    account, NULL, STREAM_ERR_NOT_AUTHORIZED);
	}
	edit_free(edit);
}

/* --- making ------------------------------------------------------------- */

static void
account_made(struct store_commit *commit)
{
	struct account_make *make =
	    container_of(commit, struct account_make, commit);

	make->err = commit->err;
	if (commit->err == ERR_NONE)
		owner_forget_absent(make->shard, make->jid);
	make->done(make);
}

static void
write_account(struct account_make *make, const struct keys *keys)
{
	struct shard *shard = make->shard;
	const struct host *host =
	    setup_host(shard->setup, jid_domain(make->jid));
	struct store_write *write;

	if (host == NULL || shard->store == NULL) {
		make->err = host == NULL ? ERR_NOT_FOUND : ERR_CANCELED;
		make->done(make);
		return;
	}
	write = store_write_new(shard->store);
	store_owner_make(write, host->name, jid_local(make->jid), &make->id);
	keys_put(write, 0, keys);
	store_commit(write, &make->commit, account_made);
}

static void
account_keys_made(struct keys_job *job)
{
	struct account_make *make =
	    container_of(job, struct account_make, keys);
	struct arena *arena = job->arena;

	write_account(make, &job->keys);
	arena_free(&arena);
}

void
account_make(struct shard *shard, struct account_make *make,
    const struct jid *bare, struct str password,
    void (*done)(struct account_make *))
{
	const struct host *host = setup_host(shard->setup, jid_domain(bare));

	shard_must_be_current(shard);
	must(host != NULL && shard_of(shard->server, bare) == shard);
	make->shard = shard;
	make->jid = bare;
	make->done = done;
	keys_job_start(&make->keys, shard, arena_make(0), password,
	    iterations(shard->setup, host), account_keys_made);
}

/* --- removing ----------------------------------------------------------- */

static void purge_done(struct store_commit *);

/* Nobody waits: what goes wrong is tried again at the next start. */
struct purge {
	struct store_commit commit;
	struct shard *shard;
	owner_id owner;
};

static void
purge_step(struct purge *step)
{
	store_purge(step->shard->store, &step->commit, step->owner, PURGE_ROWS,
	    purge_done);
}

static void
purge_done(struct store_commit *commit)
{
	struct purge *step = container_of(commit, struct purge, commit);

	if (commit->err == ERR_NONE) {
		purge_step(step);
		return;
	}
	if (commit->err != ERR_NOT_FOUND)
		log_warn(&log_server, "rows of a removed account remain: %s",
		    err_text(commit->err));
	free(step);
}

static void
purge(struct shard *shard, owner_id owner)
{
	struct purge *step = calloc(1, sizeof(*step));

	must(step != NULL);
	step->shard = shard;
	step->owner = owner;
	purge_step(step);
}

/* Ends the account in memory: streams are told, hooks run, letters find it no
 * more. */
void
account_end(struct account *account, enum stream_err err)
{
	account_close_sessions(account, NULL, err);
	session_refuse_binds(account);
	session_each (session, account)
		session_end(session);
	owner_detach(&account->owner);
}

void
account_remove(struct account *account, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct edit *edit = edit_new(account);

	account->is_leaving = true;
	hold(edit);
	store_owner_set_state(write, account->owner.id, OWNER_DELETED);
	hook_removed(account, write);
	store_also(write, wait, done);
	store_commit(write, &edit->commit, edit_removed);
}

static void
edit_removed(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);
	struct account *account = edit->account;
	struct shard *shard = account->owner.shard;

	account->is_leaving = commit->err == ERR_NONE;
	list_each (letter, &account->farewells, struct post, link) {
		list_remove(&letter->link);
		if (account->is_leaving)
			post_send(shard, letter);
		else
			post_free(&letter);
	}
	if (account->is_leaving) {
		purge(shard, account->owner.id);
		account_end(account, STREAM_ERR_NOT_AUTHORIZED);
	}
	resume(edit);
	edit_free(edit);
}

/* --- at the start ------------------------------------------------------- */

static void deleted_found(struct store_owners *);

struct deleted {
	struct store_owners owners;
	struct arena *arena;
	struct shard *shard;
};

void
account_purge_start(struct shard *shard)
{
	struct arena *arena = arena_make(0);
	struct deleted *deleted = arena_new(arena, struct deleted);

	deleted->arena = arena;
	deleted->shard = shard;
	store_owner_deleted(
	    shard->store, &deleted->owners, arena, DELETED_MAX, deleted_found);
}

static void
deleted_found(struct store_owners *owners)
{
	struct deleted *deleted = container_of(owners, struct deleted, owners);
	struct arena *arena = deleted->arena;

	if (owners->err != ERR_NONE)
		log_warn(&log_server, "removed accounts cannot be listed: %s",
		    err_text(owners->err));
	for (size_t i = 0; owners->err == ERR_NONE && i < owners->count; i++)
		purge(deleted->shard, owners->rows[i].id);
	arena_free(&arena);
}
