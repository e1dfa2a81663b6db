/* RFC 6120, section 13.12: how many connections one address may have. */
#include <string.h>

#include "base/check.h"
#include "server/world.h"

const struct module *const modules_builtin[] = {NULL};

static const char header[] =
    "<stream:stream xmlns='jabber:client' to='montague.example' version='1.0'"
    " xmlns:stream='http://etherx.jabber.org/streams'>";

static struct world_peer *
open_stream(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer, header);
	world_run(world);
	return peer;
}

/* Whether it got features after the header, and no error. */
static bool
is_served(struct world_peer *peer)
{
	const char *text;
	bool has_features = false;

	while ((text = world_next(peer)) != NULL)
		has_features |= strstr(text, "mechanisms") != NULL;
	return has_features && !world_is_closed(peer);
}

static void
one_too_many_is_refused(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits.connections: 2\n",
	    .is_one_address = true,
	});
	struct world_peer *one = open_stream(world);
	struct world_peer *two = open_stream(world);
	struct world_peer *three = open_stream(world);

	CHECK(is_served(one));
	CHECK(is_served(two));
	CHECK(!is_served(three));
	CHECK(world_is_closed(three));
	world_cut(&three);
	world_cut(&one);
	world_run(world);
	one = open_stream(world);
	CHECK(is_served(one));
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_too_many_is_refused),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
