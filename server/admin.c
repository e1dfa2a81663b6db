/*
 * server/admin.c - requests in, letters to the shards, answers out.
 *
 * A request that concerns every shard is a pending with as many answers to
 * come; their arrays are joined and their numbers added.
 */
#include "server/admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/setup.h"
#include "storage/store.h"

#define JSON_TYPE "application/json"
#define METRICS_TYPE \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

struct admin {
	struct shard *shard;
	const struct admin_daemon *daemon;
	struct http_server *http;
	struct list pendings;
	uint64_t last_ticket;
	void (*closed)(void *);
	void *closed_arg;
};

struct pending {
	struct link link; /* in admin->pendings */
	uint64_t ticket;
	struct http_request *request;
	unsigned left; /* answers to come */
	unsigned status;
	json_t *json;
	void (*finish)(struct admin *, struct pending *); /* or NULL */
};

/* --- answering ------------------------------------------------------------ */

static void
reply(struct http_request *request, unsigned status, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	struct str body = str_dup(request->arena, str_of(text));

	free(text);
	json_decref(json);
	http_answer(request, status, JSON_TYPE, body);
}

static void
fail(struct http_request *request, unsigned status, const char *why)
{
	reply(request, status, json_pack("{s:s}", "error", why));
}

/* Arrays grow, numbers add up, truth must be unanimous. */
static void
merge(json_t *all, json_t *one)
{
	const char *key;
	json_t *value;

	json_object_foreach (one, key, value) {
		json_t *old = json_object_get(all, key);

		if (old == NULL)
			json_object_set(all, key, value);
		else if (json_is_array(old))
			json_array_extend(old, value);
		else if (json_is_integer(old))
			json_integer_set(old, json_integer_value(old) +
						  json_integer_value(value));
		else if (json_is_false(value))
			json_object_set(all, key, value);
	}
}

static void
pending_done(struct admin *admin, struct pending *pending)
{
	list_remove(&pending->link);
	if (pending->finish != NULL)
		pending->finish(admin, pending);
	reply(pending->request, pending->status, pending->json);
}

void
admin_take_answer(struct shard *shard, struct post *letter)
{
	struct admin *admin = shard->admin;

	if (admin == NULL) { /* it closed meanwhile */
		post_free(&letter);
		return;
	}
	list_each (pending, &admin->pendings, struct pending, link) {
		json_t *json;

		if (pending->ticket != letter->ticket)
			continue;
		if (letter->answer->status > pending->status)
			pending->status = letter->answer->status;
		json = json_loadb(letter->answer->json.text == NULL
				      ? ""
				      : letter->answer->json.text,
		    letter->answer->json.len, 0, NULL);
		if (pending->json == NULL)
			pending->json = json_incref(json);
		else if (json != NULL)
			merge(pending->json, json);
		json_decref(json);
		if (--pending->left == 0)
			pending_done(admin, pending);
		break;
	}
	post_free(&letter);
}

/* --- asking --------------------------------------------------------------- */

static struct pending *
pending_new(struct admin *admin, struct http_request *request, unsigned left)
{
	struct pending *pending = arena_new(request->arena, struct pending);

	pending->ticket = ++admin->last_ticket;
	pending->request = request;
	pending->left = left;
	list_add_last(&admin->pendings, &pending->link);
	return pending;
}

static struct post *
call_new(const struct admin *admin, const struct pending *pending,
    const struct admin_call *asked)
{
	struct post *letter = post_new(POST_ADMIN, NULL);
	struct admin_call *call = arena_new(letter->arena, struct admin_call);

	*call = *asked;
	call->text = str_dup(letter->arena, asked->text);
	letter->call = call;
	letter->ticket = pending->ticket;
	letter->stream.shard = (uint16_t)admin->shard->index;
	return letter;
}

static struct pending *
ask_all(struct admin *admin, struct http_request *request, enum admin_verb verb)
{
	const unsigned count = admin->shard->server->shard_count;
	struct pending *pending = pending_new(admin, request, count);

	for (unsigned i = 0; i < count; i++)
		post_send_to(admin->shard, i,
		    call_new(
			admin, pending, &(struct admin_call){.verb = verb}));
	return pending;
}

static void
ask_to(struct admin *admin, struct http_request *request, const struct jid *jid,
    const struct admin_call *asked)
{
	struct post *letter =
	    call_new(admin, pending_new(admin, request, 1), asked);

	letter->to = jid_copy(letter->arena, jid);
	post_send_to(
	    admin->shard, shard_of(admin->shard->server, jid)->index, letter);
}

static void
ask_owner(struct admin *admin, struct http_request *request,
    const struct jid *jid, enum admin_verb verb, struct str text)
{
	ask_to(admin, request, jid,
	    &(struct admin_call){.verb = verb, .text = text});
}

/* The body as an object; NULL, with the answer given, when it is not one. */
static json_t *
read_body(struct http_request *request)
{
	json_error_t error;
	json_t *json =
	    json_loadb(request->body.text == NULL ? "" : request->body.text,
		request->body.len, JSON_REJECT_DUPLICATES, &error);

	if (json_is_object(json))
		return json;
	json_decref(json);
	fail(request, 400, "the body must be a JSON object");
	return NULL;
}

static const struct jid *
read_jid(struct http_request *request, struct str text)
{
	const struct jid *jid = jid_parse(request->arena, text);

	if (jid != NULL && jid_local(jid).len > 0)
		return jid;
	fail(request, 422, "that is not the address of an account");
	return NULL;
}

/* Who means a session must not get at the account. */
static const struct jid *
read_account(struct http_request *request, struct str text)
{
	const struct jid *jid = read_jid(request, text);

	if (jid == NULL || jid_is_bare(jid))
		return jid;
	fail(request, 422, "an account has a bare address, without a resource");
	return NULL;
}

/* --- routes: the server -------------------------------------------------- */

static void
add_process(struct admin *admin, struct pending *pending)
{
	const struct server *server = admin->shard->server;
	const struct host *hosts;
	json_t *names = json_array();
	size_t count;

	hosts = setup_hosts(admin->shard->setup, &count);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
		    names, json_stringn(hosts[i].name.text, hosts[i].name.len));
	json_object_set_new(
	    pending->json, "version", json_string(JACKDAW_VERSION));
	json_object_set_new(pending->json, "uptime_s",
	    json_integer(
		(json_int_t)((clock_mono_ms() - server->started_ms) / 1000)));
	json_object_set_new(
	    pending->json, "shards", json_integer(server->shard_count));
	json_object_set_new(pending->json, "hosts", names);
}

static void
get_status(struct admin *admin, struct http_request *request, struct str rest)
{
	(void)rest;
	ask_all(admin, request, ADMIN_STATUS)->finish = add_process;
}

static void
get_metrics(struct admin *admin, struct http_request *request, struct str rest)
{
	struct buf buf = {0};
	struct str text;

	(void)rest;
	metrics_write(admin->shard->server, &buf);
	text = str_dup(request->arena, buf_str(&buf));
	buf_deinit(&buf);
	http_answer(request, 200, METRICS_TYPE, text);
}

static void
reload(struct admin *admin, struct http_request *request, struct str rest)
{
	struct str why = STR_NONE;

	(void)rest;
	if (admin->daemon->reload(request->arena, &why))
		reply(request, 204, NULL);
	else
		fail(request, 422, why.text);
}

static void
stop(struct admin *admin, struct http_request *request, struct str rest)
{
	(void)rest;
	reply(request, 202, NULL);
	admin->daemon->stop();
}

static void
set_log(struct admin *admin, struct http_request *request, struct str rest)
{
	json_t *body = read_body(request);
	enum log_level level;

	(void)admin;
	(void)rest;
	if (body == NULL)
		return;
	if (log_level_parse(
		str_of(json_string_value(json_object_get(body, "level"))),
		&level)) {
		log_set_level(level);
		log_info(
		    &log_server, "log level set to %s", log_level_text(level));
		reply(request, 204, NULL);
	} else {
		fail(request, 422,
		    "level must be error, warn, info, debug or wire");
	}
	json_decref(body);
}

/* A copy takes long: it is made on a thread of the loop's pool. */
struct backup {
	uv_work_t work;
	struct http_request *request;
	struct storage *storage;
	const char *path;
	struct arena *arena; /* of that thread meanwhile */
	enum err err;
	struct str why;
};

static void
backup_make(uv_work_t *work)
{
	struct backup *backup = container_of(work, struct backup, work);

	backup->err = storage_backup(
	    backup->storage, backup->path, backup->arena, &backup->why);
}

static void
backup_made(uv_work_t *work, int status)
{
	struct backup *backup = container_of(work, struct backup, work);
	struct http_request *request = backup->request;
	struct arena *arena = backup->arena;

	if (status == 0 && backup->err == ERR_NONE)
		reply(request, 204, NULL);
	else
		fail(request, 422,
		    backup->why.len == 0
			? "the copy could not be made"
			: str_dup(request->arena, backup->why).text);
	arena_free(&arena);
}

static void
backup_start(
    struct admin *admin, struct http_request *request, const char *path)
{
	struct backup *backup = arena_new(request->arena, struct backup);

	backup->request = request;
	backup->storage = admin->shard->server->storage;
	backup->path = arena_dup(request->arena, path, strlen(path));
	backup->arena = arena_make(0);
	uv_queue_work(
	    admin->shard->loop, &backup->work, backup_make, backup_made);
}

static void
backup(struct admin *admin, struct http_request *request, struct str rest)
{
	json_t *body = read_body(request);
	const char *path;

	(void)rest;
	if (body == NULL)
		return;
	path = json_string_value(json_object_get(body, "path"));
	if (path == NULL || path[0] != '/')
		fail(request, 422, "path must be an absolute file name");
	else
		backup_start(admin, request, path);
	json_decref(body);
}

static json_t *
texts_json(const char *const *texts)
{
	json_t *list = json_array();

	for (; texts != NULL && *texts != NULL; texts++)
		json_array_append_new(list, json_string(*texts));
	return list;
}

static void
get_features(struct admin *admin, struct http_request *request, struct str rest)
{
	const struct module *const *modules = admin->shard->server->modules;
	json_t *list = json_array();

	(void)rest;
	for (; *modules != NULL; modules++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:o, s:o}", "name",
			      (*modules)->name, "help", (*modules)->help,
			      "xeps", texts_json((*modules)->xeps), "features",
			      texts_json((*modules)->features)));
	reply(request, 200, json_pack("{s:o}", "modules", list));
}

/* --- routes: accounts and sessions --------------------------------------- */

struct listing {
	struct store_owners owners;
	struct http_request *request;
};

static void
accounts_listed(struct store_owners *owners)
{
	struct listing *listing = container_of(owners, struct listing, owners);
	struct http_request *request = listing->request;
	json_t *list = json_array();

	if (owners->err != ERR_NONE) {
		json_decref(list);
		fail(request, 503, err_text(owners->err));
		return;
	}
	for (size_t i = 0; i < owners->count; i++) {
		const struct owner_row *row = &owners->rows[i];
		struct str jid = str_format(request->arena, "%.*s@%.*s",
		    STR_ARG(row->local), STR_ARG(row->host));

		json_array_append_new(
		    list, json_pack("{s:s%, s:b}", "jid", jid.text, jid.len,
			      "disabled", (int)(row->state == OWNER_DISABLED)));
	}
	reply(request, 200, json_pack("{s:o}", "accounts", list));
}

static void
list_accounts(
    struct admin *admin, struct http_request *request, struct str rest)
{
	struct listing *listing = arena_new(request->arena, struct listing);
	struct str host = http_parameter(request, "host");
	struct str after = http_parameter(request, "after");
	uint64_t max = ADMIN_LIST_MAX;

	(void)rest;
	if (setup_host(admin->shard->setup, host) == NULL) {
		fail(request, 422, "host must be a domain that is served here");
		return;
	}
	str_to_u64(http_parameter(request, "max"), ADMIN_LIST_MAX, &max);
	listing->request = request;
	store_owner_list(admin->shard->store, &listing->owners, request->arena,
	    &(struct owner_query){host, after, (unsigned)max}, accounts_listed);
}

static void
make_account(struct admin *admin, struct http_request *request, struct str rest)
{
	json_t *body = read_body(request);
	const struct jid *jid;
	const char *password;

	(void)rest;
	if (body == NULL)
		return;
	password = json_string_value(json_object_get(body, "password"));
	jid = read_account(
	    request, str_of(json_string_value(json_object_get(body, "jid"))));
	if (jid != NULL && password == NULL)
		fail(request, 422, "an account has a password");
	else if (jid != NULL)
		ask_owner(
		    admin, request, jid, ADMIN_ACCOUNT_MAKE, str_of(password));
	json_decref(body);
}

static void
get_account(struct admin *admin, struct http_request *request, struct str rest)
{
	const struct jid *jid = read_account(request, rest);

	if (jid != NULL)
		ask_owner(admin, request, jid, ADMIN_ACCOUNT_GET, STR_NONE);
}

static void
change_account(
    struct admin *admin, struct http_request *request, struct str rest)
{
	const struct jid *jid = read_account(request, rest);
	json_t *body = jid == NULL ? NULL : read_body(request);
	const json_t *password, *disabled;

	if (body == NULL)
		return;
	password = json_object_get(body, "password");
	disabled = json_object_get(body, "disabled");
	if ((password == NULL && disabled == NULL) ||
	    (password != NULL && !json_is_string(password)) ||
	    (disabled != NULL && !json_is_boolean(disabled)))
		fail(request, 422,
		    "give a password, or disabled (true or false), or both");
	else
		ask_to(admin, request, jid,
		    &(struct admin_call){.verb = ADMIN_ACCOUNT_CHANGE,
			.text = str_of(json_string_value(password)),
			.has_password = password != NULL,
			.has_state = disabled != NULL,
			.is_disabled = json_is_true(disabled)});
	json_decref(body);
}

static void
remove_account(
    struct admin *admin, struct http_request *request, struct str rest)
{
	const struct jid *jid = read_account(request, rest);

	if (jid != NULL)
		ask_owner(admin, request, jid, ADMIN_ACCOUNT_REMOVE, STR_NONE);
}

static void
list_pairs(struct admin *admin, struct http_request *request, struct str rest)
{
	(void)rest;
	ask_all(admin, request, ADMIN_S2S);
}

/* The sender of the question is asked for as it was given: its setup is that of
 * the shard. */
static void
check_pair(struct admin *admin, struct http_request *request, struct str rest)
{
	json_t *body = read_body(request);
	const char *from;
	const struct jid *domain;

	(void)rest;
	if (body == NULL)
		return;
	from = json_string_value(json_object_get(body, "from"));
	domain = jid_parse(request->arena,
	    str_of(json_string_value(json_object_get(body, "domain"))));
	if (domain == NULL || !jid_is_bare(domain) || jid_local(domain).len > 0)
		fail(request, 422, "that is not a domain");
	else
		ask_owner(
		    admin, request, domain, ADMIN_S2S_CHECK, str_of(from));
	json_decref(body);
}

static void
list_sessions(
    struct admin *admin, struct http_request *request, struct str rest)
{
	(void)rest;
	ask_all(admin, request, ADMIN_SESSIONS);
}

static void
kick(struct admin *admin, struct http_request *request, struct str rest)
{
	const struct jid *jid = read_jid(request, rest);

	if (jid != NULL)
		ask_owner(admin, request, jid, ADMIN_KICK, STR_NONE);
}

/* --- routing -------------------------------------------------------------- */

static const struct route {
	const char *method;
	const char *path; /* ends with '/' when something follows */
	void (*handle)(struct admin *, struct http_request *, struct str rest);
} routes[] = {
    {"GET", "/v1/status", get_status},
    {"GET", "/v1/metrics", get_metrics},
    {"GET", "/v1/features", get_features},
    {"POST", "/v1/reload", reload},
    {"POST", "/v1/stop", stop},
    {"PUT", "/v1/log", set_log},
    {"POST", "/v1/backup", backup},
    {"GET", "/v1/accounts", list_accounts},
    {"POST", "/v1/accounts", make_account},
    {"GET", "/v1/accounts/", get_account},
    {"PATCH", "/v1/accounts/", change_account},
    {"DELETE", "/v1/accounts/", remove_account},
    {"GET", "/v1/sessions", list_sessions},
    {"GET", "/v1/s2s", list_pairs},
    {"POST", "/v1/s2s/check", check_pair},
    {"DELETE", "/v1/sessions/", kick},
};

static bool
matches(const struct route *route, struct str path, struct str *rest_r)
{
	const struct str own = str_of(route->path);

	if (own.text[own.len - 1] != '/')
		return str_equal(own, path);
	if (!str_starts(path, own))
		return false;
	*rest_r = (struct str){path.text + own.len, path.len - own.len};
	return true;
}

static void
on_request(struct http_request *request, void *owner)
{
	bool is_known = false;
	struct str rest = STR_NONE;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!matches(&routes[i], request->path, &rest))
			continue;
		is_known = true;
		if (str_equal(request->method, str_of(routes[i].method))) {
			routes[i].handle(owner, request, rest);
			return;
		}
	}
	if (is_known)
		fail(request, 405, "that cannot be done with it");
	else
		fail(request, 404, "there is nothing of that name");
}

/* --- opening, closing ---------------------------------------------------- */

struct admin *
admin_open(struct arena *arena, struct shard *shard, const char *path,
    const struct admin_daemon *daemon, struct str *why_r)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	must(admin != NULL);
	admin->shard = shard;
	admin->daemon = daemon;
	list_init(&admin->pendings);
	admin->http =
	    http_open(arena, shard->loop, path, on_request, admin, why_r);
	if (admin->http == NULL) {
		free(admin);
		return NULL;
	}
	shard->admin = admin;
	return admin;
}

static void
on_http_closed(void *arg)
{
	struct admin *admin = arg;
	void (*closed)(void *) = admin->closed;
	void *closed_arg = admin->closed_arg;

	admin->shard->admin = NULL;
	free(admin);
	closed(closed_arg);
}

void
admin_close(struct admin *admin, void (*closed)(void *), void *arg)
{
	admin->closed = closed;
	admin->closed_arg = arg;
	list_each (pending, &admin->pendings, struct pending, link) {
		list_remove(&pending->link);
		json_decref(pending->json);
		fail(pending->request, 503, "the server is shutting down");
	}
	http_close(admin->http, on_http_closed, admin);
}
