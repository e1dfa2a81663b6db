/*
 * server/acquaintance.h - domains that presence was exchanged with.
 *
 * Nobody here misses a domain that is not among them. A filter of fixed size,
 * for any thread: a domain that was added is always found, another one perhaps.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define ACQUAINTANCE_BITS 65536

struct acquaintances {
	_Atomic uint64_t words[ACQUAINTANCE_BITS / 64];
};

void acquaintance_add(struct acquaintances *, struct str domain);
bool acquaintance_find(const struct acquaintances *, struct str domain);
