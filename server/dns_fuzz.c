#include "base/err.h"
#include "server/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The first byte is the type. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena;
	struct dns_record record;
	struct str data;

	if (len == 0)
		return 0;
	arena = arena_make(0);
	data = str_dup(arena, (struct str){(const char *)bytes + 1, len - 1});
	if (dns_record_read(arena, (enum dns_type)bytes[0], data, &record)) {
		must(record.target.len <= 253);
		must(record.association.len < len);
	}
	arena_free(&arena);
	return 0;
}
