#include "server/remote_stage.h"

#include <stdio.h>
#include <string.h>

struct stage
remote_stage(const char *yaml)
{
	char all[400];
	struct stage stage;

	snprintf(all, sizeof(all),
	    "limits.idle_ping: 0 s\nlimits.rate: 1 GiB\nlimits.burst: 1 GiB\n"
	    "%s",
	    yaml);
	stage.world = world_new(
	    &(struct world_options){.seed = 1, .shard_count = 1, .yaml = all});
	world_add_account(stage.world, ROMEO, NULL);
	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	return stage;
}

void
romeo_says(const struct stage *stage, const char *xml)
{
	world_send(stage->romeo, xml);
	world_run(stage->world);
}

void
romeo_says_to(const struct stage *stage, const char *id, const char *domain)
{
	char text[2000];

	snprintf(text, sizeof(text),
	    "<message id='%s' to='a@%s'><body>x</body></message>", id, domain);
	romeo_says(stage, text);
}

bool
neighbour_got(struct neighbour *neighbour, const char *part)
{
	const char *text = neighbour_next(neighbour);

	return text != NULL && strstr(text, part) != NULL;
}

struct remotes *
stage_remotes(const struct stage *stage)
{
	return stage->world->server.shards[0].remotes;
}
