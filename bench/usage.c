#include "bench/usage.h"

#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIDS_MAX 256

struct family {
	pid_t pids[PIDS_MAX];
	unsigned count;
};

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t
usage_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* /proc/PID/stat is "PID (name) state parent ..."; a name may hold ')'. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[512];
	const char *end;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	end = strrchr(text, ')');
	return end == NULL || strlen(end) < 5
		   ? 0
		   : (pid_t)strtol(end + 4, NULL, 10);
}

static bool
is_member(const struct family *family, pid_t pid)
{
	for (unsigned i = 0; i < family->count; i++) {
		if (family->pids[i] == pid)
			return true;
	}
	return false;
}

/* One walk finds children only: /proc lists lower pids first, and a child of
 * a child may have a lower pid than its parent. */
static bool
add_children(struct family *family)
{
	DIR *dir = opendir("/proc");
	unsigned before = family->count;
	struct dirent *entry;

	if (dir == NULL)
		err(1, "/proc");
	while ((entry = readdir(dir)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || is_member(family, pid) ||
		    !is_member(family, parent_of(pid)))
			continue;
		if (family->count == PIDS_MAX)
			errx(1, "more than %d processes", PIDS_MAX);
		family->pids[family->count++] = pid;
	}
	closedir(dir);
	return family->count > before;
}

static void
find_family(pid_t head, struct family *family)
{
	family->count = 0;
	if (head == 0)
		return;
	family->pids[family->count++] = head;
	while (add_children(family))
		continue;
}

static uint64_t
family_ns(pid_t head)
{
	struct family family;
	uint64_t sum = 0;

	find_family(head, &family);
	for (unsigned i = 0; i < family.count; i++) {
		clockid_t id;

		if (clock_getcpuclockid(family.pids[i], &id) == 0)
			sum += clock_ns(id);
	}
	return sum;
}

struct usage
usage_read(const struct plan *plan)
{
	struct usage usage = {
	    .server_ns = family_ns(plan->server) + family_ns(plan->far_server),
	    .database_ns = family_ns(plan->database),
	    .load_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	    .at_ns = usage_clock_ns(),
	};

	return usage;
}

struct usage
usage_between(const struct usage *from, const struct usage *to)
{
	struct usage usage = {
	    .at_ns = to->at_ns - from->at_ns,
	    .server_ns = to->server_ns - from->server_ns,
	    .database_ns = to->database_ns - from->database_ns,
	    .load_ns = to->load_ns - from->load_ns,
	};

	return usage;
}

static uint64_t
process_kib(pid_t pid)
{
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Pss:", 4) == 0)
			kib = strtoull(line + 4, NULL, 10);
	}
	fclose(file);
	return kib;
}

uint64_t
usage_memory_kib(const struct plan *plan)
{
	struct family family;
	uint64_t sum = 0;

	find_family(plan->server, &family);
	for (unsigned i = 0; i < family.count; i++)
		sum += process_kib(family.pids[i]);
	return sum;
}
