#include "server/s2s_limits.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/stream_pace.h"

#define NS_LIMITS "urn:xmpp:stream-limits:0"

void
s2s_limits_read(struct s2s *s2s, const struct node *parent)
{
	const struct node *limits = node_child(parent, "limits", NS_LIMITS);
	struct arena *arena = arena_make(0);
	struct str max = node_child_text(arena, limits, "max-bytes", NS_LIMITS);
	struct str idle =
	    node_child_text(arena, limits, "idle-seconds", NS_LIMITS);

	s2s->max_bytes = s2s->idle_s = 0;
	if (max.text != NULL)
		(void)str_to_u64(str_trim(max), UINT64_MAX, &s2s->max_bytes);
	if (idle.text != NULL)
		(void)str_to_u64(str_trim(idle), UINT32_MAX, &s2s->idle_s);
	arena_free(&arena);
}

static void
add_number(struct node *parent, const char *name, uint64_t number)
{
	node_add_with_text(parent, name, NS_LIMITS,
	    str_format(parent->arena, "%llu", (unsigned long long)number));
}

void
s2s_limits_add(struct s2s *s2s, struct node *parent, bool is_proved)
{
	const struct host *host = s2s->stream.host;
	const struct config *config = setup_config(host->setup);
	struct node *limits = node_add(parent, "limits", NS_LIMITS);

	add_number(limits, "max-bytes",
	    is_proved ? host_bytes(host, SETTING(LIMITS_STANZA))
		      : stream_max_bytes(&s2s->stream));
	add_number(limits, "idle-seconds",
	    config_ms(config, CONFIG_GLOBAL,
		is_proved ? SETTING(S2S_IDLE) : SETTING(LIMITS_AUTH_TIME)) /
		1000);
}
