#include "xml/jid.h"

#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "xml/prep.h"

/* RFC 7622, section 3.2: cut at the first '/', then what is left of it at the
 * first '@'. The order matters: "a@b/c@d" has the resource "c@d". */
static void
split(struct str text, struct str *local, struct str *domain,
    struct str *resource)
{
	struct str bare;

	str_cut(text, '/', &bare, resource);
	if (!str_cut(bare, '@', local, domain)) {
		*domain = bare;
		*local = STR_NONE;
	}
}

static char *
put(char *at, struct str part)
{
	if (part.len > 0)
		memcpy(at, part.text, part.len);
	return at + part.len;
}

const struct jid *
jid_make(struct arena *arena, struct str local, struct str domain,
    struct str resource)
{
	struct jid *jid;
	char *at;

	must(local.len <= PREP_PART_MAX && resource.len <= PREP_PART_MAX &&
	     domain.len > 0 && domain.len <= PREP_PART_MAX);
	jid = arena_alloc(arena, sizeof(*jid) + local.len + domain.len +
				     resource.len + sizeof("@/"));
	jid->local_len = (uint16_t)local.len;
	jid->domain_len = (uint16_t)domain.len;
	jid->resource_len = (uint16_t)resource.len;
	at = jid->text;
	if (local.len > 0) {
		at = put(at, local);
		*at++ = '@';
	}
	at = put(at, domain);
	if (resource.len > 0) {
		*at++ = '/';
		put(at, resource);
	}
	return jid;
}

const struct jid *
jid_parse(struct arena *arena, struct str text)
{
	struct str local, domain, resource;

	split(text, &local, &domain, &resource);
	if (!prep_local(arena, &local) || !prep_domain(arena, &domain) ||
	    !prep_resource(arena, &resource))
		return NULL;
	return jid_make(arena, local, domain, resource);
}

const struct jid *
jid_copy(struct arena *arena, const struct jid *jid)
{
	size_t len = sizeof(*jid) + jid_full(jid).len + 1;

	return memcpy(arena_alloc(arena, len), jid, len);
}

const struct jid *
jid_to_bare(struct arena *arena, const struct jid *jid)
{
	if (jid_is_bare(jid))
		return jid;
	return jid_make(arena, jid_local(jid), jid_domain(jid), STR_NONE);
}

const struct jid *
jid_with_resource(
    struct arena *arena, const struct jid *jid, struct str resource)
{
	return jid_make(arena, jid_local(jid), jid_domain(jid), resource);
}

const struct jid *
jid_to_domain(struct arena *arena, const struct jid *jid)
{
	return jid_make(arena, STR_NONE, jid_domain(jid), STR_NONE);
}

/* Where the domain begins: behind the localpart and its '@'. */
static size_t
domain_at(const struct jid *jid)
{
	return jid->local_len == 0 ? 0 : (size_t)jid->local_len + 1;
}

struct str
jid_local(const struct jid *jid)
{
	return (struct str){jid->text, jid->local_len};
}

struct str
jid_domain(const struct jid *jid)
{
	return (struct str){jid->text + domain_at(jid), jid->domain_len};
}

struct str
jid_resource(const struct jid *jid)
{
	size_t at = jid_bare(jid).len + (jid->resource_len == 0 ? 0 : 1);

	return (struct str){jid->text + at, jid->resource_len};
}

struct str
jid_bare(const struct jid *jid)
{
	return (struct str){jid->text, domain_at(jid) + jid->domain_len};
}

struct str
jid_full(const struct jid *jid)
{
	size_t len = jid_bare(jid).len;

	if (jid->resource_len > 0)
		len += (size_t)jid->resource_len + 1;
	return (struct str){jid->text, len};
}

bool
jid_is_bare(const struct jid *jid)
{
	return jid->resource_len == 0;
}

bool
jid_equal(const struct jid *a, const struct jid *b)
{
	return str_equal(jid_full(a), jid_full(b));
}

bool
jid_equal_bare(const struct jid *a, const struct jid *b)
{
	return str_equal(jid_bare(a), jid_bare(b));
}

uint64_t
jid_hash(const struct jid *jid)
{
	return hash_frozen(jid_bare(jid));
}
