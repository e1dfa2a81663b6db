/*
 * server/dane_fuzz.c - TLSA records against a chain: each is usage, selector,
 * matching type, length and so many bytes.
 */
#include <stdint.h>

#include "base/err.h"
#include "server/dane.h"
#include "server/forge.h"

#define RECORDS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct chain *
chain_once(void)
{
	static const struct forge_options root = {
	    .name = "Root", .is_authority = true};
	static const struct forge_options leaf = {
	    .name = "Leaf", .dns = {"a.example"}};
	static struct arena *arena;
	static struct chain chain;

	if (arena == NULL) {
		struct forged *issuer, *own;

		arena = arena_make(0);
		issuer = forge(arena, &root, NULL);
		own = forge(arena, &leaf, issuer);
		must(chain_read(arena,
		    (const struct str[]){own->der, issuer->der}, 2, &chain));
		forged_free(&own);
		forged_free(&issuer);
	}
	return &chain;
}

static size_t
read_records(struct str in, struct dns_record records[RECORDS_MAX])
{
	size_t count = 0;

	while (in.len >= 4 && count < RECORDS_MAX) {
		const uint8_t *head = (const uint8_t *)in.text;
		size_t len = head[3] < in.len - 4 ? head[3] : in.len - 4;

		records[count++] = (struct dns_record){.usage = head[0],
		    .selector = head[1],
		    .matching = head[2],
		    .association = {in.text + 4, len}};
		in.text += 4 + len;
		in.len -= 4 + len;
	}
	return count;
}

/* libFuzzer sees what is compared, and so comes to guess a digest. */
static bool
can_hold(const struct dns_record *record)
{
	static const size_t digest_lens[] = {0, 32, 64};
	size_t len = record->association.len;

	return (record->usage == 2 || record->usage == 3) &&
	       record->selector <= 1 && record->matching <= 2 && len > 0 &&
	       (record->matching == 0 || len == digest_lens[record->matching]);
}

static bool
any_can_hold(const struct dane_ask *ask)
{
	for (size_t i = 0; i < ask->count; i++)
		if (can_hold(&ask->records[i]))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	struct dns_record records[RECORDS_MAX];
	const struct name_wanted name = {STR("a.example"), STR("a.example")};
	unsigned looks_left = DANE_LOOKS_MAX;
	const struct dane_ask ask = {
	    .records = records,
	    .count =
		read_records((struct str){(const char *)bytes, len}, records),
	    .chain = chain_once(),
	    .domain = name,
	    .target = name,
	    .authorities = STR("/dev/null"),
	    .looks_left = &looks_left,
	};
	struct str why = STR_NONE;
	int64_t ends_s;
	enum dane_result result = dane_check(&ask, arena, &ends_s, &why);

	must(result != DANE_HOLDS || any_can_hold(&ask));
	must(result != DANE_REFUSED || why.len > 0);
	arena_free(&arena);
	return 0;
}
