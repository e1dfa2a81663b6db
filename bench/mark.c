#include "bench/mark.h"

#include <string.h>

/* "[b:SSSSSS:PPPPPPPP:TTTTTTTTTTTTTTTT]", numbers in hexadecimal. */
#define OPEN       "[b:"
#define SENDER_AT  3
#define SENDER_LEN 6
#define PLACE_AT   10
#define PLACE_LEN  8
#define TIME_AT    19
#define TIME_LEN   16

static void
put(char *text, unsigned len, uint64_t number)
{
	while (len-- > 0) {
		text[len] = "0123456789abcdef"[number & 15];
		number >>= 4;
	}
}

static uint64_t
take(const char *text, unsigned len)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < len; i++) {
		unsigned digit = (unsigned char)text[i];

		number = number << 4 |
			 (digit < 'a' ? digit - '0' : digit - 'a' + 10);
	}
	return number;
}

void
mark_write(const struct mark *mark, char *text_r)
{
	memcpy(text_r, OPEN "000000:00000000:0000000000000000]", MARK_LEN);
	put(text_r + SENDER_AT, SENDER_LEN, mark->sender);
	put(text_r + PLACE_AT, PLACE_LEN, mark->place);
	put(text_r + TIME_AT, TIME_LEN, mark->at_ns);
}

static void
keep_start_of_mark(const char **text, size_t *len)
{
	const char *end = *text + *len;
	size_t most = *len < MARK_LEN - 1 ? *len : MARK_LEN - 1;
	const char *start = memchr(end - most, OPEN[0], most);

	*text = start == NULL ? end : start;
	*len = (size_t)(end - *text);
}

bool
mark_next(const char **text, size_t *len, struct mark *mark_r)
{
	const char *start = memmem(*text, *len, OPEN, strlen(OPEN));

	if (start == NULL || (size_t)(*text + *len - start) < MARK_LEN) {
		keep_start_of_mark(text, len);
		return false;
	}
	mark_r->sender = (unsigned)take(start + SENDER_AT, SENDER_LEN);
	mark_r->place = (uint32_t)take(start + PLACE_AT, PLACE_LEN);
	mark_r->at_ns = take(start + TIME_AT, TIME_LEN);
	*len -= (size_t)(start - *text) + MARK_LEN;
	*text = start + MARK_LEN;
	return true;
}

static void
check_late(struct mark_seen *seen, uint32_t place, struct mark_count *count)
{
	uint32_t back = seen->next - 1 - place;
	uint64_t bit = back < 64 ? UINT64_C(1) << back : 0;

	if ((seen->skipped & bit) == 0) {
		count->repeated++;
		return;
	}
	seen->skipped &= ~bit;
	count->came++;
	count->out_of_order++;
}

void
mark_check(struct mark_seen *seen, uint32_t place, struct mark_count *count)
{
	uint32_t step;

	if (place < seen->next) {
		check_late(seen, place, count);
		return;
	}
	step = place - seen->next + 1;
	seen->skipped = step < 64 ? seen->skipped << step : 0;
	if (step > 1)
		seen->skipped |=
		    (step < 64 ? (UINT64_C(1) << step) - 1 : UINT64_MAX) &
		    ~UINT64_C(1);
	seen->next = place + 1;
	count->came++;
}
