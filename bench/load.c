/*
 * bench/load.c - load --workload NAME --port N ...: one run against a server.
 *
 * An option is a member of struct plan (plan.h); workload.h says what the
 * workloads are. The figures leave as one line of JSON (figures.h).
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/workload.h"

#define PRIORITY                                                  \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:" \
	"-CIPHER-ALL:+AES-256-GCM"

static const struct {
	const char *name;
	void (*run)(struct swarm *);
} workloads[] = {
    {"prepare", prepare_run},
    {"idle", idle_run},
    {"hibernated", hibernated_run},
    {"login", logins_run},
    {"chat", chat_run},
    {"rate", rate_run},
    {"presence", presence_run},
    {"offline", offline_run},
    {"catch-up", catch_up_run},
};

enum kind {
	KIND_TEXT,
	KIND_NUMBER, /* unsigned or pid_t */
	KIND_ADDRESS,
	KIND_FLAG,
};

static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} members[] = {
    {"workload", KIND_TEXT, offsetof(struct plan, workload)},
    {"domain", KIND_TEXT, offsetof(struct plan, domain)},
    {"password", KIND_TEXT, offsetof(struct plan, password)},
    {"priority", KIND_TEXT, offsetof(struct plan, priority)},
    {"port", KIND_NUMBER, offsetof(struct plan, port)},
    {"address", KIND_ADDRESS, offsetof(struct plan, address)},
    {"far-domain", KIND_TEXT, offsetof(struct plan, far_domain)},
    {"far-port", KIND_NUMBER, offsetof(struct plan, far_port)},
    {"far-address", KIND_ADDRESS, offsetof(struct plan, far_address)},
    {"direct", KIND_FLAG, offsetof(struct plan, direct)},
    {"registers", KIND_FLAG, offsetof(struct plan, registers)},
    {"full", KIND_FLAG, offsetof(struct plan, full)},
    {"plain", KIND_FLAG, offsetof(struct plan, plain)},
    {"managed", KIND_FLAG, offsetof(struct plan, managed)},
    {"fleeting", KIND_FLAG, offsetof(struct plan, fleeting)},
    {"sessions", KIND_NUMBER, offsetof(struct plan, sessions)},
    {"in-flight", KIND_NUMBER, offsetof(struct plan, in_flight)},
    {"rate", KIND_NUMBER, offsetof(struct plan, rate)},
    {"each", KIND_NUMBER, offsetof(struct plan, each)},
    {"warm-ms", KIND_NUMBER, offsetof(struct plan, warm_ms)},
    {"run-ms", KIND_NUMBER, offsetof(struct plan, run_ms)},
    {"server", KIND_NUMBER, offsetof(struct plan, server)},
    {"far-server", KIND_NUMBER, offsetof(struct plan, far_server)},
    {"database", KIND_NUMBER, offsetof(struct plan, database)},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static unsigned
number_of(const char *text)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || number > INT32_MAX)
		errx(2, "%s is not a number", text);
	return (unsigned)number;
}

static void
set_member(struct plan *plan, size_t i, const char *value)
{
	char *at = (char *)plan + members[i].offset;

	switch (members[i].kind) {
	case KIND_TEXT:
		*(const char **)(void *)at = value;
		break;
	case KIND_NUMBER:
		*(unsigned *)(void *)at = number_of(value);
		break;
	case KIND_ADDRESS:
		if (inet_pton(AF_INET, value, at) != 1)
			errx(2, "%s is not an IPv4 address", value);
		break;
	case KIND_FLAG:
		*(bool *)at = true;
		break;
	}
}

static void
read_options(struct plan *plan, int argc, char **argv)
{
	struct option options[MEMBERS + 1] = {{NULL, 0, NULL, 0}};
	int i;

	for (size_t n = 0; n < MEMBERS; n++) {
		options[n].name = members[n].name;
		options[n].has_arg = members[n].kind == KIND_FLAG
					 ? no_argument
					 : required_argument;
		options[n].val = (int)n;
	}
	while ((i = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (i == '?')
			exit(2);
		set_member(plan, (size_t)i, optarg);
	}
	if (plan->port == 0 || plan->server == 0 || plan->sessions % 2 != 0)
		errx(2, "--port and --server are needed, --sessions is even");
}

static void
prepare_process(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	prctl(PR_SET_TIMERSLACK, 1); /* ns: a message leaves when it is due */
}

static void
run(const struct plan *plan)
{
	struct swarm swarm;

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(workloads[i].name, plan->workload) != 0)
			continue;
		swarm_init(&swarm, plan);
		workloads[i].run(&swarm);
		figures_end();
		swarm_deinit(&swarm);
		return;
	}
	errx(2, "no workload is called %s", plan->workload);
}

int
main(int argc, char **argv)
{
	struct plan plan = {
	    .workload = "chat",
	    .domain = "localhost",
	    .password = "secret",
	    .priority = PRIORITY,
	    .address.s_addr = htonl(INADDR_LOOPBACK),
	    .sessions = 1000,
	    .in_flight = 64,
	    .rate = 1000,
	    .each = 20,
	    .warm_ms = 500,
	    .run_ms = 3000,
	};

	read_options(&plan, argc, argv);
	prepare_process();
	run(&plan);
	return 0;
}
