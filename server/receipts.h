/*
 * server/receipts.h - which plain bytes of a TLS connection are in records that
 * its peer has wholly.
 *
 * The kernel tells how many bytes on the wire are not acknowledged; a record of
 * which a part is missing cannot be decrypted. So the ends of records are kept,
 * as plain and as wire position, from when somebody waits to know until it is
 * known. When more are held than fit, the last ones become one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RECEIPTS_MAX 32

struct receipts {
	uint64_t wire;   /* bytes of records since it began */
	uint64_t wanted; /* plain position that is waited for */
	unsigned count;
	struct {
		uint64_t plain, wire;
	} ends[RECEIPTS_MAX]; /* rising */
};

/* Up to the plain position there are records, the last of which ends ahead
 * bytes after wire. Kept only as far as it is waited for. */
void receipts_add(struct receipts *, uint64_t plain, uint64_t ahead);
/* With left bytes of the wire not acknowledged: moves *plain_r on to the end of
 * the last record that is, and forgets up to there. True when nothing is waited
 * for any more. */
bool receipts_take(struct receipts *, uint64_t left, uint64_t *plain_r);
