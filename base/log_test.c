#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/clock.h"

#define AT_US 1795262400056000 /* 2026-11-21T12:00:00.056Z */

static char folder[64], path[128], moved[128];

static void
name_romeo(const struct log *log, char *text, size_t len)
{
	snprintf(text, len, "c2s 2/17 romeo@localhost");
}

static void
name_evil(const struct log *log, char *text, size_t len)
{
	snprintf(text, len, "evil\n\"\x1b[31m");
}

static const struct log romeo = {name_romeo}, evil = {name_evil};

/* The whole file, and empties it. */
static const char *
take_file(const char *which)
{
	static char text[200000];
	FILE *file = fopen(which, "r+");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	CHECK_EQUAL(ftruncate(fileno(file), 0), 0);
	fclose(file);
	return text;
}

static void
levels_have_names(void **state)
{
	enum log_level level;

	CHECK(log_level_parse(STR("wire"), &level) && level == LOG_WIRE);
	CHECK(log_level_parse(STR("error"), &level) && level == LOG_ERROR);
	CHECK(!log_level_parse(STR("Error"), &level));
	CHECK(!log_level_parse(STR_NONE, &level));
	CHECK_TEXT(log_level_text(LOG_WARN), "warn");
}

static void
only_shown_levels_are_written(void **state)
{
	CHECK(log_open(path, LOG_TEXT));
	log_set_level(LOG_WARN);
	log_info(&romeo, "not this");
	log_error(&romeo, "but this");
	log_set_level(LOG_INFO);
	log_debug(&romeo, "not this");
	CHECK(log_shows(LOG_INFO) && !log_shows(LOG_DEBUG));
	CHECK_TEXT(take_file(path),
	    "2026-11-21T12:00:00.056Z error c2s 2/17 romeo@localhost: "
	    "but this\n");
}

static const struct {
	const char *words, *text, *json;
} cases[] = {
    {"plain \xc3\xa4", "plain \xc3\xa4", "plain \xc3\xa4"},
    {"a\nb\r\t\x7f", "a\\x0ab\\x0d\\x09\\x7f",
	"a\\u000ab\\u000d\\u0009\\u007f"},
    {"\"\\", "\"\\", "\\\"\\\\"},
    {"\xc2\x9b"
     "1m",
	"\\x9b1m", "\\u009b1m"},
    {"\xff\xc3", "\\xff\\xc3", "\\ufffd\\ufffd"},
};

static void
strange_words_do_not_break_a_line(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char want[256];

		CHECK(log_open(path, LOG_TEXT));
		log_info(&evil, "%s", cases[i].words);
		snprintf(want, sizeof(want),
		    "2026-11-21T12:00:00.056Z info  "
		    "evil\\x0a\"\\x1b[31m: %s\n",
		    cases[i].text);
		CHECK_TEXT(take_file(path), want);

		CHECK(log_open(path, LOG_JSON));
		log_info(&evil, "%s", cases[i].words);
		snprintf(want, sizeof(want),
		    "{\"time\":\"2026-11-21T12:00:00.056Z\",\"level\":\"info\","
		    "\"subject\":\"evil\\u000a\\\"\\u001b[31m\","
		    "\"text\":\"%s\"}\n",
		    cases[i].json);
		CHECK_TEXT(take_file(path), want);
	}
}

static void
reopen_follows_a_rotation(void **state)
{
	CHECK(log_open(path, LOG_TEXT));
	log_info(&log_server, "one");
	CHECK_EQUAL(rename(path, moved), 0);
	log_info(&log_server, "two");
	CHECK(log_reopen());
	log_info(&log_server, "three");
	CHECK(strstr(take_file(moved), "two") != NULL);
	CHECK_TEXT(
	    take_file(path), "2026-11-21T12:00:00.056Z info  server: three\n");
}

static void
a_bad_place_changes_nothing(void **state)
{
	CHECK(log_open(path, LOG_TEXT));
	CHECK(!log_open("/nowhere/at/all", LOG_TEXT));
	CHECK_EQUAL(errno, ENOENT);
	CHECK(!log_open("journal:/nowhere/at/all", LOG_TEXT));
	log_info(&log_server, "still here");
	CHECK(strstr(take_file(path), "still here") != NULL);
}

static int
bind_journal(const char *where)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(strlen(where) < sizeof(address.sun_path));
	memcpy(address.sun_path, where, strlen(where) + 1);
	CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
the_journal_gets_fields(void **state)
{
	char where[160], got[2000];
	ssize_t len;
	int fd;

	snprintf(where, sizeof(where), "journal:%s/journal", folder);
	fd = bind_journal(where + strlen("journal:"));
	CHECK(log_open(where, LOG_TEXT));
	log_warn(&romeo, "odd\nPRIORITY=0");
	len = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	CHECK(len > 0);
	got[len] = '\0';
	CHECK_TEXT(got,
	    "PRIORITY=4\nSYSLOG_IDENTIFIER=jackdaw\n"
	    "SUBJECT=c2s 2/17 romeo@localhost\n"
	    "MESSAGE=c2s 2/17 romeo@localhost: odd\\x0aPRIORITY=0\n");
	close(fd);
	log_close();
	CHECK_EQUAL(unlink(where + strlen("journal:")), 0);
}

static char captured[256];

static void
keep(enum log_level level, const char *text)
{
	snprintf(captured, sizeof(captured), "%d %s", (int)level, text);
}

static void
tests_can_capture(void **state)
{
	log_capture(keep);
	errno = EDOM;
	log_info(&romeo, "bound %d", 7);
	CHECK_EQUAL(errno, EDOM);
	log_capture(NULL);
	CHECK_TEXT(captured, "2 c2s 2/17 romeo@localhost: bound 7");
}

static void *
write_many(void *arg)
{
	for (int i = 0; i < 200; i++) {
		log_info(&romeo, "%0100d", i);
		if (i % 50 == 0)
			log_reopen();
	}
	return NULL;
}

static void
lines_of_threads_stay_whole(void **state)
{
	pthread_t threads[4];
	const char *text;
	size_t lines = 0;

	CHECK(log_open(path, LOG_TEXT));
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_create(&threads[i], NULL, write_many, NULL);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	text = take_file(path);
	for (const char *end; (end = strchr(text, '\n')) != NULL;
	    text = end + 1) {
		assert_int_equal(
		    end - text, strlen("2026-11-21T12:00:00.056Z info  "
				       "c2s 2/17 romeo@localhost: ") +
				    100);
		lines++;
	}
	CHECK_EQUAL(lines, 800);
}

static int
make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/log_test.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(moved, sizeof(moved), "%s/log.1", folder);
	clock_fake(1, AT_US);
	return 0;
}

static int
remove_folder(void **state)
{
	log_close();
	unlink(path);
	unlink(moved);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(levels_have_names),
	    cmocka_unit_test(only_shown_levels_are_written),
	    cmocka_unit_test(strange_words_do_not_break_a_line),
	    cmocka_unit_test(reopen_follows_a_rotation),
	    cmocka_unit_test(a_bad_place_changes_nothing),
	    cmocka_unit_test(the_journal_gets_fields),
	    cmocka_unit_test(tests_can_capture),
	    cmocka_unit_test(lines_of_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
