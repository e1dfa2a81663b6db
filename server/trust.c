#include "server/trust.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/pkix.h"

/* The system's are read again so often; where they are only GnuTLS knows. */
#define SYSTEM_MS ((uint64_t)24 * 3600 * 1000)
/* Hosts may have authorities of their own. */
#define SHARED_MAX 8

struct trust {
	atomic_uint refs;
	gnutls_x509_trust_list_t list;
	bool owns_certs;
	gnutls_x509_crl_t *lists; /* of what is revoked */
	unsigned list_count;
	struct timespec changed, lists_changed; /* of the files */
	uint64_t read_ms;
	char *path, *lists_path;
};

static struct {
	pthread_mutex_t lock;
	struct trust *items[SHARED_MAX]; /* the last used first */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char *
copy(const char *text)
{
	char *made = strdup(text);

	must(made != NULL);
	return made;
}

static struct trust *
make(const char *path, const char *lists_path)
{
	struct trust *trust = calloc(1, sizeof(*trust));

	must(trust != NULL);
	atomic_init(&trust->refs, 1);
	trust->path = copy(path);
	trust->lists_path = copy(lists_path);
	must(gnutls_x509_trust_list_init(&trust->list, 0) >= 0);
	return trust;
}

void
trust_drop(struct trust **trust)
{
	struct trust *dropped = *trust;

	*trust = NULL;
	if (dropped == NULL || atomic_fetch_sub(&dropped->refs, 1) > 1)
		return;
	gnutls_x509_trust_list_deinit(dropped->list, dropped->owns_certs);
	for (unsigned i = 0; i < dropped->list_count; i++)
		gnutls_x509_crl_deinit(dropped->lists[i]);
	gnutls_free(dropped->lists);
	free(dropped->path);
	free(dropped->lists_path);
	free(dropped);
}

gnutls_x509_trust_list_t
trust_list(const struct trust *trust)
{
	return trust->list;
}

struct trust *
trust_of_one(gnutls_x509_crt_t crt)
{
	struct trust *trust = make("", "");

	must(gnutls_x509_trust_list_add_cas(trust->list, &crt, 1, 0) >= 0);
	return trust;
}

gnutls_x509_crt_t
trust_issuer_of(const struct trust *trust, gnutls_x509_crt_t crt)
{
	gnutls_x509_crt_t issuer;

	if (gnutls_x509_trust_list_get_issuer(trust->list, crt, &issuer, 0) < 0)
		return NULL;
	return issuer;
}

gnutls_x509_crt_t
trust_root_of(const struct trust *trust, const struct chain *chain)
{
	return trust_issuer_of(trust, chain->certs[chain->count - 1]);
}

/* Who keeps the lists from being replaced shall not gain by it, and nobody by
 * the hash that an old authority signs with. */
static bool
is_signed_by(gnutls_x509_crl_t list, gnutls_x509_crt_t issuer)
{
	const unsigned dates = GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED |
			       GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE |
			       GNUTLS_CERT_INVALID;
	unsigned status;

	return gnutls_x509_crl_check_issuer(list, issuer) != 0 &&
	       gnutls_x509_crl_verify(list, &issuer, 1,
		   GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1, &status) >= 0 &&
	       (status & ~dates) == 0;
}

bool
trust_has_revoked(
    const struct trust *trust, gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer)
{
	for (unsigned i = 0; i < trust->list_count; i++)
		if (is_signed_by(trust->lists[i], issuer) &&
		    gnutls_x509_crt_check_revocation(
			crt, &trust->lists[i], 1) == 1)
			return true;
	return false;
}

/* --- those of files ------------------------------------------------------- */

static struct timespec
changed_at(const char *path)
{
	struct stat file;

	if (*path == '\0' || stat(path, &file) != 0)
		return (struct timespec){0, 0};
	return file.st_mtim;
}

static bool
is_same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
is_fresh(const struct trust *trust)
{
	if (!is_same(changed_at(trust->lists_path), trust->lists_changed))
		return false;
	if (*trust->path == '\0')
		return clock_mono_ms() - trust->read_ms < SYSTEM_MS;
	return is_same(changed_at(trust->path), trust->changed);
}

static bool
read_authorities(struct trust *trust, struct arena *arena, struct str *why_r)
{
	const char *path = trust->path;
	int count;

	trust->owns_certs = true;
	trust->changed = changed_at(path);
	trust->read_ms = clock_mono_ms();
	errno = 0;
	if (*path == '\0')
		count =
		    gnutls_x509_trust_list_add_system_trust(trust->list, 0, 0);
	else
		count = gnutls_x509_trust_list_add_trust_file(
		    trust->list, path, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	if (count > 0)
		return true;
	*why_r = str_format(arena,
	    "there are no authorities to trust in %s (%s); install "
	    "ca-certificates or set s2s.authorities to a file in PEM form",
	    *path == '\0' ? "the system's store" : path,
	    errno != 0 ? strerror(errno) : "no certificate is in it");
	return false;
}

static bool
read_lists(struct trust *trust, struct arena *arena, struct str *why_r)
{
	const char *path = trust->lists_path;
	gnutls_datum_t text = {0};
	int err;

	trust->lists_changed = changed_at(path);
	if (*path == '\0')
		return true;
	err = gnutls_load_file(path, &text);
	if (err >= 0)
		err = gnutls_x509_crl_list_import2(&trust->lists,
		    &trust->list_count, &text, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(text.data);
	if (err >= 0)
		return true;
	*why_r = str_format(arena,
	    "the lists of revoked certificates cannot be read from %s (%s), "
	    "and without them nobody is trusted; see s2s.revoked",
	    path, gnutls_strerror(err));
	return false;
}

static struct trust *
read_trust(struct arena *arena, const char *path, const char *lists_path,
    struct str *why_r)
{
	struct trust *trust = make(path, lists_path);

	/* The authorities cost more: not for each who comes while there are no
	 * lists. */
	if (!read_lists(trust, arena, why_r) ||
	    !read_authorities(trust, arena, why_r))
		trust_drop(&trust);
	return trust;
}

static bool
is_of(const struct trust *trust, const char *path, const char *lists_path)
{
	return strcmp(trust->path, path) == 0 &&
	       strcmp(trust->lists_path, lists_path) == 0;
}

/* The place of those paths, or of the one used longest ago. */
static unsigned
place_of(const char *path, const char *lists_path)
{
	unsigned i = 0;

	while (i < SHARED_MAX - 1 && shared.items[i] != NULL &&
	       !is_of(shared.items[i], path, lists_path))
		i++;
	return i;
}

static struct trust *
take_locked(struct arena *arena, const char *path, const char *lists_path,
    struct str *why_r)
{
	unsigned place = place_of(path, lists_path);
	struct trust *trust = shared.items[place];

	if (trust == NULL || !is_of(trust, path, lists_path) ||
	    !is_fresh(trust)) {
		trust = read_trust(arena, path, lists_path, why_r);
		if (trust == NULL)
			return NULL;
		trust_drop(&shared.items[place]);
	}
	for (unsigned i = place; i > 0; i--)
		shared.items[i] = shared.items[i - 1];
	shared.items[0] = trust;
	atomic_fetch_add(&trust->refs, 1);
	return trust;
}

struct trust *
trust_take(struct arena *arena, struct str authorities, struct str revoked,
    struct str *why_r)
{
	const char *path = str_dup(arena, authorities).text;
	const char *lists_path = str_dup(arena, revoked).text;
	struct trust *trust;

	pthread_mutex_lock(&shared.lock);
	trust = take_locked(arena, authorities.len == 0 ? "" : path,
	    revoked.len == 0 ? "" : lists_path, why_r);
	pthread_mutex_unlock(&shared.lock);
	return trust;
}

void
trust_stop(void)
{
	pthread_mutex_lock(&shared.lock);
	for (unsigned i = 0; i < SHARED_MAX; i++)
		trust_drop(&shared.items[i]);
	pthread_mutex_unlock(&shared.lock);
}
