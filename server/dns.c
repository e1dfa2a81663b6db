#include "server/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/log.h"
#include "server/outward.h"
#include "server/policy.h"
#include "server/settings.h"
#include "server/shard.h"

#define DEBIANS_ANCHOR "/usr/share/dns/root.key"
#define CLASS_IN       1
/* Questions of one shard under way at a time. */
#define UNDER_WAY_MAX 200
/* Records that are looked at: nobody needs more. */
#define RECORDS_MAX  32
#define NAME_MAX_LEN 253

/* A context of libunbound; its thread does the work. */
struct dns_context {
	struct link link; /* in dns->contexts */
	struct shard *shard;
	struct ub_ctx *unbound;
	uv_poll_t poll;
	char *resolvers; /* as text, to find it again */
	unsigned users;  /* questions */
	bool is_old;     /* of before a reload: it takes no more */
};

struct dns {
	struct list contexts;
	struct list waiting, asked; /* struct dns_ask */
	struct list strangers;      /* those that wait for them */
	unsigned asked_count, strangers_count;
};

static void ask_next(struct dns *);

/* --- records -------------------------------------------------------------- */

static uint16_t
read_u16(struct str data, size_t at)
{
	const uint8_t *bytes = (const uint8_t *)data.text + at;

	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* A label may hold any byte; a host name only these (RFC 1123, and '_'). */
static bool
is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* RFC 1035, section 3.1, without compression. */
static bool
read_name(struct arena *arena, struct str data, struct str *name_r)
{
	struct buf text = {0};
	size_t at = 0;
	bool is_good = false;

	while (at < data.len && text.len <= NAME_MAX_LEN) {
		size_t len = (uint8_t)data.text[at++];

		is_good = len == 0 && at == data.len;
		if (len == 0 || len > 63 || len > data.len - at)
			break;
		if (text.len > 0)
			buf_add_byte(&text, '.');
		for (; len > 0; len--, at++) {
			if (!is_host_byte(data.text[at]))
				goto out;
			buf_add_byte(&text, data.text[at]);
		}
	}
	is_good = is_good && text.len <= NAME_MAX_LEN;
	if (is_good)
		*name_r = str_dup(arena, buf_str(&text));
out:
	buf_deinit(&text);
	return is_good;
}

static bool
read_srv(struct arena *arena, struct str data, struct dns_record *record)
{
	if (data.len < 7)
		return false;
	record->priority = read_u16(data, 0);
	record->weight = read_u16(data, 2);
	record->port = read_u16(data, 4);
	return read_name(
	    arena, (struct str){data.text + 6, data.len - 6}, &record->target);
}

static bool
read_tlsa(struct arena *arena, struct str data, struct dns_record *record)
{
	const uint8_t *bytes = (const uint8_t *)data.text;

	if (data.len < 4)
		return false;
	record->usage = bytes[0];
	record->selector = bytes[1];
	record->matching = bytes[2];
	record->association =
	    str_dup(arena, (struct str){data.text + 3, data.len - 3});
	return true;
}

bool
dns_record_read(struct arena *arena, enum dns_type type, struct str data,
    struct dns_record *record)
{
	*record = (struct dns_record){0};
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		if (data.len != (type == DNS_A ? 4 : 16))
			return false;
		memcpy(record->address, data.text, data.len);
		return true;
	case DNS_SRV:
		return read_srv(arena, data, record);
	case DNS_TLSA:
		return read_tlsa(arena, data, record);
	}
	return false;
}

/* --- answers -------------------------------------------------------------- */

static void
count_asked(struct dns *dns, const struct dns_ask *ask, int more)
{
	dns->asked_count += (unsigned)more;
	if (ask->is_for_stranger)
		dns->strangers_count += (unsigned)more;
}

/* Its turn is over: another's comes with the next ask_next. */
static void
leave(struct dns_ask *ask)
{
	list_remove(&ask->link);
	timer_stop(ask->shard, &ask->deadline);
	if (ask->is_asked && ask->shard->dns != NULL)
		count_asked(ask->shard->dns, ask, -1);
	ask->is_asked = false;
	if (ask->context != NULL)
		ask->context->users--;
	ask->context = NULL;
}

/* Libunbound forgets it, whatever came of it. */
static void
give_up(struct dns_ask *ask)
{
	if (ask->is_asked)
		(void)ub_cancel(ask->context->unbound, ask->id);
	leave(ask);
}

static void
finish(struct dns_ask *ask, enum err err, const char *why)
{
	struct shard *shard = ask->shard;

	leave(ask);
	ask->err = err;
	if (err != ERR_NONE)
		ask->why = str_format(
		    ask->arena, "DNS, %.*s: %s", STR_ARG(ask->name), why);
	ask->done(ask);
	if (shard->dns != NULL)
		ask_next(shard->dns);
}

static void
on_failed(struct timer *timer)
{
	struct dns_ask *ask = container_of(timer, struct dns_ask, deadline);

	finish(ask, ask->err, ask->why.text);
}

/* Never from within dns_query. */
static void
fail_soon(struct dns_ask *ask, enum err err, const char *why)
{
	ask->err = err;
	ask->why = str_of(why);
	timer_start(ask->shard, &ask->deadline, 0, on_failed);
}

static const char *
text_of_rcode(int rcode)
{
	switch (rcode) {
	case 2:
		return "the resolver failed (SERVFAIL)";
	case 5:
		return "the resolver refused";
	default:
		return "the resolver gave an error";
	}
}

static bool
is_among(const struct str *list, size_t count, struct str data)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(list[i], data))
			return true;
	}
	return false;
}

/* Libunbound may give each record several times, when the same is asked
 * several times at once: they are a set (RFC 2181, section 5). */
static void
read_records(struct dns_ask *ask, const struct ub_result *result)
{
	struct dns_record *records =
	    arena_array(ask->arena, struct dns_record, RECORDS_MAX);
	struct str read[RECORDS_MAX];
	size_t count = 0;

	for (int i = 0; result->data[i] != NULL && count < RECORDS_MAX; i++) {
		struct str data = {result->data[i], (size_t)result->len[i]};

		if (is_among(read, count, data) ||
		    !dns_record_read(
			ask->arena, ask->type, data, &records[count]))
			continue;
		read[count++] = data;
	}
	ask->records = records;
	ask->count = count;
}

static void
take_result(struct dns_ask *ask, const struct ub_result *result)
{
	ask->is_secure = result->secure != 0;
	ask->is_bogus = result->bogus != 0;
	if (ask->is_bogus) {
		finish(ask, ERR_DENIED,
		    result->why_bogus == NULL ? "DNSSEC validation failed"
					      : result->why_bogus);
		return;
	}
	if (result->rcode != 0 && result->nxdomain == 0) {
		finish(ask, ERR_UNAVAILABLE, text_of_rcode(result->rcode));
		return;
	}
	if (result->havedata != 0)
		read_records(ask, result);
	if (ask->count == 0)
		finish(ask, ERR_NOT_FOUND,
		    result->nxdomain != 0 ? "no such name"
					  : "no record of that type");
	else
		finish(ask, ERR_NONE, "");
}

/* Called by ub_process: on the shard's thread. */
static void
on_answer(void *given, int err, struct ub_result *result)
{
	struct dns_ask *ask = given;

	if (err != 0 || result == NULL)
		finish(ask, ERR_UNAVAILABLE, ub_strerror(err));
	else
		take_result(ask, result);
	ub_resolve_free(result);
}

static void
on_deadline(struct timer *timer)
{
	struct dns_ask *ask = container_of(timer, struct dns_ask, deadline);

	give_up(ask);
	finish(ask, ERR_TIMEOUT, "no answer came in time");
}

void
dns_cancel(struct dns_ask *ask)
{
	give_up(ask);
	fail_soon(ask, ERR_CANCELED, "canceled");
}

/* --- contexts ------------------------------------------------------------- */

static void
context_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct dns_context, poll));
}

static void
context_close(struct dns_context *context)
{
	list_remove(&context->link);
	uv_poll_stop(&context->poll);
	uv_close((uv_handle_t *)&context->poll, context_closed);
	ub_ctx_delete(context->unbound);
	free(context->resolvers);
}

/* Not from within ub_process. */
static void
close_old(struct dns *dns)
{
	list_each (context, &dns->contexts, struct dns_context, link)
		if (context->is_old && context->users == 0)
			context_close(context);
}

void
dns_setup_changed(struct shard *shard)
{
	if (shard->dns == NULL)
		return;
	list_each (context, &shard->dns->contexts, struct dns_context, link)
		context->is_old = true;
	close_old(shard->dns);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct dns_context *context =
	    container_of(poll, struct dns_context, poll);
	struct shard *shard = context->shard;

	(void)status;
	(void)events;
	shard_enter(shard);
	(void)ub_process(context->unbound);
	if (shard->dns != NULL)
		close_old(shard->dns);
}

static bool
set_resolvers(struct ub_ctx *unbound, struct setting_list resolvers)
{
	/* A resolver on this machine is as good as any. */
	if (ub_ctx_set_option(unbound, "do-not-query-localhost:", "no") != 0)
		return false;
	if (resolvers.count == 0) {
		(void)ub_ctx_hosts(unbound, NULL);
		return ub_ctx_resolvconf(unbound, NULL) == 0;
	}
	for (size_t i = 0; i < resolvers.count; i++) {
		if (ub_ctx_set_fwd(unbound, resolvers.items[i].text) != 0)
			return false;
	}
	return true;
}

/* --- the trust anchor ----------------------------------------------------- */

static struct str
anchor_path(const struct config *config)
{
	struct str path =
	    config_text(config, CONFIG_GLOBAL, SETTING(DNS_TRUST_ANCHOR));

	if (path.len == 0 && access(DEBIANS_ANCHOR, R_OK) == 0)
		path = STR(DEBIANS_ANCHOR);
	return path;
}

static bool
has_key(FILE *file)
{
	char line[4096];
	bool is_found = false;

	while (!is_found && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, ";")] = '\0';
		is_found = strcasestr(line, "DNSKEY") != NULL ||
			   strcasestr(line, " DS ") != NULL ||
			   strcasestr(line, "\tDS\t") != NULL;
	}
	return is_found;
}

/* libunbound reads it when it is asked for the first time, and then fails all
 * that it is asked for: a zone of its own makes it do so at once. */
static bool
is_understood(struct str path)
{
	struct ub_ctx *unbound = ub_ctx_create();
	bool is_good;

	if (unbound == NULL)
		return false;
	is_good = ub_ctx_add_ta_file(unbound, path.text) == 0 &&
		  ub_ctx_zone_add(unbound, "invalid.", "static") == 0;
	ub_ctx_delete(unbound);
	return is_good;
}

bool
dns_check_anchor(
    struct arena *arena, const struct config *config, struct str *why_r)
{
	const struct str path = anchor_path(config);
	const char *wrong = NULL;
	FILE *file;

	if (path.len == 0)
		return true;
	file = fopen(path.text, "re");
	if (file == NULL)
		wrong = strerror(errno);
	else if (!has_key(file))
		wrong = "it has no DNSKEY or DS record";
	else if (!is_understood(path))
		wrong = "libunbound does not understand it, or cannot start";
	if (file != NULL)
		fclose(file);
	if (wrong != NULL)
		*why_r = str_format(arena,
		    "could not read the DNSSEC trust anchor \"%.*s\": %s; "
		    "dns.trust_anchor names a file like "
		    "/usr/share/dns/root.key of the package dns-root-data, or "
		    "nothing",
		    STR_ARG(path), wrong);
	return wrong == NULL;
}

void
dns_tell_anchor(const struct config *config)
{
	if (config_bool(config, CONFIG_GLOBAL, SETTING(S2S_ENABLED)) &&
	    anchor_path(config).len == 0)
		log_info(&log_server,
		    "no DNSSEC key, so DANE is off: install the package "
		    "dns-root-data, or see dns.trust_anchor");
}

/* libunbound's words for a failure at the root. */
bool
dns_cannot_begin(struct str why)
{
	return why.len > 0 && memmem(why.text, why.len, "for trust anchor",
				  strlen("for trust anchor")) != NULL;
}

/* Without a key DNSSEC proves nothing, and all else works. That it is good was
 * seen at the start; what it has become meanwhile must not end all questions.
 */
static void
set_anchor(struct shard *shard, struct ub_ctx *unbound)
{
	const struct config *config = setup_config(shard->setup);
	const struct str path = anchor_path(config);

	if (path.len > 0 && (access(path.text, R_OK) != 0 ||
				ub_ctx_add_ta_file(unbound, path.text) != 0))
		log_warn(&log_server,
		    "DNSSEC is off: the trust anchor %.*s cannot be used",
		    STR_ARG(path));
}

static struct ub_ctx *
make_unbound(struct shard *shard, struct setting_list resolvers)
{
	struct ub_ctx *unbound = ub_ctx_create();

	if (unbound == NULL)
		return NULL;
	if (!set_resolvers(unbound, resolvers) ||
	    ub_ctx_async(unbound, 1) != 0) {
		ub_ctx_delete(unbound);
		return NULL;
	}
	set_anchor(shard, unbound);
	return unbound;
}

static struct str
list_text(struct arena *arena, struct setting_list list)
{
	struct buf text = {0};
	struct str result;

	for (size_t i = 0; i < list.count; i++) {
		buf_add(&text, list.items[i]);
		buf_add_byte(&text, ' ');
	}
	result = str_dup(arena, buf_str(&text));
	buf_deinit(&text);
	return result;
}

static struct dns_context *
context_new(
    struct shard *shard, struct setting_list resolvers, const char *text)
{
	struct ub_ctx *unbound = make_unbound(shard, resolvers);
	struct dns_context *context;

	if (unbound == NULL)
		return NULL;
	context = calloc(1, sizeof(*context));
	must(context != NULL);
	context->shard = shard;
	context->unbound = unbound;
	context->resolvers = strdup(text);
	must(uv_poll_init(shard->loop, &context->poll, ub_fd(unbound)) == 0);
	uv_poll_start(&context->poll, UV_READABLE, on_readable);
	list_add_last(&shard->dns->contexts, &context->link);
	return context;
}

static struct dns_context *
context_want(
    struct shard *shard, struct arena *arena, struct setting_list resolvers)
{
	struct str text = list_text(arena, resolvers);

	if (shard->dns == NULL) {
		shard->dns = calloc(1, sizeof(*shard->dns));
		must(shard->dns != NULL);
		list_init(&shard->dns->contexts);
		list_init(&shard->dns->waiting);
		list_init(&shard->dns->strangers);
		list_init(&shard->dns->asked);
	}
	list_each (context, &shard->dns->contexts, struct dns_context, link) {
		if (!context->is_old &&
		    str_equal(str_of(context->resolvers), text))
			return context;
	}
	return context_new(shard, resolvers, text.text);
}

/* --- questions ------------------------------------------------------------ */

static void
ask_now(struct dns *dns, struct dns_ask *ask)
{
	int err = ub_resolve_async(ask->context->unbound, ask->name.text,
	    (int)ask->type, CLASS_IN, ask, on_answer, &ask->id);

	if (err != UB_NOERROR) {
		leave(ask);
		if (err == UB_SYNTAX)
			fail_soon(ask, ERR_NOT_FOUND, "no such name can be");
		else
			fail_soon(ask, ERR_UNAVAILABLE, ub_strerror(err));
		return;
	}
	ask->is_asked = true;
	count_asked(dns, ask, 1);
	list_add_last(&dns->asked, &ask->link);
}

static struct link *
take_next(struct dns *dns)
{
	struct link *link;

	if (dns->asked_count >= UNDER_WAY_MAX)
		return NULL;
	link = list_take_first(&dns->waiting);
	if (link == NULL && dns->strangers_count < UNDER_WAY_MAX / 2)
		link = list_take_first(&dns->strangers);
	return link;
}

static void
ask_next(struct dns *dns)
{
	struct link *link;

	while ((link = take_next(dns)) != NULL)
		ask_now(dns, list_entry(link, struct dns_ask, link));
}

static void
on_answered(struct timer *timer)
{
	struct dns_ask *ask = container_of(timer, struct dns_ask, deadline);

	if (ask->is_bogus && ask->why.len == 0)
		ask->why = STR("forged");
	finish(
	    ask, ask->err, ask->is_bogus ? ask->why.text : err_text(ask->err));
}

static void
ask_outward(struct dns_ask *ask)
{
	ask->shard->server->outward->answer(ask);
	if (ask->err != ERR_TIMEOUT)
		timer_start(
		    ask->shard, &ask->deadline, ask->delay_ms, on_answered);
}

void
dns_query(struct shard *shard, struct dns_ask *ask, struct arena *arena,
    const struct policy *policy, struct dns_name name,
    void (*done)(struct dns_ask *))
{
	uint64_t timeout_ms = config_ms(
	    setup_config(shard->setup), CONFIG_GLOBAL, SETTING(DNS_TIMEOUT));

	*ask = (struct dns_ask){
	    .shard = shard,
	    .arena = arena,
	    .name = str_dup(arena, name.text),
	    .type = name.type,
	    .is_for_stranger = policy->is_for_stranger,
	    .done = done,
	};
	timer_start(shard, &ask->deadline, timeout_ms, on_deadline);
	if (shard->server->outward != NULL) {
		ask_outward(ask);
		return;
	}
	if (!shard->is_draining)
		ask->context = context_want(shard, arena, policy->resolvers);
	if (ask->context == NULL) {
		fail_soon(ask, ERR_UNAVAILABLE,
		    "no resolver: see dns.resolvers and /etc/resolv.conf");
		return;
	}
	ask->context->users++;
	list_add_last(ask->is_for_stranger ? &shard->dns->strangers
					   : &shard->dns->waiting,
	    &ask->link);
	ask_next(shard->dns);
}

/* --- the end -------------------------------------------------------------- */

static void
cancel_all(struct list *asks)
{
	struct link *link;

	while ((link = list_first(asks)) != NULL) {
		struct dns_ask *ask = list_entry(link, struct dns_ask, link);

		give_up(ask);
		finish(ask, ERR_CANCELED, "canceled");
	}
}

void
dns_close(struct shard *shard)
{
	struct dns *dns = shard->dns;

	if (dns == NULL)
		return;
	shard->dns = NULL;
	cancel_all(&dns->waiting);
	cancel_all(&dns->strangers);
	cancel_all(&dns->asked);
	list_each (context, &dns->contexts, struct dns_context, link)
		context_close(context);
	free(dns);
}
