/*
 * conformance/model.h - the devices of model_test.c, and what holds of all that
 * they are sent.
 */
#pragma once

#include "server/world_private.h"

#define DEVICES  3
#define MESSAGES 64
#define QUEUE    512
#define ID_LEN   64

struct message {
	bool is_acked, is_bounced;
	bool is_heard;    /* by a device of who it was for */
	bool is_repeated; /* after a kill: it may come behind later ones */
	bool is_refused;  /* by an error that was lost in a kill */
	bool is_late;     /* the store was away too long for its order */
	bool is_full;     /* to a device, the others get a copy */
	unsigned kills, starts; /* that there had been when it was sent */
};

struct device {
	const char *user, *resource; /* of the account */
	const char *friend;          /* to whom it writes */
	const char *near;            /* the friend's resource it writes to */
	struct world_peer *peer;     /* NULL: away */
	char id[ID_LEN];             /* to resume by; empty: none */
	unsigned got;                /* stanzas of the server: our h */
	int queue[QUEUE];            /* what we sent, from the first stanza: a
					message, or ~ of a presence */
	unsigned said, acked;        /* of those */
	bool is_there;               /* what waits is sent to it: it heard its
					own presence in this history, */
	bool was_away;               /* and never said anything else */
	bool saw[DEVICES][MESSAGES]; /* in this history */
	int latest[DEVICES][2];      /* of each sender, in this history, to the
					user and to a device */
};

extern const struct device model_devices[DEVICES];

/* What a device says but messages. */
enum { AVAILABLE, NEGATIVE, UNAVAILABLE, PRESENCES, COPIES = PRESENCES };

struct model {
	struct world *world;
	uint64_t seed, random;
	bool has_archives;
	struct device device[DEVICES];
	struct message message[DEVICES][MESSAGES];
	int count[DEVICES]; /* of messages */
	unsigned kills;     /* of the server */
	unsigned starts;    /* of the server, in order */
	bool is_broken;
	uint64_t broken_ms; /* since when: clock_mono_ms */
};

/* The numbers of the test, apart from those of the world. */
unsigned model_draw(struct model *, unsigned below);
/* Ends the test with the seed, what is wrong, and with which text. */
void model_must_hold(
    const struct model *, bool holds, const char *what, const char *text);
/* The number behind some words; false when they are not in the text. */
bool model_number_after(
    const char *text, const char *before, unsigned *number_r);
/* The id of a message of ours in the text: "m1-17" is of device 1. */
bool model_find(const char *text, unsigned *from_r, int *number_r);
/* All devices take all that came. */
void model_listen(struct model *);

unsigned device_index(const struct model *, const struct device *);
/* Says one of the above, or a message; both are counted. */
void device_order(struct device *, int order);
void device_say(struct model *, struct device *, int number);
/* The server has handled so much of what it said. */
void device_acknowledged(struct model *, struct device *, unsigned upto);
/* Takes all that came, and looks whether it may be so. */
void device_listen(struct model *, struct device *);
/* Its connection is cut, if it has one. */
void device_leave(struct device *);
