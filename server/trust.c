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
	struct timespec changed; /* of the file */
	uint64_t read_ms;
	char *path;
};

static struct {
	pthread_mutex_t lock;
	struct trust *items[SHARED_MAX]; /* the last used first */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct trust *
make(const char *path)
{
	struct trust *trust = calloc(1, sizeof(*trust));

	must(trust != NULL);
	atomic_init(&trust->refs, 1);
	trust->path = strdup(path);
	must(trust->path != NULL);
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
	free(dropped->path);
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
	struct trust *trust = make("");

	must(gnutls_x509_trust_list_add_cas(trust->list, &crt, 1, 0) >= 0);
	return trust;
}

gnutls_x509_crt_t
trust_root_of(const struct trust *trust, const struct chain *chain)
{
	gnutls_x509_crt_t root;

	if (gnutls_x509_trust_list_get_issuer(
		trust->list, chain->certs[chain->count - 1], &root, 0) < 0)
		return NULL;
	return root;
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
is_fresh(const struct trust *trust)
{
	struct timespec changed = changed_at(trust->path);

	if (*trust->path == '\0')
		return clock_mono_ms() - trust->read_ms < SYSTEM_MS;
	return changed.tv_sec == trust->changed.tv_sec &&
	       changed.tv_nsec == trust->changed.tv_nsec;
}

static struct trust *
read_trust(struct arena *arena, const char *path, struct str *why_r)
{
	struct trust *trust = make(path);
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
		return trust;
	*why_r = str_format(arena,
	    "there are no authorities to trust in %s (%s); install "
	    "ca-certificates or set s2s.authorities to a file in PEM form",
	    *path == '\0' ? "the system's store" : path,
	    errno != 0 ? strerror(errno) : "no certificate is in it");
	trust_drop(&trust);
	return NULL;
}

/* The place of that path, or of the one used longest ago. */
static unsigned
place_of(const char *path)
{
	unsigned i = 0;

	while (i < SHARED_MAX - 1 && shared.items[i] != NULL &&
	       strcmp(shared.items[i]->path, path) != 0)
		i++;
	return i;
}

static struct trust *
take_locked(struct arena *arena, const char *path, struct str *why_r)
{
	unsigned place = place_of(path);
	struct trust *trust = shared.items[place];

	if (trust == NULL || strcmp(trust->path, path) != 0 ||
	    !is_fresh(trust)) {
		trust = read_trust(arena, path, why_r);
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
trust_take(struct arena *arena, struct str path, struct str *why_r)
{
	struct str copy = str_dup(arena, path);
	struct trust *trust;

	pthread_mutex_lock(&shared.lock);
	trust = take_locked(arena, path.len == 0 ? "" : copy.text, why_r);
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
