/* PLAIN, RFC 4616, and the memory of what was proved once. */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/rand.h"
#include "server/sasl_mechanisms.h"
#include "server/scram.h"
#include "xml/prep.h"

/* Of all shards together; a newer proof takes the place of an older one. 16
 * bytes of the hash are what a guess would have to meet. */
#define MEMORY_COUNT 65536
#define MEMORY_LEN   16

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	uint8_t key[32];
	uint8_t proofs[MEMORY_COUNT][MEMORY_LEN];
} memory = {
    .once = PTHREAD_ONCE_INIT,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

static void
draw_key(void)
{
	rand_bytes(memory.key, sizeof(memory.key));
}

static void
add(gnutls_hmac_hd_t hmac, struct str part)
{
	uint64_t len = part.len;

	must(gnutls_hmac(hmac, &len, sizeof(len)) >= 0);
	must(part.len == 0 || gnutls_hmac(hmac, part.text, part.len) >= 0);
}

/* Of who, of the keys that it was proved against (new ones after a change of
 * the password), and of the password. */
static void
make_proof(const struct sasl *sasl, uint8_t proof[32])
{
	gnutls_hmac_hd_t hmac;

	pthread_once(&memory.once, draw_key);
	must(gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, memory.key,
		 sizeof(memory.key)) >= 0);
	add(hmac, jid_full(sasl->jid));
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++)
		add(hmac, sasl->keys->of[i].stored_key);
	add(hmac, sasl->password);
	gnutls_hmac_deinit(hmac, proof);
}

static uint8_t *
place_of(const struct sasl *sasl)
{
	return memory.proofs[hash_keyed(jid_full(sasl->jid)) % MEMORY_COUNT];
}

void
plain_remember(const struct sasl *sasl)
{
	uint8_t proof[32];

	make_proof(sasl, proof);
	pthread_mutex_lock(&memory.lock);
	memcpy(place_of(sasl), proof, MEMORY_LEN);
	pthread_mutex_unlock(&memory.lock);
}

static bool
is_remembered(const struct sasl *sasl)
{
	uint8_t proof[32], kept[MEMORY_LEN];

	make_proof(sasl, proof);
	pthread_mutex_lock(&memory.lock);
	memcpy(kept, place_of(sasl), MEMORY_LEN);
	pthread_mutex_unlock(&memory.lock);
	return gnutls_memcmp(kept, proof, MEMORY_LEN) == 0;
}

/* Section 2: [authzid] NUL authcid NUL passwd. */
enum sasl_step
plain_take(struct sasl *sasl, struct str message)
{
	struct str authzid, authcid, password, rest;

	if (!str_is_utf8(message) || !str_cut(message, '\0', &authzid, &rest) ||
	    !str_cut(rest, '\0', &authcid, &password) || authcid.len == 0 ||
	    password.len == 0 ||
	    memchr(password.text, '\0', password.len) != NULL)
		return sasl_fail(sasl, SASL_ERR_MALFORMED_REQUEST);
	if (!sasl_set_identity(sasl, authcid, authzid))
		return SASL_FAILURE;
	sasl->password = str_dup(sasl->arena, password);
	if (!prep_password(sasl->arena, &sasl->password))
		return sasl_fail(sasl, SASL_ERR_NOT_AUTHORIZED);
	return SASL_ASK_KEYS;
}

enum sasl_step
plain_take_keys(struct sasl *sasl)
{
	/* Looked for also for who does not exist: it takes its time. */
	if (is_remembered(sasl) && sasl->keys->exists)
		return sasl_admit(sasl);
	return SASL_CHECK_PASSWORD;
}
