#include "modules/push_rig.h"

struct stage
push_begin_with(const char *yaml)
{
	struct stage stage = {.world = rig_world(3, 0, yaml)};

	stage.service = neighbour_new(stage.world, SERVICE);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	stage.juliet = rig_bind(stage.world, BALCONY);
	return stage;
}

struct stage
push_begin(const char *yaml)
{
	struct stage stage = push_begin_with(yaml);

	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, DONE("e"));
	world_cut(&stage.juliet);
	world_run(stage.world);
	return stage;
}

void
push_end(struct stage *stage)
{
	world_sleep(stage->world, 2 * MINUTES);
	world_free(&stage->world);
}

void
push_write(struct stage *stage, const char *content)
{
	char text[400];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='" JULIET "'>"
	    "%s</message>",
	    content);
	rig_send(stage->romeo, text);
}

void
push_say(struct stage *stage)
{
	push_write(stage, "<body>Wherefore?</body>");
}

const char *
push_next(struct stage *stage)
{
	const char *text;
	struct str before, rest, id;

	do
		text = neighbour_next(stage->service);
	while (text != NULL && strstr(text, NS_PUSH) == NULL);
	if (text == NULL)
		return NULL;
	rest = str_of(text);
	while (str_cut(rest, '\'', &before, &rest))
		if (str_ends(before, STR(" id=")) &&
		    str_cut(rest, '\'', &id, &before))
			snprintf(
			    stage->id, sizeof(stage->id), "%.*s", STR_ARG(id));
	return text;
}

void
push_expect(struct stage *stage, const char *part, const char *other)
{
	const char *text = push_next(stage);

	if (text == NULL || strstr(text, part) == NULL ||
	    strstr(text, other) == NULL)
		print_error("wanted %s and %s\ncame %s\n", part, other,
		    text == NULL ? "nothing" : text);
	CHECK(text != NULL && strstr(text, part) != NULL &&
	      strstr(text, other) != NULL);
}

static void
answer(struct stage *stage, const char *type, const char *content)
{
	char text[400];

	snprintf(text, sizeof(text),
	    "<iq xmlns='jabber:client' type='%s' id='%s' from='" SERVICE
	    "' to='" HOST "'>%s</iq>",
	    type, stage->id, content);
	neighbour_send(stage->service, text);
}

void
push_succeed(struct stage *stage)
{
	answer(stage, "result", "");
}

void
push_refuse(struct stage *stage, const char *type, const char *condition)
{
	char text[200] = "";

	if (type != NULL)
		snprintf(text, sizeof(text),
		    "<error type='%s'><%s xmlns='" STANZAS "'/></error>", type,
		    condition);
	answer(stage, "error", text);
}

bool
push_rings_once(struct stage *stage)
{
	bool has_rung;

	world_sleep(stage->world, 3 * SECONDS);
	push_say(stage);
	has_rung = push_next(stage) != NULL;
	if (has_rung)
		push_succeed(stage);
	CHECK(push_next(stage) == NULL);
	return has_rung;
}
