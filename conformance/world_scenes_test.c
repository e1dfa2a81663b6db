/* Plays every scene in worlds, each in a process of its own, with the seeds
 * that it is given: world_scenes_test FOLDER FIRST_SEED COUNT. Says in TAP what
 * came of it. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/world.h"

static unsigned failures, number;

/* In the child: what went wrong goes to out, the verdict is the status. */
static void
play(const char *path, uint64_t seed, FILE *out)
{
	char why[4096];
	enum world_verdict verdict = world_play(path, seed, why, sizeof(why));

	if (verdict != WORLD_PLAYED)
		fputs(why, out);
	fclose(out);
	exit((int)verdict);
}

static void
say(const char *path, const char *seeds, int status, FILE *why)
{
	char line[4096];
	const char *name = path;
	bool is_skipped =
	    WIFEXITED(status) && WEXITSTATUS(status) == WORLD_SKIPPED;
	bool is_ok = is_skipped ||
		     (WIFEXITED(status) && WEXITSTATUS(status) == WORLD_PLAYED);

	for (const char *at = path, *cut[2] = {path, path};
	    (at = strchr(at, '/')) != NULL; at++) {
		cut[0] = cut[1];
		cut[1] = at + 1;
		name = cut[0];
	}
	failures += !is_ok;
	printf("%sok %u - %s %s", is_ok ? "" : "not ", ++number, name, seeds);
	rewind(why);
	if (is_skipped && fgets(line, sizeof(line), why) != NULL)
		printf(" # SKIP %s", line);
	putchar('\n');
	while (!is_ok && fgets(line, sizeof(line), why) != NULL)
		printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (!is_ok && WIFSIGNALED(status))
		printf("# ended by signal %d\n", WTERMSIG(status));
	fflush(stdout);
}

static int
play_apart(const char *path, uint64_t seed, FILE *why)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		play(path, seed, why);
	waitpid(child, &status, 0);
	return status;
}

int
main(int argc, char **argv)
{
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 2;
	char pattern[4096], seeds[64];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*/*.scene",
	    argc > 1 ? argv[1] : "conformance/scenes");
	if (glob(pattern, 0, NULL, &found) != 0)
		return EXIT_FAILURE;
	printf("1..%zu\n", found.gl_pathc);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *why = tmpfile();
		int status = 0;
		uint64_t seed = first;

		for (; seed < first + count && status == 0; seed++)
			status = play_apart(found.gl_pathv[i], seed, why);
		snprintf(seeds, sizeof(seeds), "seeds %llu to %llu",
		    (unsigned long long)first, (unsigned long long)seed - 1);
		say(found.gl_pathv[i], seeds, status, why);
		fclose(why);
	}
	globfree(&found);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
