#include "server/iq_ask.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/setup.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

/* Without modules: nobody but the core answers. */
const struct module *const modules_builtin[] = {NULL};

#define HOST   "montague.example"
#define ROMEO  "romeo@" HOST
#define VERONA "verona.example"

#define STRAY(id)                                                           \
	"<iq xmlns='jabber:client' type='result' id='" id "' from='" VERONA \
	"' to='" HOST "'/>"

#define WITHIN_MS 20000

struct question {
	struct iq_ask ask;
	struct arena *arena;
	bool is_done;
	enum err err;
	enum stanza_type type;
};

static void
on_done(struct iq_ask *ask)
{
	struct question *question = container_of(ask, struct question, ask);

	CHECK(!question->is_done);
	question->is_done = true;
	question->err = ask->err;
	if (ask->answer != NULL)
		question->type = ask->answer->type;
}

/* Asked by the last shard, which is seldom the one where the answer comes. */
static void
ask(struct world *world, struct question *question, const char *from,
    const char *to)
{
	struct shard *shard =
	    &world->server.shards[world->server.shard_count - 1];
	struct arena *arena = arena_make(0);
	struct stanza *stanza;

	*question = (struct question){.arena = arena};
	shard_enter(shard);
	stanza = stanza_make(arena, STANZA_IQ, STANZA_GET,
	    jid_parse(arena, str_of(from)), jid_parse(arena, str_of(to)),
	    iq_ask_id(shard, arena));
	node_add(stanza_body(stanza), "query", "urn:example");
	iq_ask(shard, &question->ask, stanza, WITHIN_MS, on_done);
	CHECK(!question->is_done);
	world_run(world);
}

static void
answer(struct neighbour *from, const struct question *question,
    const char *sender, const char *type)
{
	const char *text = neighbour_next(from);
	char xml[300];

	CHECK(text != NULL && strstr(text, "urn:example") != NULL);
	snprintf(xml, sizeof(xml),
	    "<iq xmlns='jabber:client' type='%s' id='%.*s' from='%s' to='" HOST
	    "'/>",
	    type, STR_ARG(question->ask.id), sender);
	neighbour_send(from, xml);
}

static void
end(struct world **world, struct question *question)
{
	world_free(world);
	CHECK(question->is_done);
	arena_free(&question->arena);
}

static const struct {
	const char *sender, *type;
	enum err err;
	enum stanza_type wanted;
} answers[] = {
    {VERONA, "result", ERR_NONE, STANZA_RESULT},
    {VERONA, "error", ERR_NONE, STANZA_ERROR},
    /* From somebody else: no answer. */
    {"chat." VERONA, "result", ERR_TIMEOUT, 0},
    {"x@" VERONA, "result", ERR_TIMEOUT, 0},
};

static void
an_answer_finds_who_asked(void **state)
{
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		struct world *world =
		    world_new(&(struct world_options){.seed = i + 1});
		struct neighbour *verona = neighbour_new(world, VERONA);
		struct question question;

		ask(world, &question, HOST, VERONA);
		CHECK(!question.is_done);
		answer(verona, &question, answers[i].sender, answers[i].type);
		CHECK_EQUAL(question.is_done, answers[i].err == ERR_NONE);
		world_sleep(world, WITHIN_MS);
		CHECK_EQUAL(question.err, answers[i].err);
		CHECK_EQUAL(question.type, answers[i].wanted);
		end(&world, &question);
	}
}

static const struct {
	const char *to;
	enum err err;
} places[] = {
    /* We answer ourselves: the host, an account, nobody. */
    {HOST, ERR_NONE},
    {ROMEO, ERR_NONE},
    {"nobody@" HOST, ERR_NONE},
    {"unknown.example", ERR_NONE},
    /* A stream that never comes. */
    {VERONA, ERR_TIMEOUT},
};

static void
there_is_always_an_end(void **state)
{
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		struct world *world =
		    world_new(&(struct world_options){.seed = i + 1});
		struct neighbour *verona = neighbour_new(world, VERONA);
		struct question question;

		world_add_account(world, ROMEO, NULL);
		verona->is_deaf = true;
		ask(world, &question, HOST, places[i].to);
		world_sleep(world, WITHIN_MS);
		CHECK(question.is_done);
		CHECK_EQUAL(question.err, places[i].err);
		CHECK_EQUAL(question.type,
		    places[i].err == ERR_NONE ? STANZA_ERROR : 0);
		end(&world, &question);
	}
}

static void
the_end_of_the_server_is_one(void **state)
{
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct neighbour *verona = neighbour_new(world, VERONA);
	struct question question;

	ask(world, &question, HOST, VERONA);
	world_kill(world);
	CHECK(question.is_done);
	CHECK_EQUAL(question.err, ERR_CANCELED);
	/* Its answer comes too late; ids that are none of ours harm nobody. */
	answer(verona, &question, VERONA, "result");
	neighbour_send(verona, STRAY("ask-77-x"));
	neighbour_send(verona, STRAY("x"));
	end(&world, &question);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_finds_who_asked),
	    cmocka_unit_test(there_is_always_an_end),
	    cmocka_unit_test(the_end_of_the_server_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
