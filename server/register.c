/*
 * server/register.c - one registration at a time on a stream: the address is
 * asked whether it may, then the shard of the name makes the account.
 */
#include "server/register.h"

#include "server/account.h"
#include "server/address.h"
#include "server/c2s_internal.h"
#include "server/iq.h"
#include "server/owner.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

#define GUESTS_PAGE 100

struct registration {
	struct arena *arena; /* lifetime: until its answer */
	struct str id;       /* of the iq */
	const struct jid *jid;
	struct str password; /* prepared */
};

static bool
is_open(const struct c2s *c2s)
{
	const struct stream *stream = &c2s->stream;

	return host_bool(stream->host, SETTING(REGISTRATION_OPEN)) &&
	       (stream_is_secure(stream) ||
		   !host_bool(stream->host, SETTING(TLS_REQUIRED)));
}

void
register_add_feature(struct c2s *c2s, struct node *features)
{
	if (is_open(c2s))
		node_add(features, "register",
		    "http://jabber.org/features/iq-register");
}

/* --- asking what is needed ----------------------------------------------- */

static void
reply_fields(struct c2s *c2s, struct arena *arena, struct str id)
{
	struct node *query = node_make(arena, "query", NS_REGISTER);

	node_add_with_text(query, "instructions", NS_REGISTER,
	    STR("Choose a name and a password."));
	node_add(query, "username", NS_REGISTER);
	node_add(query, "password", NS_REGISTER);
	c2s_answer(c2s, arena, id, query, STANZA_ERR_NONE);
}

/* --- asking for an account ----------------------------------------------- */

/* What was filled in; otherwise the error to answer. */
static enum stanza_err
read_fields(struct c2s *c2s, struct registration *registration,
    const struct node *query)
{
	struct arena *arena = registration->arena;
	const struct host *host = c2s->stream.host;
	struct str name =
	    node_child_text(arena, query, "username", NS_REGISTER);

	registration->password = str_dup(
	    arena, node_child_text(arena, query, "password", NS_REGISTER));
	if (name.len == 0 || registration->password.len == 0)
		return STANZA_ERR_NOT_ACCEPTABLE;
	if (!prep_local(arena, &name))
		return STANZA_ERR_JID_MALFORMED;
	if (!prep_password(arena, &registration->password) ||
	    str_count_utf8(registration->password) <
		host_int(host, SETTING(AUTH_PASSWORD_LENGTH)))
		return STANZA_ERR_NOT_ACCEPTABLE;
	registration->jid = jid_make(arena, name, host->name, STR_NONE);
	return STANZA_ERR_NONE;
}

static void
take_set(struct c2s *c2s, const struct node *iq, const struct node *query)
{
	struct arena *arena = arena_make(0);
	struct registration *registration =
	    arena_new(arena, struct registration);
	enum stanza_err err;

	registration->arena = arena;
	registration->id = str_dup(arena, node_attr(iq, "id"));
	err = c2s->registration == NULL ? read_fields(c2s, registration, query)
					: STANZA_ERR_RESOURCE_CONSTRAINT;
	if (err != STANZA_ERR_NONE) {
		c2s_answer(c2s, arena, registration->id, NULL, err);
		arena_free(&arena);
		return;
	}
	c2s->registration = registration;
	address_register(c2s->stream.shard, c2s->stream.id, c2s_address(c2s),
	    host_int(c2s->stream.host, SETTING(REGISTRATION_PER_HOUR)));
}

bool
register_take(struct c2s *c2s, const struct node *node)
{
	const struct node *query = node_child(node, "query", NS_REGISTER);
	struct str type = node_attr(node, "type");
	struct arena *arena;

	if (!node_is(node, "iq", NS_CLIENT) || query == NULL)
		return false;
	arena = arena_make(0);
	if (!is_open(c2s))
		c2s_answer(c2s, arena, node_attr(node, "id"), NULL,
		    STANZA_ERR_SERVICE_UNAVAILABLE);
	else if (str_is(type, "get"))
		reply_fields(c2s, arena, node_attr(node, "id"));
	else if (auth_is_busy(c2s))
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "a login is under way");
	else if (str_is(type, "set"))
		take_set(c2s, node, query);
	else
		c2s_answer(c2s, arena, node_attr(node, "id"), NULL,
		    STANZA_ERR_BAD_REQUEST);
	arena_free(&arena);
	return true;
}

/* --- the answers --------------------------------------------------------- */

void
register_free(struct c2s *c2s)
{
	struct arena *arena;

	if (c2s->registration == NULL)
		return;
	arena = c2s->registration->arena;
	c2s->registration = NULL;
	arena_free(&arena);
}

static void
finish(struct c2s *c2s, enum stanza_err err)
{
	struct registration *registration = c2s->registration;

	c2s_answer(c2s, registration->arena, registration->id, NULL, err);
	register_free(c2s);
}

static void
ask_owner(struct c2s *c2s)
{
	const struct registration *registration = c2s->registration;
	struct post *letter = post_new(POST_REGISTER, NULL);
	struct register_ask *ask =
	    arena_new(letter->arena, struct register_ask);

	ask->password = str_dup(letter->arena, registration->password);
	letter->to = jid_copy(letter->arena, registration->jid);
	letter->stream = c2s->stream.id;
	letter->register_ask = ask;
	post_send(c2s->stream.shard, letter);
}

static void
take_registered(struct c2s *c2s, enum err err)
{
	if (err == ERR_NONE) {
		log_info(&c2s->stream.log, "registered %.*s from %.*s",
		    STR_ARG(jid_bare(c2s->registration->jid)),
		    STR_ARG(c2s_address(c2s)));
		finish(c2s, STANZA_ERR_NONE);
	} else if (err == ERR_EXISTS) {
		finish(c2s, STANZA_ERR_CONFLICT);
	} else {
		finish(c2s, stanza_err_of(err));
	}
}

void
register_take_letter(struct c2s *c2s, const struct post *letter)
{
	if (c2s->registration == NULL)
		return;
	if (letter->kind == POST_REGISTERED)
		take_registered(c2s, letter->registered->err);
	else if (letter->address->is_refused)
		finish(c2s, STANZA_ERR_RESOURCE_CONSTRAINT);
	else
		ask_owner(c2s);
}

void
register_passing(struct shard *shard, struct stream_id stream,
    const struct jid *jid, bool is_over)
{
	struct post *letter = post_new(POST_REGISTER, NULL);
	struct register_ask *ask =
	    arena_new(letter->arena, struct register_ask);

	ask->is_passing = true;
	ask->is_over = is_over;
	letter->to = jid_to_bare(letter->arena, jid_copy(letter->arena, jid));
	letter->stream = stream;
	letter->register_ask = ask;
	post_send(shard, letter);
}

void
register_missed(struct shard *shard, const struct post *letter)
{
	if (letter->registered->passing != NULL)
		register_passing(
		    shard, letter->stream, letter->registered->passing, true);
}

/* --- on the shard of the name -------------------------------------------- */

struct making {
	struct account_make make;
	struct shard *shard;
	struct post *letter;
};

static void
made(struct account_make *make)
{
	struct making *making = container_of(make, struct making, make);
	struct post *answer = post_new(POST_REGISTERED, NULL);
	struct registered *registered =
	    arena_new(answer->arena, struct registered);

	registered->err = make->err;
	if (make->err == ERR_NONE && making->letter->register_ask->is_passing)
		registered->passing =
		    jid_copy(answer->arena, making->letter->to);
	answer->registered = registered;
	answer->stream = making->letter->stream;
	post_send(making->shard, answer);
	post_free(&(struct post *){making->letter});
}

struct removal {
	struct store_commit commit;
	struct post *letter;
};

static void
removed(struct store_commit *commit)
{
	struct removal *removal = container_of(commit, struct removal, commit);

	post_free(&(struct post *){removal->letter});
}

void
register_end(struct account *account, struct post *letter)
{
	struct removal *removal = arena_new(letter->arena, struct removal);

	removal->letter = letter;
	if (account->is_leaving)
		post_free(&letter);
	else
		account_remove(account, &removal->commit, removed);
}

void
register_make(struct shard *shard, struct post *letter)
{
	struct making *making = arena_new(letter->arena, struct making);

	if (letter->register_ask->is_over) {
		owner_take(shard, letter);
		return;
	}
	making->shard = shard;
	making->letter = letter;
	/* The stream's shard may not have seen the reload yet. */
	if (setup_host(shard->setup, jid_domain(letter->to)) == NULL) {
		making->make.err = ERR_NOT_FOUND;
		made(&making->make);
	} else if (letter->register_ask->is_passing) {
		account_make_guest(shard, &making->make, letter->to, made);
	} else {
		account_make(shard, &making->make, letter->to,
		    letter->register_ask->password, made);
	}
}

/* --- at the start -------------------------------------------------------- */

/* A page of guests whose streams ended with an earlier run. */
struct guests {
	struct store_owners owners;
	struct arena *arena;
	struct shard *shard;
	void (*done)(struct shard *);
};

static void guests_found(struct store_owners *);

static void
ask_guests(struct shard *shard, owner_id after, void (*done)(struct shard *))
{
	struct arena *arena = arena_make(0);
	struct guests *guests = arena_new(arena, struct guests);

	guests->arena = arena;
	guests->shard = shard;
	guests->done = done;
	store_reverse(shard->store, &guests->owners, arena,
	    &(struct reverse_query){.kind = &guest_kind,
		.key = GUEST_KEY,
		.after = after,
		.max = GUESTS_PAGE},
	    guests_found);
}

static void
guests_found(struct store_owners *owners)
{
	struct guests *guests = container_of(owners, struct guests, owners);
	struct arena *arena = guests->arena;
	const struct owner_row *rows = owners->rows;

	if (owners->err != ERR_NONE)
		log_warn(&log_server, "guests that a crash left stay: %s",
		    err_text(owners->err));
	for (size_t i = 0; owners->err == ERR_NONE && i < owners->count; i++)
		if (rows[i].state != OWNER_DELETED)
			register_passing(guests->shard, (struct stream_id){0},
			    jid_make(
				arena, rows[i].local, rows[i].host, STR_NONE),
			    true);
	if (owners->err == ERR_NONE && owners->count > 0)
		ask_guests(
		    guests->shard, rows[owners->count - 1].id, guests->done);
	else if (guests->done != NULL)
		guests->done(guests->shard);
	arena_free(&arena);
}

void
register_start(struct shard *shard, void (*done)(struct shard *))
{
	ask_guests(shard, 0, done);
}
