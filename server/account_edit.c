#include "base/clock.h"
#include "base/err.h"
#include "server/account.h"
#include "server/kept.h"
#include "server/keys_counts.h"
#include "server/outbox.h"
#include "server/purge.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

/* A change of the account that waits for its commit; in an arena of its own. */
struct edit {
	struct store_commit commit;
	struct arena *arena;
	struct account *account;
	uint64_t keep; /* number of the session that stays, or 0 */
	bool has_state, is_disabled;
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

/* Keys are made on another thread: they may come when the store is over. */
static bool
can_write(const struct shard *shard)
{
	return shard->store != NULL && !store_is_over(shard->store);
}

/* --- password ----------------------------------------------------------- */

static void password_keys_made(struct keys_job *);

static struct edit *
make_password_keys(struct account *account, struct str password,
    struct store_commit *wait, void (*done)(struct store_commit *))
{
	struct edit *edit = edit_new(account);

	edit->wait = wait;
	edit->wait_done = done;
	hold(edit);
	keys_job_start(&edit->keys, account->owner.shard, edit->arena, password,
	    iterations(account->owner.shard->setup, account->host),
	    password_keys_made);
	return edit;
}

void
account_set_password(struct account *account, struct str password,
    const struct session *keep, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	struct edit *edit = make_password_keys(account, password, wait, done);

	edit->keep = keep == NULL ? 0 : keep->number;
}

void
account_set_both(struct account *account, struct str password, bool is_disabled,
    struct store_commit *wait, void (*done)(struct store_commit *))
{
	struct edit *edit = make_password_keys(account, password, wait, done);

	edit->has_state = true;
	edit->is_disabled = is_disabled;
}

static void
put_state(struct edit *edit, struct store_write *write)
{
	store_owner_set_state(write, edit->account->owner.id,
	    edit->is_disabled ? OWNER_DISABLED : OWNER_ACTIVE);
}

static void
password_keys_made(struct keys_job *job)
{
	struct edit *edit = container_of(job, struct edit, keys);
	struct account *account = edit->account;
	struct shard *shard = account->owner.shard;
	struct store_write *write;

	if (!can_write(shard)) {
		edit->wait->err = ERR_CANCELED;
		edit->wait_done(edit->wait);
		edit_free(edit);
		return;
	}
	resume(edit);
	write = store_write_new(shard->store);
	keys_put(write, account->owner.id, &job->keys);
	keys_counts_put(
	    write, shard->server->secret, account_jid(account), &job->keys);
	if (edit->has_state)
		put_state(edit, write);
	store_also(write, &edit->commit, edit_password_done);
	store_commit(write, edit->wait, edit->wait_done);
}

static void
state_kept(const struct edit *edit, enum err err)
{
	struct account *account = edit->account;

	if (err == ERR_NONE && !account->owner.is_detached) {
		account->owner.state =
		    edit->is_disabled ? OWNER_DISABLED : OWNER_ACTIVE;
		if (edit->is_disabled)
			account_close_sessions(
			    account, NULL, STREAM_ERR_NOT_AUTHORIZED);
	} else if (err == ERR_UNCERTAIN) {
		owner_reload(&account->owner);
	}
}

static void
edit_password_done(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);
	struct account *account = edit->account;

	/* Who may have an old password has to say the new one. */
	if ((commit->err == ERR_NONE || commit->err == ERR_UNCERTAIN) &&
	    !account->owner.is_detached) {
		account->password_ms = clock_mono_ms();
		account_close_sessions(account,
		    session_of_number(account, edit->keep), STREAM_ERR_RESET);
	}
	if (edit->has_state)
		state_kept(edit, commit->err);
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
	put_state(edit, write);
	store_also(write, &edit->commit, edit_state_done);
	store_commit(write, wait, done);
}

static void
edit_state_done(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);

	state_kept(edit, commit->err);
	edit_free(edit);
}

/* --- making ------------------------------------------------------------- */

const struct store_kind guest_kind = {
    .name = "guest", .shape = STORE_MAP, .flags = KIND_REVERSE};

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

/* keys NULL: a guest's, which nobody can log in to. */
static void
write_account(
    struct account_make *make, struct str host, const struct keys *keys)
{
	struct store_write *write = store_write_new(make->shard->store);

	store_owner_make(write, host, jid_local(make->jid), &make->id);
	if (keys != NULL) {
		keys_put(write, 0, keys);
		keys_counts_put(
		    write, make->shard->server->secret, make->jid, keys);
	} else {
		store_put(write, 0, &guest_kind, GUEST_KEY, STR_NONE);
	}
	store_commit(write, &make->commit, account_made);
}

static void
account_keys_made(struct keys_job *job)
{
	struct account_make *make =
	    container_of(job, struct account_make, keys);
	struct shard *shard = make->shard;
	struct arena *arena = job->arena;
	const struct host *host =
	    setup_host(shard->setup, jid_domain(make->jid));

	if (host != NULL && can_write(shard)) {
		write_account(make, host->name, &job->keys);
	} else {
		make->err = host == NULL ? ERR_NOT_FOUND : ERR_CANCELED;
		make->done(make);
	}
	arena_free(&arena);
}

static const struct host *
begin_account(struct shard *shard, struct account_make *make,
    const struct jid *bare, void (*done)(struct account_make *))
{
	const struct host *host = setup_host(shard->setup, jid_domain(bare));

	shard_must_be_current(shard);
	must(host != NULL && shard_of(shard->server, bare) == shard);
	make->shard = shard;
	make->jid = bare;
	make->done = done;
	return host;
}

void
account_make(struct shard *shard, struct account_make *make,
    const struct jid *bare, struct str password,
    void (*done)(struct account_make *))
{
	const struct host *host = begin_account(shard, make, bare, done);

	keys_job_start(&make->keys, shard, arena_make(0), password,
	    iterations(shard->setup, host), account_keys_made);
}

bool
account_is_guest(const struct account *account)
{
	session_each (session, account)
		if (str_is(session->origin.mechanism, "ANONYMOUS"))
			return true;
	return false;
}

void
account_make_guest(struct shard *shard, struct account_make *make,
    const struct jid *bare, void (*done)(struct account_make *))
{
	const struct host *host = begin_account(shard, make, bare, done);

	write_account(make, host->name, NULL);
}

/* --- removing ----------------------------------------------------------- */

/* Ends the account in memory: streams are told, hooks run, letters find it no
 * more. */
void
account_end(struct account *account, enum stream_err err)
{
	session_each (session, account)
		session_release_all(session);
	account_close_sessions(account, NULL, err);
	session_refuse_binds(account);
	session_each (session, account)
		session_end(session);
	session_each_spent (session, account)
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
	keys_counts_remove(
	    write, account->owner.shard->server->secret, account_jid(account));
	kept_remove_all(write, account_jid(account));
	hook_removed(account, write);
	store_also(write, wait, done);
	store_commit(write, &edit->commit, edit_removed);
}

/* Unavailable goes before unsubscribed: RFC 6121, section 3.2.2. Sessions that
 * end may write, so the purge comes last. */
void
account_removed(struct account *account)
{
	struct shard *shard = account->owner.shard;

	account->is_leaving = true;
	if (!account->owner.is_detached)
		account_end(account, STREAM_ERR_NOT_AUTHORIZED);
	list_each (letter, &account->farewells, struct post, link) {
		list_remove(&letter->link);
		post_send(shard, letter);
	}
	purge_owner(shard, account->owner.id);
}

void
account_found(struct account *account)
{
	if (!account->is_leaving)
		post_free_all(&account->farewells);
	if (account->owner.state == OWNER_DISABLED)
		account_close_sessions(
		    account, NULL, STREAM_ERR_NOT_AUTHORIZED);
}

/* What is uncertain shows when it is loaded anew. */
static void
edit_removed(struct store_commit *commit)
{
	struct edit *edit = container_of(commit, struct edit, commit);
	struct account *account = edit->account;

	account->is_leaving = false;
	if (commit->err == ERR_NONE)
		account_removed(account);
	else if (commit->err != ERR_UNCERTAIN)
		post_free_all(&account->farewells);
	resume(edit);
	if (commit->err == ERR_UNCERTAIN)
		owner_reload(&account->owner);
	edit_free(edit);
}
