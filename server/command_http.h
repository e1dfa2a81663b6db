/*
 * server/command_http.h - one request to the administration's socket.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"

struct http_reply {
	unsigned status;
	struct str body;
};

struct http_ask {
	const char *socket, *method, *path;
	json_t *body; /* NULL: none; taken */
};

/* Sends a request and reads the answer; blocks. False when no server answers,
 * with a sentence in *why_r. */
bool command_http(struct arena *, const struct http_ask *,
    struct http_reply *reply_r, struct str *why_r);
/* Text as it may stand in a path or a query. */
struct str command_http_escape(struct arena *, const char *text);
