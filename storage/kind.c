#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "storage/backend.h"

#define KEY_SEP '\0'

/* PostgreSQL takes no more than 1 MiB of words with their places, which is
 * less than eight times their text. */
#define WORDS_LEN_MAX (128u << 10)

struct str
store_key2(struct arena *arena, struct str a, struct str b)
{
	char *text = arena_text(arena, a.len + 1 + b.len);

	if (a.len > 0)
		memcpy(text, a.text, a.len);
	text[a.len] = KEY_SEP;
	if (b.len > 0)
		memcpy(text + a.len + 1, b.text, b.len);
	return (struct str){text, a.len + 1 + b.len};
}

struct str
store_key3(struct arena *arena, struct str a, struct str b, struct str c)
{
	return store_key2(arena, store_key2(arena, a, b), c);
}

struct str
store_key_part(struct str key, unsigned index)
{
	struct str part, rest = key;

	do {
		if (rest.text == NULL)
			return STR_NONE;
		str_cut(rest, KEY_SEP, &part, &rest);
	} while (index-- > 0);
	return part;
}

bool
store_may_be_fresh(const struct store_kind *kind)
{
	return kind->shape == STORE_LOG &&
	       (kind->flags & ~(unsigned)(KIND_PEER | KIND_TEXT)) == 0;
}

uint64_t
store_log_id(uint64_t last)
{
	uint64_t now = clock_wall_us();

	return now > last ? now : last + 1;
}

/* One bit less than there is, so that it is a positive number everywhere. */
static uint32_t
number_of(const char *name)
{
	return (uint32_t)(hash_frozen(str_of(name)) & INT32_MAX);
}

struct kind_slot *
store_kind_slot(struct store *store, const struct store_kind *kind)
{
	size_t at = ((uintptr_t)kind / sizeof(*kind)) & (KINDS_MAX - 1);
	size_t seen = 0;

	while (store->kinds[at].kind != NULL && store->kinds[at].kind != kind) {
		at = (at + 1) & (KINDS_MAX - 1);
		must(++seen < KINDS_MAX);
	}
	if (store->kinds[at].kind == NULL)
		store->kinds[at] = (struct kind_slot){
		    .kind = kind, .id = number_of(kind->name)};
	return &store->kinds[at];
}

struct str
store_key_below(struct arena *arena, struct str prefix)
{
	struct str below = str_dup(arena, prefix);
	char *text = arena_text(arena, below.len + 1);

	while (
	    below.len > 0 && (unsigned char)below.text[below.len - 1] == 0xff)
		below.len--;
	if (below.len == 0)
		return STR_NONE;
	memcpy(text, below.text, below.len);
	text[below.len - 1]++;
	return (struct str){text, below.len};
}

uint64_t
store_thread(struct str peer)
{
	struct str bare, rest;

	str_cut(peer, '/', &bare, &rest);
	return hash_frozen(bare);
}

struct str
store_words(struct arena *arena, owner_id owner, struct str text)
{
	text = str_shorten_utf8(text, WORDS_LEN_MAX);
	return str_format(
	    arena, "owner%llu %.*s", (unsigned long long)owner, STR_ARG(text));
}

/* FTS5 reads signs and the words AND, OR and NOT outside of quotes. */
static struct str
quoted(struct arena *arena, struct str words)
{
	char *text = arena_text(arena, 4 * words.len + 4);
	struct str word, rest = words;
	size_t len = 0;

	do {
		str_cut(rest, ' ', &word, &rest);
		if (word.len == 0)
			continue;
		text[len++] = '"';
		for (size_t i = 0; i < word.len; i++) {
			if (word.text[i] != '"')
				text[len++] = word.text[i];
		}
		text[len++] = '"';
		text[len++] = ' ';
	} while (rest.text != NULL);
	return (struct str){text, len};
}

struct str
store_words_wanted(const struct store *store, struct arena *arena,
    owner_id owner, struct str words)
{
	struct str text = store_words(arena, owner, words);

	return store->storage->backend->quotes_words ? quoted(arena, text)
						     : text;
}
