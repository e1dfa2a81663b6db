/*
 * server/http.h - a small HTTP/1.1 server (RFC 9112) on a Unix socket.
 *
 * One request per connection: it is read whole, handed over, answered, and the
 * connection closes. Limits: 16 KiB of head, 1 MiB of body, 30 s for both, 64
 * connections; what breaks them, or ends before its time, is answered with 4xx.
 * Who does not read the answer within 30 s is cut off.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

typedef struct uv_loop_s uv_loop_t;

struct http_server;

struct http_request {
	struct arena *arena; /* lifetime: request */
	struct str method;   /* "GET" */
	struct str path;     /* "/v1/status", percent-decoded, without query */
	struct str query;    /* behind the '?', as it came */
	struct str body;
};

/* Listens on a socket file of mode 0660, replacing a stale one. NULL with a
 * sentence in *why_r (in arena). on_request owes each request an answer. */
struct http_server *http_open(struct arena *, uv_loop_t *, const char *path,
    void (*on_request)(struct http_request *, void *owner), void *owner,
    struct str *why_r);
/* Stops listening and drops requests that are not answered yet (their answers
 * go nowhere); closed is called when the loop holds nothing of it. */
void http_close(struct http_server *, void (*closed)(void *), void *arg);

/* Answers and takes the request. type is a media type. */
void http_answer(
    struct http_request *, unsigned status, const char *type, struct str body);
/* The value of a parameter in the query, percent-decoded; text NULL when it is
 * not there. */
struct str http_parameter(const struct http_request *, const char *name);
/* "Not Found". */
const char *http_status_text(unsigned status);
