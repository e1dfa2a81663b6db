/*
 * server/scram.h - SCRAM, RFC 5802 and 7677: its messages and its proof, free
 * of SASL, so that the RFCs' vectors can be played.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "server/keys.h"

#define SCRAM_HASH_MAX 64

enum scram_binding { SCRAM_BINDING_NONE, SCRAM_BINDING_UNUSED, SCRAM_BINDING };

/* The client's first message. */
struct scram_first {
	enum scram_binding flag; /* n, y, p */
	struct str binding;      /* p: the name of the type */
	struct str authzid;      /* unescaped; empty without */
	struct str user;         /* unescaped */
	struct str nonce;
	struct str gs2_header; /* with the comma at its end */
	struct str bare;       /* client-first-message-bare */
};

/* The client's final message. */
struct scram_final {
	struct str binding; /* decoded c= */
	struct str nonce;
	struct str proof; /* decoded */
	struct str without_proof;
};

/* Views into the message, or text of the arena. False when malformed. */
bool scram_read_first(struct arena *, struct str, struct scram_first *first_r);
bool scram_read_final(struct arena *, struct str, struct scram_final *final_r);

/* Length of the hash's digest. */
size_t scram_hash_len(enum key_hash);
/* Whether the proof is right for the AuthMessage; in constant time. */
bool scram_proves(enum key_hash, const struct scram_keys *,
    struct str auth_message, struct str proof);
/* v=... of the server's final message. */
struct str scram_signature(struct arena *, enum key_hash,
    const struct scram_keys *, struct str auth_message);
/* Equal bytes, in a time that only the lengths decide. */
bool scram_equal(struct str, struct str);
