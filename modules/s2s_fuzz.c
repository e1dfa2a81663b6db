/*
 * modules/s2s_fuzz.c - what another server may send. The first byte says where
 * it begins: 'i' it connects to us, 'k' it has proved who it is as well; a
 * digit n: we connected to it, and so many of its lines are behind it.
 */
#include <string.h>

#include "base/err.h"
#include "server/s2s_stage.h"

#define LEN_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct world_peer *
meet(const struct stage *stage, char where)
{
	struct world_peer *peer;

	if (where == 'i')
		return stage_arrive(stage);
	if (where == 'k') {
		peer = stage_arrive_with_key(stage);
		must(stage_vouch(stage, "valid"));
		return peer;
	}
	if (where < '0' || where > '0' + STAGE_LINES)
		return NULL;
	stage_say(stage, "m1");
	peer = world_dialled(stage->world, VERONA);
	must(peer != NULL);
	stage_answer(peer, (size_t)(where - '0'));
	return peer;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct stage stage;
	struct world_peer *peer;
	char text[LEN_MAX + 1];

	if (len < 1 || len > LEN_MAX || memchr(bytes, '\0', len) != NULL)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	stage = stage_begin(1, CLEAR);
	peer = meet(&stage, text[0]);
	if (peer != NULL) {
		world_send(peer, text + 1);
		world_run(stage.world);
		if (!world_is_closed(peer))
			world_cut(&peer);
	}
	/* What waits for the other server is given up. */
	world_sleep(stage.world, 60 * 60 * 1000);
	world_free(&stage.world);
	return 0;
}
