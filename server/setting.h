/*
 * server/setting.h - one table row per setting: what the configuration file,
 * its documentation and its checks are made of.
 *
 *	static const struct setting settings[] = {
 *	    {"vcard.bytes", SETTING_SIZE, SETTING_PER_HOST | SETTING_RELOADS,
 *	        .min = 1024, .max = 16 * MIB, .preset = "128 KiB",
 *	        .help = "The largest vCard an account may store."},
 *	    {NULL},
 *	};
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "server/yaml.h"

enum setting_type {
	SETTING_BOOL,     /* true or false; also yes, no, on, off */
	SETTING_INT,      /* a whole number */
	SETTING_TIME,     /* 500 ms, 30 s, 5 min, 2 h, 7 d; kept as ms */
	SETTING_SIZE,     /* 512 B, 64 KiB, 10 MiB, 1 GiB; kept as bytes */
	SETTING_TEXT,     /* a line of text */
	SETTING_PATH,     /* a file; relative to the configuration's folder,
			     or else a word among choices */
	SETTING_LIST,     /* of texts; one alone needs no brackets */
	SETTING_CHOICE,   /* one of choices */
	SETTING_CHOICES,  /* a list of some of choices */
	SETTING_DOMAINS,  /* a list of domains; "*." before one for all below,
			     "*" for all; prepared */
	SETTING_ROUTES,   /* a list of servers: xmpp://host:port */
	SETTING_RESOLVERS /* a list of addresses of DNS servers */
};

enum setting_flag {
	SETTING_RELOADS = 1 << 0,   /* may change while running */
	SETTING_PER_HOST = 1 << 1,  /* a host may have its own */
	SETTING_PER_DOMAIN = 1 << 2 /* so may a domain that is not ours */
};

#define KIB    1024ull
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct setting {
	const char *name; /* dotted path; begins with the module's name */
	enum setting_type type;
	unsigned flags;
	uint64_t min, max;          /* INT, TIME, SIZE; max 0: no bound */
	const char *preset;         /* as in the file; NULL: empty */
	const char *const *choices; /* ends with NULL */
	const char *help;           /* one sentence, with the unit of an INT */
};

struct setting_list {
	const struct str *items;
	size_t count;
};

struct setting_value {
	uint64_t number;          /* BOOL, INT, TIME, SIZE; CHOICE: its index */
	struct str text;          /* TEXT, PATH, CHOICE */
	struct setting_list list; /* LIST, CHOICES, DOMAINS, ROUTES, RESOLVERS
				   */
};

/* What is not right, and where: perhaps an item of a list. */
struct setting_wrong {
	struct str why;
	const struct yaml *where;
};

/* What a value in the file means, in the arena. folder is what relative paths
 * begin with, "" for none. False with words like "must be a whole number, not
 * abc" in *wrong_r. */
bool setting_parse(struct arena *, const struct setting *, const struct yaml *,
    struct str folder, struct setting_value *value_r,
    struct setting_wrong *wrong_r);
/* The preset; must be right (settings_test.c holds it for the built-in). */
void setting_preset(struct arena *, const struct setting *, struct str folder,
    struct setting_value *value_r);
bool setting_equal(const struct setting_value *, const struct setting_value *);
bool setting_is_list(const struct setting *);
/* What may be written: "a time from 1 s to 10 min", "one of sqlite,
 * postgres". */
struct str setting_bounds(struct arena *, const struct setting *);
