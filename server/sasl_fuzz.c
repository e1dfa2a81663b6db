/*
 * server/sasl_fuzz.c - a SASL exchange: the first line names the mechanism,
 * each other one is a message of the client. Nobody gets in.
 */
#include <stdint.h>

#include "base/err.h"
#include "server/sasl.h"

#define MESSAGES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct keys *
keys_once(void)
{
	static const uint8_t secret[32];
	static struct arena *arena;
	static struct keys keys;

	if (arena == NULL) {
		arena = arena_make(0);
		keys_fill(arena, secret, STR("romeo@montague.example"),
		    &(struct key_counts){{1, 1, 1}}, &keys);
	}
	return &keys;
}

static enum sasl_step
go_on(struct sasl *sasl, enum sasl_step step)
{
	if (step == SASL_ASK_KEYS)
		step = sasl_take_keys(sasl, keys_once());
	if (step == SASL_CHECK_PASSWORD)
		step = sasl_take_check(sasl, false);
	return step;
}

static void
play(struct sasl *sasl, const struct sasl_mechanism *mechanism,
    struct str messages)
{
	struct str message, rest;
	enum sasl_step step;

	str_cut(messages, '\n', &message, &rest);
	step = go_on(sasl, sasl_start(sasl, mechanism, message));
	for (unsigned i = 0; i < MESSAGES_MAX && step == SASL_CHALLENGE; i++) {
		str_cut(rest, '\n', &message, &rest);
		if (message.text == NULL)
			message = STR("");
		step = go_on(sasl, sasl_take(sasl, message));
	}
	must(step != SASL_SUCCESS || sasl->keys == NULL);
	must(step != SASL_FAILURE || sasl->err != SASL_ERR_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str input = {(const char *)bytes, len}, name, messages;
	struct sasl_channel channel = {
	    .host = STR("montague.example"),
	    .is_secure = true,
	    .has_exporter = true,
	    .exporter = STR("0123456789abcdef0123456789abcdef"),
	    .certificate = STR("no certificate"),
	};
	struct sasl sasl = {.channel = &channel};
	const struct sasl_mechanism *mechanism;

	str_cut(input, '\n', &name, &messages);
	mechanism = sasl_find(name);
	if (mechanism == NULL)
		return 0;
	sasl.arena = arena_make(0);
	play(&sasl, mechanism, messages);
	arena_free(&sasl.arena);
	return 0;
}
