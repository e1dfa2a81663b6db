/* Order when streams end: RFC 6120, section 10.1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/world_private.h"

#define ROMEO  "romeo@montague.example"
#define JULIET "juliet@capulet.example"

/* The numbers of the messages that come, in that order; how many. */
static unsigned
numbers_come(struct world_peer *peer, int *last)
{
	const char *text, *id;
	unsigned count = 0;

	while ((text = world_next(peer)) != NULL) {
		if (strstr(text, "<message") == NULL)
			continue;
		id = strstr(text, " id='m");
		CHECK(id != NULL);
		CHECK((int)strtol(id + 6, NULL, 10) > *last);
		*last = (int)strtol(id + 6, NULL, 10);
		count++;
	}
	return count;
}

static void
send_numbers(struct world *world, struct world_peer *peer, unsigned from)
{
	char text[128];

	for (unsigned i = from; i < from + 10; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='" JULIET "' id='m%u'>"
		    "<body>x</body></message>",
		    i);
		world_send(peer, text);
		world_step(world, 3);
	}
}

static void
check_order(uint64_t seed, const char *yaml)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = seed, .yaml = yaml});
	struct world_peer *romeo, *juliet;
	int last = -1;
	unsigned count;

	world_add_account(world, ROMEO, NULL);
	world_add_account(world, JULIET, NULL);
	romeo = world_connect(world, ROMEO "/orchard");
	juliet = world_connect(world, JULIET "/balcony");
	world_send(juliet, "<presence/>");
	world_run(world);
	send_numbers(world, romeo, 0);
	world_step(world, (unsigned)seed % 7);
	world_cut_now(&juliet);
	send_numbers(world, romeo, 10);
	world_run(world);
	juliet = world_connect(world, JULIET "/balcony");
	world_send(juliet, "<presence/>");
	world_run(world);
	count = numbers_come(juliet, &last);
	CHECK(count >= 10 && last == 19);
	world_free(&world);
}

/* Also those that were on their way to a stream that
 * went, and those that came while it did. */
static void
messages_keep_their_order_when_a_stream_ends(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		check_order(seed, "");
		check_order(seed, "modules.archive: off\n");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_keep_their_order_when_a_stream_ends),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
