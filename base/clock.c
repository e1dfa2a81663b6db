#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/err.h"

#define DAY_S 86400

static _Thread_local struct {
	bool on;
	uint64_t mono_ms, wall_us;
} fake;

static struct timespec
read_clock(clockid_t id)
{
	struct timespec now;

	must(clock_gettime(id, &now) == 0);
	return now;
}

uint64_t
clock_mono_ms(void)
{
	struct timespec now;

	if (fake.on)
		return fake.mono_ms;
	now = read_clock(CLOCK_MONOTONIC);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t
clock_wall_us(void)
{
	struct timespec now;

	if (fake.on)
		return fake.wall_us;
	now = read_clock(CLOCK_REALTIME);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void
clock_fake(uint64_t mono_ms, uint64_t wall_us)
{
	fake.on = mono_ms != 0 || wall_us != 0;
	fake.mono_ms = mono_ms;
	fake.wall_us = wall_us;
}

struct date {
	int64_t year;
	unsigned month, day; /* from 1 */
};

/* Years begin in March here, so that the leap day is a year's last; 400 of
 * them have 146,097 days. libc's gmtime_r would take a lock. */
static struct date
date_of(uint64_t days)
{
	uint64_t since = days + 719468; /* 0000-03-01 */
	uint64_t era = since / 146097, of_era = since % 146097;
	uint64_t year =
	    (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153; /* 0 is March */
	bool is_next = month >= 10;

	return (struct date){
	    .year = (int64_t)(year + era * 400 + (is_next ? 1 : 0)),
	    .month = (unsigned)(is_next ? month - 9 : month + 3),
	    .day = (unsigned)(of_year - (153 * month + 2) / 5 + 1),
	};
}

/* Days since 1970, for years from 0 on. */
static int64_t
days_of(struct date date)
{
	int64_t year = date.year + 400 - (date.month <= 2 ? 1 : 0);
	int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
	int64_t of_year = (153 * month + 2) / 5 + date.day - 1;
	int64_t of_era =
	    year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year;

	return (year / 400 - 1) * 146097 + of_era - 719468;
}

void
clock_text(char text[CLOCK_TEXT_LEN], uint64_t wall_us)
{
	uint64_t seconds = wall_us / 1000000;
	struct date date = date_of(seconds / DAY_S);
	unsigned of_day = (unsigned)(seconds % DAY_S);

	snprintf(text, CLOCK_TEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    (unsigned)date.year % 10000, date.month % 100, date.day % 100,
	    of_day / 3600, of_day / 60 % 60, of_day % 60,
	    (unsigned)(wall_us / 1000 % 1000));
}

struct str
clock_format(struct arena *arena, uint64_t wall_us)
{
	char text[CLOCK_TEXT_LEN];
	size_t len = CLOCK_TEXT_LEN - 1;

	clock_text(text, wall_us);
	if (wall_us / 1000 % 1000 == 0) {
		len -= strlen(".000");
		text[len - 1] = 'Z';
	}
	return str_dup(arena, (struct str){text, len});
}

/* What is read of a dateTime, and what is left of its text. */
struct parse {
	struct str left;
	bool ok;
};

static bool
take(struct parse *parse, char c)
{
	if (parse->left.len == 0 || parse->left.text[0] != c)
		return false;
	parse->left.text++;
	parse->left.len--;
	return true;
}

static void
need(struct parse *parse, char c)
{
	parse->ok = take(parse, c) && parse->ok;
}

/* Exactly count digits, a number from least to most. */
static unsigned
number(struct parse *parse, size_t count, unsigned least, unsigned most)
{
	struct str digits = {parse->left.text, count};
	uint64_t value = 0;

	if (parse->left.len < count || !str_to_u64(digits, most, &value) ||
	    value < least) {
		parse->ok = false;
		return 0;
	}
	parse->left.text += count;
	parse->left.len -= count;
	return (unsigned)value;
}

static bool
is_day(struct date date)
{
	static const unsigned char lengths[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leaps = date.year % 4 == 0 &&
		     (date.year % 100 != 0 || date.year % 400 == 0);
	unsigned last = lengths[date.month - 1];

	return date.day <= (date.month == 2 && leaps ? 29 : last);
}

/* Seconds since 1970 as if the text were UTC. */
static int64_t
parse_seconds(struct parse *parse)
{
	struct date date;
	unsigned hour, minute, second;

	date.year = number(parse, 4, 0, 9999);
	need(parse, '-');
	date.month = number(parse, 2, 1, 12);
	need(parse, '-');
	date.day = number(parse, 2, 1, 31);
	need(parse, 'T');
	hour = number(parse, 2, 0, 24);
	need(parse, ':');
	minute = number(parse, 2, 0, 59);
	need(parse, ':');
	second = number(parse, 2, 0, 59);
	if (!parse->ok || !is_day(date))
		parse->ok = false;
	/* XML Schema: 24:00:00 is the end of the day. */
	if (hour == 24 && (minute != 0 || second != 0))
		parse->ok = false;
	if (!parse->ok)
		return 0;
	return days_of(date) * DAY_S + hour * 3600 + minute * 60 + second;
}

static unsigned
parse_fraction_us(struct parse *parse)
{
	unsigned us = 0, unit = 100000;

	if (!take(parse, '.'))
		return 0;
	do {
		us += number(parse, 1, 0, 9) * unit;
		unit /= 10;
	} while (parse->ok && parse->left.len > 0 &&
		 parse->left.text[0] >= '0' && parse->left.text[0] <= '9');
	return us;
}

/* How many seconds the text is ahead of UTC. */
static int64_t
parse_zone(struct parse *parse)
{
	bool behind;
	unsigned hours, minutes;

	if (take(parse, 'Z'))
		return 0;
	behind = take(parse, '-');
	if (!behind)
		need(parse, '+');
	hours = number(parse, 2, 0, 14);
	need(parse, ':');
	minutes = number(parse, 2, 0, hours == 14 ? 0 : 59);
	return (int64_t)(hours * 3600 + minutes * 60) * (behind ? -1 : 1);
}

bool
clock_parse(struct str str, uint64_t *wall_us_r)
{
	struct parse parse = {str, true};
	int64_t seconds = parse_seconds(&parse);
	unsigned us = parse_fraction_us(&parse);

	seconds -= parse_zone(&parse);
	if (!parse.ok || parse.left.len > 0)
		return false;
	*wall_us_r = seconds < 0 ? 0 : (uint64_t)seconds * 1000000 + us;
	return true;
}
