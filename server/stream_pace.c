#include "server/stream_pace.h"

#include "base/clock.h"
#include "server/conn.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream_internal.h"

/* The load of the store, in percent, from which on streams are slowed down, up
 * to which they are more and more, and for how long each percent does it. */
#define STORE_BUSY     3
#define STORE_FULL     100
#define STORE_PAUSE_MS 5

static unsigned
config_host(const struct stream *stream)
{
	return stream->host == NULL ? CONFIG_GLOBAL : stream->host->index;
}

uint64_t
stream_setting(const struct stream *stream, enum settings_index index)
{
	const struct config *config = setup_config(stream->shard->setup);
	const struct setting *setting = &server_settings[index];

	switch (setting->type) {
	case SETTING_TIME:
		return config_ms(config, config_host(stream), setting);
	case SETTING_SIZE:
		return config_bytes(config, config_host(stream), setting);
	default:
		return config_int(config, config_host(stream), setting);
	}
}

uint64_t
stream_limit_of(const struct stream *stream, enum settings_index first,
    enum settings_index later)
{
	const uint64_t most = stream_setting(stream, later);
	const uint64_t few = stream_setting(stream, first);

	return !stream->is_authenticated && few < most ? few : most;
}

uint64_t
stream_max_bytes(const struct stream *stream)
{
	return stream_limit_of(
	    stream, SETTINGS_LIMITS_FIRST_STANZA, SETTINGS_LIMITS_STANZA);
}

int64_t
stream_burst(const struct stream *stream)
{
	return (int64_t)stream_limit_of(
	    stream, SETTINGS_LIMITS_FIRST_BURST, SETTINGS_LIMITS_BURST);
}

void
stream_set_reading(struct stream *stream, bool is_reading)
{
	const uint64_t now_ms = clock_mono_ms();

	if (!is_reading && stream->unread_since_ms == 0) {
		stream->unread_since_ms = now_ms;
	} else if (is_reading && stream->unread_since_ms != 0) {
		stream->unread_ms += now_ms - stream->unread_since_ms;
		stream->unread_since_ms = 0;
	}
	conn_set_reading(stream->conn, is_reading);
}

uint64_t
stream_reading_ms(const struct stream *stream)
{
	const uint64_t until_ms = stream->unread_since_ms != 0
				      ? stream->unread_since_ms
				      : clock_mono_ms();

	return until_ms - stream->unread_ms;
}

static void
pause_over(struct timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, pause);

	stream_set_reading(stream, !stream->is_held);
}

void
stream_hold(struct stream *stream, bool is_held)
{
	if (stream->is_held == is_held)
		return;
	stream->is_held = is_held;
	if (!timer_is_running(&stream->pause))
		stream_set_reading(stream, !is_held);
}

/* Servers and components speak for many. */
static bool
is_of_many(const struct stream *stream)
{
	return stream->role->is_of_servers || stream->role->serves != NULL;
}

static void
pause_reading(struct stream *stream, uint64_t ms)
{
	if (timer_is_running(&stream->pause))
		return;
	stream_set_reading(stream, false);
	timer_start(stream->shard, &stream->pause, ms, pause_over);
}

/* Bytes a second; 0: any. */
static int64_t
rate_of(const struct stream *stream)
{
	const uint64_t first =
	    stream_setting(stream, SETTINGS_LIMITS_FIRST_RATE);
	const uint64_t later = stream_setting(
	    stream, is_of_many(stream) && stream->is_authenticated
			? SETTINGS_S2S_RATE
			: SETTINGS_LIMITS_RATE);

	if (stream->is_authenticated || first == 0)
		return (int64_t)later;
	return (int64_t)(later == 0 || first < later ? first : later);
}

/* A token bucket; who overdraws it is not read until it has recovered. */
static void
charge(struct stream *stream, size_t len)
{
	int64_t rate = rate_of(stream);
	int64_t burst = stream_burst(stream);
	const int64_t passed_ms =
	    (int64_t)(stream->heard_ms - stream->credit_ms);

	if (rate == 0)
		return;
	stream->credit_ms = stream->heard_ms;
	if (passed_ms > (burst - stream->credit) * 1000 / rate)
		stream->credit = burst;
	else
		stream->credit += passed_ms * rate / 1000;
	stream->credit -= (int64_t)len;
	if (stream->credit < 0)
		pause_reading(
		    stream, (uint64_t)(-stream->credit * 1000 / rate) + 1);
}

/* Whoever is heard may cause writes: when many wait in the store, each waits a
 * moment, which is longer the more there are, but never so long that a peer
 * would think that nobody is there. */
static void
yield_to_store(struct stream *stream)
{
	const unsigned load = store_load(stream->shard->store);
	const unsigned slow = load < STORE_FULL ? load : STORE_FULL;

	if (load >= STORE_BUSY)
		pause_reading(stream, slow * STORE_PAUSE_MS);
}

void
stream_pace(struct stream *stream, size_t len)
{
	charge(stream, len);
	yield_to_store(stream);
}
