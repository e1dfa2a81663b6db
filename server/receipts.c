#include "server/receipts.h"

#include <string.h>

void
receipts_add(struct receipts *receipts, uint64_t plain, uint64_t ahead)
{
	unsigned count = receipts->count;

	if (count > 0 && (receipts->ends[count - 1].plain >= receipts->wanted ||
			     receipts->ends[count - 1].plain >= plain))
		return;
	if (count == RECEIPTS_MAX)
		count--;
	receipts->ends[count].plain = plain;
	receipts->ends[count].wire = receipts->wire + ahead;
	receipts->count = count + 1;
}

bool
receipts_take(struct receipts *receipts, uint64_t left, uint64_t *plain_r)
{
	unsigned taken = 0;

	while (taken < receipts->count &&
	       receipts->ends[taken].wire + left <= receipts->wire)
		*plain_r = receipts->ends[taken++].plain;
	receipts->count -= taken;
	memmove(receipts->ends, receipts->ends + taken,
	    receipts->count * sizeof(receipts->ends[0]));
	return *plain_r >= receipts->wanted;
}
