#include "server/keys_counts.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/err.h"
#include "xml/jid.h"

#define PLACE_LEN 16

const struct store_kind keys_counts_kind = {
    .name = "scram-counts", .shape = STORE_MAP};

/* Where the name lies among those of its host. */
static struct str
place(struct arena *arena, const uint8_t secret[32], const struct jid *jid)
{
	struct str bare = jid_bare(jid);
	struct str text = str_format(arena, "place %.*s", STR_ARG(bare));
	char *made = arena_text(arena, 32);

	must(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, 32, text.text,
		 text.len, made) == 0);
	return (struct str){made, PLACE_LEN};
}

/* Localparts have no NUL, hosts neither. */
static struct str
host_prefix(struct arena *arena, const struct jid *jid)
{
	return store_key2(arena, jid_domain(jid), STR_NONE);
}

static struct str
key_of(struct arena *arena, const uint8_t secret[32], const struct jid *jid)
{
	return str_join2(
	    arena, host_prefix(arena, jid), place(arena, secret, jid));
}

void
keys_counts_put(struct store_write *write, const uint8_t secret[32],
    const struct jid *jid, const struct keys *keys)
{
	struct arena *arena = arena_make(0);

	store_put(write, OWNER_COUNTS, &keys_counts_kind,
	    key_of(arena, secret, jid),
	    str_format(arena, "%u %u %u", keys->of[KEY_SHA1].iterations,
		keys->of[KEY_SHA256].iterations,
		keys->of[KEY_SHA512].iterations));
	arena_free(&arena);
}

void
keys_counts_remove(
    struct store_write *write, const uint8_t secret[32], const struct jid *jid)
{
	struct arena *arena = arena_make(0);

	store_remove(
	    write, OWNER_COUNTS, &keys_counts_kind, key_of(arena, secret, jid));
	arena_free(&arena);
}

void
keys_counts_find(struct store *store, struct store_scan *scan,
    struct arena *arena, const uint8_t secret[32], const struct jid *jid,
    void (*done)(struct store_scan *))
{
	store_scan(store, scan, arena,
	    &(struct map_query){.owner = OWNER_COUNTS,
		.kind = &keys_counts_kind,
		.prefix = host_prefix(arena, jid),
		.after = key_of(arena, secret, jid),
		.max = 1},
	    done);
}

bool
keys_counts_read(const struct store_scan *scan, struct key_counts *counts)
{
	struct str rest, one;
	uint64_t count, all = 0;

	if (scan->err != ERR_NONE || scan->count == 0)
		return false;
	rest = scan->rows[0].value;
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		str_cut(rest, ' ', &one, &rest);
		if (!str_to_u64(one, UINT32_MAX, &count))
			return false;
		counts->of[i] = (uint32_t)count;
		all += count;
	}
	return all > 0;
}
