/*
 * base/hash.h - hashes of bytes.
 *
 * hash_frozen never changes between releases or machines: places are made of
 * it. hash_keyed (SipHash-1-3 under a key drawn at start) is for tables whose
 * keys a peer chooses, so that nobody can pick colliding ones.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

uint64_t hash_frozen(struct str); /* pinned by hash_test.c */
uint64_t hash_keyed(struct str);
/* SipHash-2-4 under a secret: nobody without it can tell the hash from chance.
 */
uint64_t hash_secret(const uint8_t key[16], struct str);
/* The key of hash_keyed; tests give a fixed one. Once, before any thread. */
void hash_set_key(const uint8_t key[16]);
