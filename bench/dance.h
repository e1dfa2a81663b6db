/*
 * bench/dance.h - how a session logs in: RFC 6120, sections 5 to 7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct client;

void dance_start(struct client *);

/* TLS has begun. */
void dance_secured(struct client *);

/* Of all that was heard since the last step. True when that was what it
 * waited for: it is used up, and the next step begun. */
bool dance_step(struct client *, const char *text, size_t len);
