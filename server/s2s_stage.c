#include "server/s2s_stage.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote_private.h"
#include "server/s2s.h"
#include "server/s2s_internal.h"

struct stage
stage_begin(uint64_t seed, const char *yaml)
{
	struct stage stage = {.world = world_new(&(struct world_options){
				  .seed = seed, .yaml = yaml})};

	stage.world->server.s2s_connect = s2s_connect;
	world_serve(stage.world, VERONA, WORLD_OPEN);
	world_add_account(stage.world, ROMEO, NULL);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	for (unsigned i = 0; i < stage.world->server.shard_count; i++)
		(void)link_know(&stage.world->server.shards[i],
		    STR("montague.example"), STR(VERONA));
	return stage;
}

void
stage_reload(const struct stage *stage, const char *settings)
{
	char yaml[512];

	snprintf(yaml, sizeof(yaml),
	    "%shosts: {montague.example: {}, capulet.example: {}}\n"
	    "shards: 2\n",
	    settings);
	world_reload(stage->world, yaml);
}

void
stage_say(const struct stage *stage, const char *id)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<message type='chat' id='%s' to='escalus@" VERONA "'>"
	    "<body>x</body></message>",
	    id);
	world_send(stage->romeo, text);
	world_run(stage->world);
}

bool
stage_comes(struct world_peer *peer, const char *part)
{
	const char *text;

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL)
		if (strstr(text, part) != NULL)
			return true;
	return false;
}

/* What the peer says next when the server's part has come. */
static const struct line {
	const char *awaited, *said;
	bool is_new; /* the server's stream begins anew */
} lines[] = {
    {"<stream:stream>",
	ANSWER "<stream:features><starttls" NS("tls") "/></stream:features>"},
    {"<starttls", "<proceed" NS("tls") "/>", true},
    {"<stream:stream>",
	ANSWER "<stream:features><dialback xmlns='urn:xmpp:features:dialback'>"
	       "<errors/></dialback><sm xmlns='urn:xmpp:sm:3'/>"
	       "</stream:features>"},
    {"<result", "<db:result" PAIR " type='valid'/>"},
    {"<enable", "<enabled xmlns='urn:xmpp:sm:3'/>"},
};

_Static_assert(
    sizeof(lines) / sizeof(lines[0]) == STAGE_LINES, "of a negotiation");

void
stage_answer(struct world_peer *peer, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CHECK(stage_comes(peer, lines[i].awaited));
		world_send(peer, lines[i].said);
		if (lines[i].is_new)
			world_peer_restart(peer);
		world_run(peer->world);
	}
}

struct world_peer *
stage_dialled(const struct stage *stage, size_t count)
{
	struct world_peer *peer = world_dialled(stage->world, VERONA);

	must(peer != NULL);
	stage_answer(peer, count);
	return peer;
}

struct world_peer *
stage_answer_both_ways(const struct stage *stage)
{
	struct world_peer *peer = world_dialled(stage->world, VERONA);

	must(peer != NULL);
	stage_answer(peer, 2);
	CHECK(stage_comes(peer, "<stream:stream>"));
	world_send(peer, ANSWER
	    "<stream:features><dialback xmlns='urn:xmpp:features:dialback'>"
	    "<errors/></dialback><bidi xmlns='urn:xmpp:features:bidi'/>"
	    "<sm xmlns='urn:xmpp:sm:3'/></stream:features>");
	CHECK(stage_comes(peer, "<result"));
	world_send(peer, "<db:result" PAIR " type='valid'/>");
	return peer;
}

unsigned
stage_attempts(const struct stage *stage)
{
	const struct server *server = &stage->world->server;
	unsigned count = 0;

	for (unsigned i = 0; i < server->shard_count; i++)
		count += server->shards[i].attempt_count;
	return count;
}

struct world_peer *
stage_arrive(const struct stage *stage)
{
	struct world_peer *peer = world_peer_new(stage->world);
	struct conn *conn = &peer->conn->conn;

	conn->is_secure = conn->is_direct_tls = false;
	shard_enter(conn->shard);
	s2s_accept(conn->shard, conn);
	return peer;
}

bool
stage_vouch(const struct stage *stage, const char *type)
{
	struct world_peer *peer = world_dialled(stage->world, VERONA);
	char said[300];
	const char *id, *text;

	if (peer == NULL)
		return false;
	stage_answer(peer, 2);
	CHECK(stage_comes(peer, "<stream:stream>"));
	world_send(peer, lines[2].said);
	world_run(stage->world);
	text = world_next(peer);
	CHECK(text != NULL && strstr(text, "<verify") != NULL);
	id = strstr(text, " id='") + 5;
	snprintf(said, sizeof(said), "<db:verify" PAIR " type='%s' id='%.*s'/>",
	    type, (int)strcspn(id, "'"), id);
	world_send(peer, said);
	world_run(stage->world);
	return true;
}

struct world_peer *
stage_arrive_with_key(const struct stage *stage)
{
	struct world_peer *peer = stage_arrive(stage);

	world_send(peer, OPENING);
	CHECK(stage_comes(peer, "features"));
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage->world);
	return peer;
}

struct world_peer *
stage_arrive_proved(const struct stage *stage)
{
	struct world_peer *peer = stage_arrive_with_key(stage);

	CHECK(stage_vouch(stage, "valid"));
	CHECK(stage_comes(peer, "type='valid'"));
	return peer;
}

struct s2s *
stage_s2s(struct world_peer *peer)
{
	struct shard *shard = peer->conn->conn.shard;
	struct stream *stream = NULL;

	while ((stream = stream_next(shard, stream)) != NULL)
		if (stream->conn == &peer->conn->conn)
			return s2s_of(stream);
	fail_msg("there is no such stream");
	return NULL;
}

static struct world_peer *
arrive_certified(
    const struct stage *stage, const char *domain, const char *first)
{
	struct world_peer *peer = stage_arrive(stage);
	char opening[300];

	snprintf(opening, sizeof(opening), HEAD("from='%s' %s"), domain,
	    "to='montague.example'");
	world_send(peer, opening);
	CHECK(stage_comes(peer, "features"));
	stage_s2s(peer)->certified = PROOF_PKIX;
	world_send(peer, first);
	world_send(peer, "<auth" NS("sasl") " mechanism='EXTERNAL'>=</auth>");
	CHECK(stage_comes(peer, "<success"));
	world_peer_restart(peer);
	world_send(peer, opening);
	CHECK(stage_comes(peer, "features"));
	return peer;
}

struct world_peer *
stage_arrive_certified(const struct stage *stage, const char *domain)
{
	return arrive_certified(stage, domain, "<bidi xmlns='urn:xmpp:bidi'/>");
}

struct world_peer *
stage_arrive_one_way(const struct stage *stage, const char *domain)
{
	return arrive_certified(stage, domain, "");
}
