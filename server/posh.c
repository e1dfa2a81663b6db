#include "server/posh.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/table.h"
#include "server/posh_document.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"

#define PATH          "/.well-known/posh/xmpp-server.json"
#define FETCH_MS      15000L
#define REDIRECTS_MAX 5L
/* At a time, of one shard, for strangers and for others: more wait. */
#define CONNECTIONS_MAX 4L
/* Domains that are remembered, or asked now; and of these for strangers. */
#define ENTRIES_MAX   1000
#define STRANGERS_MAX 500
#define KEEP_MS_MAX   ((uint64_t)24 * 3600 * 1000)
#define FAILED_MS     ((uint64_t)5 * 60 * 1000)

struct posh_entry {
	struct arena *arena;
	struct table_link in_table;
	struct link in_age; /* oldest first */
	struct str domain;
	struct list asks; /* that wait for it */
	struct posh_document document;
	enum err err;
	struct str why;
	uint64_t until_ms;  /* clock_mono_ms; once it is known */
	uint64_t expires_s; /* of a reference; 0: it was none */
	struct posh *posh;
	struct lane *lane;
	/* While it is fetched: */
	bool is_old; /* since a reload: nothing is to be remembered */
	CURL *easy;
	struct buf body;
};

/* Web servers of strangers may be slow: others do not wait behind them. */
struct lane {
	struct posh *posh;
	CURLM *multi;
	struct timer timer; /* curl's */
	unsigned count;     /* under way */
};

struct posh {
	struct shard *shard;
	struct lane known, strangers;
	struct table table;
	struct list ages;
	struct curl_slist *connect_to;
};

/* A socket of curl. */
struct watch {
	uv_poll_t poll;
	struct lane *lane;
	curl_socket_t fd;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void
init_global(void)
{
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
}

/* --- answering ------------------------------------------------------------ */

static void
answer(struct timer *timer)
{
	struct posh_ask *ask = container_of(timer, struct posh_ask, soon);

	ask->done(ask);
}

static void
answer_soon(struct posh_ask *ask, enum err err, struct str why)
{
	list_remove(&ask->link);
	ask->err = err;
	ask->why = str_dup(ask->arena, why);
	timer_start(ask->shard, &ask->soon, 0, answer);
}

static void
answer_from(struct posh_ask *ask, const struct posh_entry *entry)
{
	if (entry->err != ERR_NONE)
		answer_soon(ask, entry->err, entry->why);
	else if (posh_document_matches(&entry->document, ask->arena, ask->der))
		answer_soon(ask, ERR_NONE, STR_NONE);
	else
		answer_soon(ask, ERR_DENIED,
		    STR("its domain publishes other certificates (POSH); ask "
			"its administrator to add this one to " PATH));
}

static void
answer_all(struct posh_entry *entry)
{
	list_each (ask, &entry->asks, struct posh_ask, link)
		answer_from(ask, entry);
}

static void
on_late(struct timer *timer)
{
	struct posh_ask *ask = container_of(timer, struct posh_ask, soon);

	list_remove(&ask->link);
	ask->err = ERR_TIMEOUT;
	ask->why = STR("its domain's web server (POSH) gave no answer in time");
	ask->done(ask);
}

/* For what is under way, or stands behind too many others. */
static void
wait_for(struct posh_ask *ask, struct posh_entry *entry)
{
	list_add_last(&entry->asks, &ask->link);
	timer_start(ask->shard, &ask->soon, (uint64_t)FETCH_MS, on_late);
}

/* --- entries -------------------------------------------------------------- */

static void
end_fetch(struct posh_entry *entry)
{
	if (entry->easy == NULL)
		return;
	curl_multi_remove_handle(entry->lane->multi, entry->easy);
	curl_easy_cleanup(entry->easy);
	entry->easy = NULL;
	entry->lane->count--;
	buf_deinit(&entry->body);
}

static void
entry_free(struct posh_entry *entry)
{
	struct arena *arena = entry->arena;

	end_fetch(entry);
	table_remove(&entry->posh->table, &entry->in_table);
	list_remove(&entry->in_age);
	arena_free(&arena);
}

static bool
is_of(const struct table_link *link, const void *key)
{
	const struct posh_entry *entry =
	    container_of(link, struct posh_entry, in_table);

	return str_equal(entry->domain, *(const struct str *)key);
}

static struct posh_entry *
entry_find(struct posh *posh, struct str domain)
{
	struct posh_entry *entry = table_entry(
	    table_find(&posh->table, hash_keyed(domain), is_of, &domain),
	    struct posh_entry, in_table);

	if (entry != NULL && entry->easy == NULL &&
	    entry->until_ms <= clock_mono_ms()) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

/* False when all are under way. */
static bool
make_room(struct posh *posh)
{
	if (posh->table.count < ENTRIES_MAX)
		return true;
	list_each (entry, &posh->ages, struct posh_entry, in_age) {
		if (entry->easy == NULL) {
			entry_free(entry);
			return true;
		}
	}
	return false;
}

static struct posh_entry *
entry_new(struct posh *posh, struct str domain)
{
	struct arena *arena = arena_make(0);
	struct posh_entry *entry = arena_new(arena, struct posh_entry);

	entry->arena = arena;
	entry->posh = posh;
	entry->domain = str_dup(arena, domain);
	list_init(&entry->asks);
	table_add(&posh->table, &entry->in_table, hash_keyed(domain));
	list_add_last(&posh->ages, &entry->in_age);
	return entry;
}

/* --- fetching ------------------------------------------------------------- */

static size_t
on_body(char *bytes, size_t size, size_t count, void *owner)
{
	struct posh_entry *entry = owner;
	size_t len = size * count;

	if (entry->body.len + len > POSH_LEN_MAX)
		return 0; /* ends it: CURLE_WRITE_ERROR */
	buf_add(&entry->body, (struct str){bytes, len});
	return len;
}

#define SET(option, value) \
	must(curl_easy_setopt(easy, CURLOPT_##option, (value)) == CURLE_OK)

/* Only HTTPS, also behind redirects (RFC 7711, section 10); no proxy that the
 * environment happens to name. */
static void
set_options(struct posh_entry *entry, CURL *easy)
{
	struct str authorities =
	    config_text(setup_config(entry->posh->shard->setup), CONFIG_GLOBAL,
		SETTING(S2S_AUTHORITIES));

	SET(PROTOCOLS_STR, "https");
	SET(REDIR_PROTOCOLS_STR, "https");
	SET(FOLLOWLOCATION, 1L);
	SET(MAXREDIRS, REDIRECTS_MAX);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(TIMEOUT_MS, FETCH_MS);
	SET(NOSIGNAL, 1L);
	SET(QUICK_EXIT, 1L); /* else it waits for slow resolvers */
	SET(PROXY, "");
	SET(FAILONERROR, 1L);
	SET(FORBID_REUSE, 1L);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, (void *)entry);
	SET(PRIVATE, (void *)entry);
	if (authorities.len > 0)
		SET(CAINFO, authorities.text);
	if (entry->posh->connect_to != NULL)
		SET(CONNECT_TO, entry->posh->connect_to);
}

static bool
fetch(struct posh_entry *entry, const char *url)
{
	CURL *easy = curl_easy_init();

	must(easy != NULL);
	set_options(entry, easy);
	entry->easy = easy;
	entry->lane->count++;
	return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_multi_add_handle(entry->lane->multi, easy) == CURLM_OK;
}

/* --- what came of it ------------------------------------------------------ */

static void
know(struct posh_entry *entry, enum err err, struct str why, uint64_t keep_ms)
{
	end_fetch(entry);
	entry->err = err;
	entry->why = why;
	entry->until_ms =
	    clock_mono_ms() + (keep_ms < KEEP_MS_MAX ? keep_ms : KEEP_MS_MAX);
	/* A stranger's may only have stood behind slow ones. */
	if (entry->is_old ||
	    (err == ERR_TIMEOUT && entry->lane == &entry->posh->strangers))
		entry->until_ms = 0;
	answer_all(entry);
}

static void
fail(struct posh_entry *entry, enum err err, struct str why)
{
	know(entry, err, why, FAILED_MS);
}

/* Section 6: the lower of the two times. */
static void
take_fingerprints(struct posh_entry *entry)
{
	uint64_t expires_s = entry->document.expires_s;

	if (entry->expires_s != 0 && entry->expires_s < expires_s)
		expires_s = entry->expires_s;
	if (expires_s > KEEP_MS_MAX / 1000)
		expires_s = KEEP_MS_MAX / 1000;
	know(entry, ERR_NONE, STR_NONE, expires_s * 1000);
}

/* Section 3.2: one reference, not to another one. */
static void
follow(struct posh_entry *entry)
{
	struct str url = entry->document.url;

	if (entry->expires_s != 0) {
		fail(entry, ERR_INVALID,
		    STR("its POSH document refers to one that refers to "
			"another"));
		return;
	}
	entry->expires_s = entry->document.expires_s;
	end_fetch(entry);
	if (!fetch(entry, url.text))
		fail(entry, ERR_INVALID,
		    STR("the \"url\" in its POSH document is none"));
}

static void
take_document(struct posh_entry *entry)
{
	struct str why;

	if (!posh_document_read(
		entry->arena, buf_str(&entry->body), &entry->document, &why))
		fail(entry, ERR_INVALID, why);
	else if (entry->document.url.len > 0)
		follow(entry);
	else
		take_fingerprints(entry);
}

static enum err
err_of(CURLcode code, long status)
{
	if (code == CURLE_HTTP_RETURNED_ERROR)
		return status >= 500 ? ERR_UNAVAILABLE : ERR_NOT_FOUND;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return ERR_TIMEOUT;
	return code == CURLE_WRITE_ERROR ? ERR_TOO_LARGE : ERR_UNAVAILABLE;
}

static void
fetched(struct posh_entry *entry, CURLcode code)
{
	long status = 0;

	if (code == CURLE_OK) {
		take_document(entry);
		return;
	}
	(void)curl_easy_getinfo(entry->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_HTTP_RETURNED_ERROR)
		fail(entry, err_of(code, status),
		    str_format(entry->arena,
			"its domain publishes no certificate (POSH): HTTP %ld",
			status));
	else
		fail(entry, err_of(code, status),
		    str_format(entry->arena,
			"its domain's web server (POSH) gave no answer: %s",
			code == CURLE_WRITE_ERROR ? "it is too long"
						  : curl_easy_strerror(code)));
}

static void
look_for_ends(struct lane *lane)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(lane->multi, &left)) != NULL) {
		char *entry = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(
		    message->easy_handle, CURLINFO_PRIVATE, &entry);
		fetched(
		    (struct posh_entry *)(void *)entry, message->data.result);
	}
}

/* --- curl and the loop ---------------------------------------------------- */

static void
act(struct lane *lane, curl_socket_t fd, int events)
{
	int running;

	(void)curl_multi_socket_action(lane->multi, fd, events, &running);
	look_for_ends(lane);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = container_of(poll, struct watch, poll);
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	shard_enter(watch->lane->posh->shard);
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	act(watch->lane, watch->fd, flags);
}

static void
on_timer(struct timer *timer)
{
	act(container_of(timer, struct lane, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int
want_timer(CURLM *multi, long after_ms, void *owner)
{
	struct lane *lane = owner;
	struct shard *shard = lane->posh->shard;

	if (after_ms < 0)
		timer_stop(shard, &lane->timer);
	else
		timer_start(shard, &lane->timer, (uint64_t)after_ms, on_timer);
	return 0;
}

static void
on_watch_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct watch, poll));
}

static struct watch *
watch_new(struct lane *lane, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	must(watch != NULL);
	watch->lane = lane;
	watch->fd = fd;
	must(uv_poll_init(lane->posh->shard->loop, &watch->poll, fd) == 0);
	(void)curl_multi_assign(lane->multi, fd, watch);
	return watch;
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *watch_of)
{
	struct watch *watch = watch_of;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL)
			uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		return 0;
	}
	if (watch == NULL)
		watch = watch_new(owner, fd);
	if (what != CURL_POLL_OUT)
		events |= UV_READABLE;
	if (what != CURL_POLL_IN)
		events |= UV_WRITABLE;
	uv_poll_start(&watch->poll, events, on_poll);
	return 0;
}

static void
lane_init(struct lane *lane, struct posh *posh)
{
	lane->posh = posh;
	lane->multi = curl_multi_init();
	must(lane->multi != NULL);
	curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
	curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
	curl_multi_setopt(
	    lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
}

static void
lane_deinit(struct lane *lane)
{
	curl_multi_cleanup(lane->multi);
	timer_stop(lane->posh->shard, &lane->timer);
}

static struct posh *
posh_of(struct shard *shard)
{
	struct posh *posh = shard->posh;

	if (posh != NULL)
		return posh;
	pthread_once(&global_once, init_global);
	posh = calloc(1, sizeof(*posh));
	must(posh != NULL);
	posh->shard = shard;
	table_init(&posh->table);
	list_init(&posh->ages);
	lane_init(&posh->known, posh);
	lane_init(&posh->strangers, posh);
	shard->posh = posh;
	return posh;
}

/* --- what others ask for -------------------------------------------------- */

static void
begin_fetch(struct posh_entry *entry, struct lane *lane)
{
	struct str url = str_format(
	    entry->arena, "https://%.*s" PATH, STR_ARG(entry->domain));

	entry->lane = lane;
	entry->expires_s = 0;
	if (!fetch(entry, url.text))
		fail(entry, ERR_INVALID,
		    STR("its domain is no name of a web "
			"server (POSH)"));
}

/* What is under way for a stranger is fetched anew for others: it may stand
 * behind slow ones. */
static void
join(struct posh_ask *ask, struct posh_entry *entry, struct lane *lane)
{
	wait_for(ask, entry);
	if (entry->lane == lane || lane == &lane->posh->strangers)
		return;
	end_fetch(entry);
	begin_fetch(entry, lane);
}

static void
begin(struct lane *lane, struct posh_ask *ask, struct str domain)
{
	struct posh *posh = lane->posh;
	struct posh_entry *entry = entry_find(posh, domain);

	if (entry != NULL && entry->easy == NULL) {
		answer_from(ask, entry);
	} else if (entry != NULL) {
		join(ask, entry, lane);
	} else if ((lane == &posh->strangers && lane->count >= STRANGERS_MAX) ||
		   !make_room(posh)) {
		answer_soon(ask, ERR_UNAVAILABLE,
		    STR("too many web servers (POSH) are being asked"));
	} else {
		entry = entry_new(posh, domain);
		wait_for(ask, entry);
		begin_fetch(entry, lane);
	}
}

void
posh_check(struct shard *shard, struct posh_ask *ask, struct arena *arena,
    const struct posh_wanted *wanted, void (*done)(struct posh_ask *))
{
	struct posh *posh;

	shard_must_be_current(shard);
	*ask = (struct posh_ask){
	    .done = done, .shard = shard, .arena = arena, .der = wanted->der};
	if (shard->loop == NULL || shard->is_draining) {
		answer_soon(ask, ERR_UNAVAILABLE,
		    STR("no web server can be asked (POSH)"));
		return;
	}
	posh = posh_of(shard);
	begin(wanted->is_for_stranger ? &posh->strangers : &posh->known, ask,
	    wanted->domain);
}

void
posh_cancel(struct posh_ask *ask)
{
	answer_soon(ask, ERR_CANCELED, STR("it was canceled"));
}

static void
forget(struct posh *posh, struct posh_entry *entry)
{
	list_each (ask, &entry->asks, struct posh_ask, link)
		posh_cancel(ask);
	entry_free(entry);
}

void
posh_setup_changed(struct shard *shard)
{
	if (shard->posh == NULL)
		return;
	list_each (entry, &shard->posh->ages, struct posh_entry, in_age) {
		if (entry->easy == NULL)
			entry_free(entry);
		else
			entry->is_old = true;
	}
}

void
posh_close(struct shard *shard)
{
	struct posh *posh = shard->posh;

	if (posh == NULL)
		return;
	shard->posh = NULL;
	list_each (entry, &posh->ages, struct posh_entry, in_age)
		forget(posh, entry);
	lane_deinit(&posh->known);
	lane_deinit(&posh->strangers);
	curl_slist_free_all(posh->connect_to);
	table_deinit(&posh->table);
	free(posh);
}

void
posh_redirect_all(struct shard *shard, const char *address)
{
	struct posh *posh = posh_of(shard);
	char text[128];

	snprintf(text, sizeof(text), "::%s", address);
	curl_slist_free_all(posh->connect_to);
	posh->connect_to = curl_slist_append(NULL, text);
}
