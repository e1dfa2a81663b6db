/*
 * bench/scram.h - the client's side of SCRAM-SHA-1, RFC 5802.
 *
 * The salted keys of an account are remembered, as clients do, so that a
 * second login costs the load generator two HMACs. The server's signature is
 * not looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_TEXT_MAX 512 /* of what is sent and of the nonce, with NUL */
#define SCRAM_KEY_LEN  20

/* Of one account; all zero at first. */
struct scram_keys {
	char salt[64]; /* as it came, base64 */
	unsigned rounds;
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t stored_key[SCRAM_KEY_LEN];
};

/* Writes base64 of what a client says first. */
void scram_first(const char *user, char *text_r);

/* The same for PLAIN, RFC 4616. */
void scram_plain(const char *user, const char *password, char *text_r);

/* Answers a server's first message, given as base64 of `len` bytes. False
 * when it is not one. */
bool scram_answer(struct scram_keys *, const char *user, const char *password,
    const char *challenge, size_t len, char *text_r);
