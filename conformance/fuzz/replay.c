/*
 * conformance/fuzz/replay.c - runs a fuzz target over files that are there.
 *
 * Stands in for libFuzzer's main where the compiler has none: every file, and
 * every file of every folder named, is one input. Options are skipped.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static unsigned replayed;

static bool
replay_file(const char *path, size_t len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = malloc(len + 1);
	bool ok = false;

	if (file != NULL && bytes != NULL) {
		ok = fread(bytes, 1, len, file) == len;
		/* Exactly as long as the input, so that ASan sees overruns. */
		bytes = realloc(bytes, len > 0 ? len : 1);
	}
	if (ok && bytes != NULL) {
		LLVMFuzzerTestOneInput(bytes, len);
		replayed++;
	}
	free(bytes);
	if (file != NULL)
		fclose(file);
	return ok;
}

static bool replay(const char *path);

static bool
replay_folder(const char *path)
{
	struct dirent **names = NULL;
	int count = scandir(path, &names, NULL, alphasort);
	bool ok = count >= 0;

	for (int i = 0; i < count; i++) {
		char inner[4096];

		snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			ok = replay(inner) && ok;
		free(names[i]);
	}
	free(names);
	return ok;
}

static bool
replay(const char *path)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return false;
	if (S_ISDIR(info.st_mode))
		return replay_folder(path);
	return replay_file(path, (size_t)info.st_size);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-' && !replay(argv[i])) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
	}
	printf("%u inputs\n", replayed);
	return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
