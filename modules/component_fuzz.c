/*
 * modules/component_fuzz.c - what a component may send (XEP-0114). The first
 * byte says where it begins: 'o' it has connected; 'j' it has shaken hands, and
 * an account has sent it a message and waits for pushes.
 */
#include <string.h>

#include "base/err.h"
#include "server/world_component.h"
#include "server/world_private.h"

#define LEN_MAX 16384
#define ROMEO   "romeo@montague.example"
#define ECHO    "echo.montague.example"
#define YAML                                                                  \
	"domains: {" ECHO ": {component: {secret: one, subdomains: true}}}\n" \
	"push: {give_up: 1 min}\n"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct world_peer *
meet(struct world *world, struct world_peer *romeo, char where)
{
	struct world_peer *peer;

	if (where == 'o')
		return world_component_arrive(world);
	if (where != 'j')
		return NULL;
	peer = world_component_join(world, ECHO, "one");
	world_send(romeo,
	    "<iq type='set' id='e1'><enable xmlns='urn:xmpp:push:0' "
	    "jid='" ECHO "' node='n'/></iq>"
	    "<message type='chat' id='m1' to='bot@" ECHO "'>"
	    "<body>x</body></message>");
	world_run(world);
	return peer;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct world *world;
	struct world_peer *romeo, *peer;
	char text[LEN_MAX + 1];

	if (len < 1 || len > LEN_MAX || memchr(bytes, '\0', len) != NULL)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	world = world_new(&(struct world_options){.seed = 1, .yaml = YAML});
	world_add_account(world, ROMEO, NULL);
	romeo = world_connect(world, ROMEO "/orchard");
	peer = meet(world, romeo, text[0]);
	if (peer != NULL) {
		world_send(peer, text + 1);
		world_run(world);
		if (!world_is_closed(peer))
			world_cut(&peer);
	}
	/* What waits for the component is given up, pushes too. */
	world_sleep(world, 60 * 60 * 1000);
	world_free(&world);
	return 0;
}
