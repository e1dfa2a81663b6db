#include "base/blob.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"

struct blob {
	atomic_uint refs;
	size_t len;
	char text[];
};

struct blob *
blob_new(struct str str)
{
	struct blob *blob;

	must(str.len < PTRDIFF_MAX - sizeof(*blob));
	blob = malloc(sizeof(*blob) + str.len + 1);
	must(blob != NULL);
	atomic_init(&blob->refs, 1);
	blob->len = str.len;
	if (str.len > 0)
		memcpy(blob->text, str.text, str.len);
	blob->text[str.len] = '\0';
	return blob;
}

struct blob *
blob_ref(struct blob *blob)
{
	unsigned before =
	    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);

	must(before > 0 && before < UINT32_MAX);
	return blob;
}

void
blob_unref(struct blob **blob)
{
	struct blob *mine = *blob;

	*blob = NULL;
	if (mine == NULL)
		return;
	/* What other threads read of it happens before its memory goes. */
	if (atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) ==
	    1)
		free(mine);
}

struct str
blob_str(const struct blob *blob)
{
	return (struct str){blob->text, blob->len};
}
