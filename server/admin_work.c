/*
 * server/admin_work.c - what shards do for the administration, where the
 * account or the session lives.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/account.h"
#include "server/admin.h"
#include "server/remote_list.h"
#include "server/s2s.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/prep.h"

/* --- answering ------------------------------------------------------------ */

void
admin_answer(
    struct shard *shard, struct post *call, unsigned status, json_t *json)
{
	struct post *letter = post_new(POST_ADMIN_ANSWER, NULL);
	struct admin_answer *answer;

	answer = arena_new(letter->arena, struct admin_answer);
	answer->status = status;
	if (json != NULL) {
		char *text = json_dumps(json, JSON_COMPACT);

		answer->json = str_dup(letter->arena, str_of(text));
		free(text);
		json_decref(json);
	}
	letter->ticket = call->ticket;
	letter->answer = answer;
	post_send_to(shard, call->stream.shard, letter);
	post_free(&call);
}

static void
fail(struct shard *shard, struct post *call, unsigned status, const char *why)
{
	admin_answer(shard, call, status, json_pack("{s:s}", "error", why));
}

void
admin_refuse(struct shard *shard, struct post *call, enum err err)
{
	static const struct {
		enum err err;
		unsigned status;
		const char *why;
	} reasons[] = {
	    {ERR_EXISTS, 409, "there is an account of that name"},
	    {ERR_NOT_FOUND, 404, "there is no such account"},
	    {ERR_UNAVAILABLE, 503, "the database cannot be reached"},
	    {ERR_TIMEOUT, 503, "the database did not answer in time"},
	    {ERR_UNCERTAIN, 503,
		"the database went away; it may have been done, look again"},
	    {ERR_CANCELED, 503, "the server is shutting down"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].err == err) {
			fail(shard, call, reasons[i].status, reasons[i].why);
			return;
		}
	fail(shard, call, 500, err_text(err));
}

/* --- accounts ------------------------------------------------------------- */

/* The wait for a change of an account. */
struct change {
	struct store_commit commit;
	struct account_make make;
	struct shard *shard;
	struct post *call;
	unsigned status; /* when it is done */
};

static struct change *
change_new(struct shard *shard, struct post *call, unsigned status)
{
	struct change *change = arena_new(call->arena, struct change);

	change->shard = shard;
	change->call = call;
	change->status = status;
	return change;
}

static void
finish(struct change *change, enum err err)
{
	if (err == ERR_NONE)
		admin_answer(change->shard, change->call, change->status, NULL);
	else
		admin_refuse(change->shard, change->call, err);
}

static void
changed(struct store_commit *commit)
{
	finish(container_of(commit, struct change, commit), commit->err);
}

static void
made(struct account_make *make)
{
	finish(container_of(make, struct change, make), make->err);
}

/* The prepared password; false, with the answer given, when it is no good. */
static bool
read_password(struct shard *shard, struct post *call, const struct host *host,
    struct str *password_r)
{
	struct arena *arena = arena_make(0);
	const uint64_t least = host_int(host, SETTING(AUTH_PASSWORD_LENGTH));
	const char *why = NULL;

	*password_r = call->call->text;
	if (!prep_password(call->arena, password_r))
		why = "the password is empty or has characters that are not "
		      "allowed (RFC 8265)";
	else if (str_count_utf8(*password_r) < least)
		why = str_format(arena,
		    "the password is too short: at least %llu characters",
		    (unsigned long long)least)
			  .text;
	if (why != NULL)
		fail(shard, call, 422, why);
	arena_free(&arena);
	return why == NULL;
}

static void
make_account(struct shard *shard, struct post *call)
{
	const struct host *host =
	    setup_host(shard->setup, jid_domain(call->to));
	struct change *change;
	struct str password;

	if (host == NULL) {
		fail(shard, call, 422, "that domain is not served here");
		return;
	}
	if (!read_password(shard, call, host, &password))
		return;
	change = change_new(shard, call, 201);
	account_make(shard, &change->make, call->to, password, made);
}

static void
change_account(struct account *account, struct post *call)
{
	struct shard *shard = account->owner.shard;
	const struct admin_call *asked = call->call;
	struct change *change;
	struct str password = STR_NONE;

	if (asked->has_password &&
	    !read_password(shard, call, account->host, &password))
		return;
	change = change_new(shard, call, 204);
	if (!asked->has_password)
		account_set_disabled(
		    account, asked->is_disabled, &change->commit, changed);
	else if (!asked->has_state)
		account_set_password(
		    account, password, NULL, &change->commit, changed);
	else
		account_set_both(account, password, asked->is_disabled,
		    &change->commit, changed);
}

static void
remove_account(struct account *account, struct post *call)
{
	struct change *change = change_new(account->owner.shard, call, 204);

	account_remove(account, &change->commit, changed);
}

/* --- sessions ------------------------------------------------------------- */

static json_t *
text_of(struct str text)
{
	return json_stringn(text.text == NULL ? "" : text.text, text.len);
}

static json_t *
time_of(uint64_t wall_us)
{
	struct arena *arena = arena_make(0);
	json_t *text = text_of(clock_format(arena, wall_us));

	arena_free(&arena);
	return text;
}

static json_t *
session_json(const struct session *session)
{
	const struct session_origin *origin = &session->origin;
	json_t *json = json_object();

	json_object_set_new(json, "jid", text_of(jid_full(session->jid)));
	json_object_set_new(json, "address", text_of(origin->address));
	json_object_set_new(json, "mechanism", text_of(origin->mechanism));
	json_object_set_new(json, "tls", text_of(origin->tls));
	json_object_set_new(json, "since", time_of(session->bound_us));
	json_object_set_new(json, "idle_s",
	    json_integer(
		(json_int_t)((clock_mono_ms() - session->active_ms) / 1000)));
	json_object_set_new(
	    json, "available", json_boolean(session->is_available));
	json_object_set_new(json, "priority", json_integer(session->priority));
	json_object_set_new(
	    json, "shard", json_integer(session->account->owner.shard->index));
	return json;
}

static void
add_sessions(json_t *list, const struct account *account)
{
	session_each (session, account)
		json_array_append_new(list, session_json(session));
}

static void
get_account(struct account *account, struct post *call)
{
	const struct owner *owner = &account->owner;
	json_t *sessions = json_array();
	json_t *json = json_object();

	add_sessions(sessions, account);
	json_object_set_new(json, "jid", text_of(jid_bare(owner->jid)));
	json_object_set_new(
	    json, "disabled", json_boolean(owner->state == OWNER_DISABLED));
	json_object_set_new(json, "made", time_of(owner->made_us));
	json_object_set_new(json, "sessions", sessions);
	admin_answer(owner->shard, call, 200, json);
}

static void
kick(struct account *account, struct post *call)
{
	const bool is_bare = jid_is_bare(call->to);
	unsigned count = 0;

	session_each (session, account)
		if (is_bare || jid_equal(session->jid, call->to)) {
			session_close(session, STREAM_ERR_POLICY_VIOLATION,
			    "ended by an administrator");
			count++;
		}
	if (count == 0)
		fail(account->owner.shard, call, 404,
		    "there is no such session");
	else
		admin_answer(account->owner.shard, call, 200,
		    json_pack("{s:i}", "kicked", (int)count));
}

/* Each account of the shard that is in memory. */
static struct account *
next_account(struct shard *shard, struct account *account)
{
	const struct table_link *link =
	    account == NULL ? NULL : &account->owner.link;

	while ((link = table_next(&shard->owners, link)) != NULL) {
		struct owner *owner =
		    table_entry((struct table_link *)link, struct owner, link);

		if (owner->stage == OWNER_READY)
			return account_of(owner);
	}
	return NULL;
}

static void
list_sessions(struct shard *shard, struct post *call)
{
	struct account *account = NULL;
	json_t *list = json_array();

	while ((account = next_account(shard, account)) != NULL)
		add_sessions(list, account);
	admin_answer(shard, call, 200, json_pack("{s:o}", "sessions", list));
}

static void
list_pairs(struct shard *shard, struct post *call)
{
	admin_answer(shard, call, 200,
	    json_pack("{s:o, s:o}", "pairs", remote_list(shard), "domains",
		remote_list_domains(shard)));
}

static void
tell_status(struct shard *shard, struct post *call)
{
	struct account *account = NULL;
	int accounts = 0, sessions = 0;

	while ((account = next_account(shard, account)) != NULL) {
		accounts++;
		sessions += (int)account->session_count;
	}
	admin_answer(shard, call, 200,
	    json_pack("{s:i, s:i, s:b}", "accounts_in_memory", accounts,
		"sessions", sessions, "storage_up",
		(int)store_is_up(shard->store)));
}

/* --- calls ---------------------------------------------------------------- */

void
admin_at_owner(struct owner *owner, struct post *call)
{
	static void (*const at_account[ADMIN_VERB_COUNT])(
	    struct account *, struct post *) = {
	    [ADMIN_ACCOUNT_GET] = get_account,
	    [ADMIN_ACCOUNT_CHANGE] = change_account,
	    [ADMIN_ACCOUNT_REMOVE] = remove_account,
	    [ADMIN_KICK] = kick,
	};
	struct account *account = account_of(owner);

	if (account == NULL)
		admin_refuse(owner->shard, call, ERR_NOT_FOUND);
	else
		at_account[call->call->verb](account, call);
}

void
admin_take_call(struct shard *shard, struct post *call)
{
	static void (*const at_shard[ADMIN_VERB_COUNT])(
	    struct shard *, struct post *) = {
	    [ADMIN_ACCOUNT_MAKE] = make_account,
	    [ADMIN_SESSIONS] = list_sessions,
	    [ADMIN_S2S] = list_pairs,
	    [ADMIN_STATUS] = tell_status,
	    [ADMIN_S2S_CHECK] = s2s_check,
	};

	if (at_shard[call->call->verb] != NULL)
		at_shard[call->call->verb](shard, call);
	else
		owner_take(shard, call);
}
