/*
 * bench/plan.h - what one run of the load generator is to do.
 *
 * Filled from the command line once, then only read. Accounts are named
 * u0, u1, ... and have one password; u0 and u1 are a pair, u2 and u3, and so
 * on: each writes to its pair only. Of each circle of accounts the first has
 * all others as contacts.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct plan {
	const char *workload;
	const char *domain; /* of the accounts, and the name asked for in TLS */
	const char *password;
	const char *priority; /* GnuTLS's names of protocols and ciphers */
	struct in_addr address;
	unsigned port;
	/* Where accounts with odd numbers are; NULL: with the others. */
	const char *far_domain;
	struct in_addr far_address;
	unsigned far_port;
	bool direct;    /* TLS from the first byte; otherwise STARTTLS */
	bool registers; /* `prepare` makes the accounts too */
	bool plain;     /* PLAIN; otherwise SCRAM-SHA-1 */
	bool full;      /* messages to full addresses; otherwise to bare ones */
	bool managed;   /* stream management; an ack is asked of each message */
	bool fleeting;  /* messages that are not to be stored (XEP-0334) */
	unsigned sessions;  /* an even number */
	unsigned in_flight; /* logins under way at once */
	unsigned rate;      /* messages a second */
	unsigned each;      /* messages stored for one account */
	unsigned warm_ms;   /* not measured */
	unsigned run_ms;    /* measured */
	pid_t server;       /* its processes are this one and its offspring */
	pid_t far_server;   /* likewise; 0: none */
	pid_t database;     /* likewise; 0: none */
};

#define PLAN_CIRCLE 50

/* The first of an account's circle. */
static inline unsigned
plan_centre(unsigned number)
{
	return number - number % PLAN_CIRCLE;
}

static inline bool
plan_is_far(const struct plan *plan, unsigned number)
{
	return plan->far_domain != NULL && number % 2 != 0;
}

static inline const char *
plan_domain(const struct plan *plan, unsigned number)
{
	return plan_is_far(plan, number) ? plan->far_domain : plan->domain;
}

static inline unsigned
plan_pair(unsigned number)
{
	return number ^ 1;
}
