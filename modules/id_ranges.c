#include "modules/id_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* The first that does not end before the id. */
static size_t
place_of(const struct id_ranges *ranges, uint64_t id)
{
	size_t low = 0, high = ranges->count;

	/* New ones come at the end. */
	if (high > 0 && ranges->list[high - 1].to < id)
		return high;
	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (ranges->list[middle].to < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts one or two in the place of so many. */
static void
replace(struct id_ranges *ranges, size_t place, size_t count,
    const struct id_range *by, size_t by_count)
{
	const size_t after = ranges->count - place - count;

	if (ranges->count + by_count > ranges->room) {
		ranges->room = ranges->room == 0 ? 4 : 2 * ranges->room;
		ranges->list = realloc(
		    ranges->list, ranges->room * sizeof(ranges->list[0]));
		must(ranges->list != NULL);
	}
	memmove(ranges->list + place + by_count, ranges->list + place + count,
	    after * sizeof(*by));
	memcpy(ranges->list + place, by, by_count * sizeof(*by));
	ranges->count += by_count;
	ranges->count -= count;
}

void
id_ranges_add(struct id_ranges *ranges, uint64_t from, uint64_t to)
{
	struct id_range sum = {from, to};
	size_t place, end;

	if (from > to)
		return;
	place = place_of(ranges, from == 0 ? 0 : from - 1);
	for (end = place; end < ranges->count; end++) {
		const struct id_range *each = &ranges->list[end];

		if (each->from > to && each->from - to > 1)
			break;
		if (sum.from > each->from)
			sum.from = each->from;
		if (sum.to < each->to)
			sum.to = each->to;
	}
	replace(ranges, place, end - place, &sum, 1);
}

void
id_ranges_remove(struct id_ranges *ranges, uint64_t from, uint64_t to)
{
	const size_t place = place_of(ranges, from);
	struct id_range left[2];
	size_t count = 0, end = place;

	while (end < ranges->count && ranges->list[end].from <= to)
		end++;
	if (end == place)
		return;
	if (ranges->list[place].from < from)
		left[count++] =
		    (struct id_range){ranges->list[place].from, from - 1};
	if (ranges->list[end - 1].to > to)
		left[count++] =
		    (struct id_range){to + 1, ranges->list[end - 1].to};
	replace(ranges, place, end - place, left, count);
}

bool
id_ranges_have(const struct id_ranges *ranges, uint64_t id)
{
	const size_t place = place_of(ranges, id);

	return place < ranges->count && ranges->list[place].from <= id;
}

void
id_ranges_free(struct id_ranges *ranges)
{
	free(ranges->list);
	*ranges = (struct id_ranges){0};
}
