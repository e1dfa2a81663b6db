/*
 * modules/client_fuzz.c - what a client may send: before it is logged in (the
 * first byte is a '-'), and with a session. Every iq is answered, whatever the
 * modules read in it, and nothing stays behind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "server/world.h"

#define ROMEO   "romeo@montague.example"
#define JULIET  "juliet@capulet.example"
#define LEN_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
play(struct world *world, struct world_peer *peer, const char *text)
{
	world_send(peer, text);
	world_run(world);
	if (!world_is_closed(peer))
		world_cut(&peer);
	world_run(world);
	/* What waits for somebody else, or for the client to come back. */
	world_sleep(world, 60 * 60 * 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct world *world;
	struct world_peer *peer;
	char text[LEN_MAX + 1];

	if (len < 1 || len > LEN_MAX || memchr(bytes, '\0', len) != NULL)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	world = world_new(&(struct world_options){
	    .seed = 1, .shard_count = 2, .yaml = "registration.open: true\n"});
	world_add_account(world, ROMEO, NULL);
	world_add_account(world, JULIET, NULL);
	peer = world_connect(world, text[0] == '-' ? "" : ROMEO "/orchard");
	world_send(world_connect(world, JULIET "/balcony"), "<presence/>");
	world_run(world);
	play(world, peer, text + (text[0] == '-'));
	world_free(&world);
	return 0;
}
