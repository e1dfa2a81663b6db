/* What commands print for people, of answers that a thread gives. */
#include "server/command.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"

/* --- an administration ---------------------------------------------------- */

static struct {
	char path[64];
	int fd;
	const char *const *bodies; /* one for each request, then NULL */
	char asked[512];           /* the last one */
} admin;

static void
answer(const char *body)
{
	int fd = accept(admin.fd, NULL, NULL);
	char head[128];
	ssize_t len = read(fd, admin.asked, sizeof(admin.asked) - 1);

	admin.asked[len < 0 ? 0 : len] = '\0';
	snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body));
	(void)!write(fd, head, strlen(head));
	(void)!write(fd, body, strlen(body));
	close(fd);
}

static void *
answer_all(void *unused)
{
	(void)unused;
	for (size_t i = 0; admin.bodies[i] != NULL; i++)
		answer(admin.bodies[i]);
	return NULL;
}

static int
start(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	snprintf(admin.path, sizeof(admin.path), "/tmp/command_test.%d",
	    (int)getpid());
	unlink(admin.path); /* of one that was killed, long ago */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", admin.path);
	admin.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(admin.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return listen(admin.fd, 1);
}

static int
stop(void **state)
{
	(void)state;
	close(admin.fd);
	return unlink(admin.path);
}

/* --- what is printed ------------------------------------------------------ */

static char printed[65536];

/* Runs it with standard output going there. */
static enum command_exit
run_words(bool is_json, char **words, const char *const *bodies)
{
	const struct command_options options = {
	    .socket = admin.path, .is_json = is_json};
	FILE *file = tmpfile();
	int stdout_fd = dup(STDOUT_FILENO);
	pthread_t thread;
	enum command_exit result;
	size_t len;
	int count = 0;

	while (words[count] != NULL)
		count++;
	admin.bodies = bodies;
	pthread_create(&thread, NULL, answer_all, NULL);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	result = command_run(&options, count, words);
	fflush(stdout);
	dup2(stdout_fd, STDOUT_FILENO);
	close(stdout_fd);
	pthread_join(thread, NULL);
	rewind(file);
	len = fread(printed, 1, sizeof(printed) - 1, file);
	printed[len] = '\0';
	fclose(file);
	return result;
}

static enum command_exit
run(char *command, const char *body)
{
	return run_words(false, (char *[]){command, NULL},
	    (const char *const[]){body, NULL});
}

#define STREAM(direction, bidi, proof, tls, age)                   \
	"{\"direction\":\"" direction "\",\"bidirectional\":" bidi \
	",\"proof\":\"" proof "\",\"tls\":" tls ",\"age_s\":" age "}"

/* Which way, proved by what, TLS, how old; what waits, since when; the last
 * error. */
static void
links_are_listed(void **state)
{
	char command[] = "s2s";

	(void)state;
	assert_int_equal(
	    run(command,
		"{\"pairs\":["
		"{\"local\":\"a.example\",\"remote\":\"b.example\","
		"\"state\":\"connected\",\"streams\":[" STREAM("out", "true",
		    "certificate", "\"TLS1.3\"",
		    "59") "," STREAM("in", "false", "dialback", "null",
		    "3600") "],"
			    "\"queued\":2,\"oldest_s\":7,\"last_error\":null},"
			    "{\"local\":\"a.example\",\"remote\":\"c.example\","
			    "\"state\":\"waiting\",\"streams\":[],"
			    "\"queued\":30,\"in_doubt\":4,"
			    "\"oldest_s\":600,"
			    "\"last_error\":\"connection refused\"}]}"),
	    COMMAND_OK);
	assert_int_equal(strncmp(admin.asked, "GET /v1/s2s ", 12), 0);
	assert_string_equal(printed,
	    "ours                     theirs                   state      "
	    "streams (age)                                 queued  oldest  "
	    "last error\n"
	    "a.example                b.example                connected  "
	    "out+ certificate TLS1.3 (59 s), in dialback - (1 h) "
	    "2       7 s     -\n"
	    "a.example                c.example                waiting    "
	    "-                                             30      10 min  "
	    "connection refused; 4 in doubt\n");
}

#define CSI "\xc2\x9b" /* U+009B */

/* What another server says does not drive the terminal. */
static void
words_of_others_are_escaped(void **state)
{
	static const char checked[] =
	    "{\"from\":\"a.example\",\"domain\":\"b.example\",\"ok\":true,"
	    "\"steps\":[{\"step\":\"dns\",\"ok\":true,"
	    "\"text\":\"Bücher\\n" CSI "2Jx\\\\\"}],"
	    "\"advice\":\"None\"}\n";
	char command[] = "s2s", check[] = "check", domain[] = "b.example";
	char *words[] = {command, check, domain, NULL};

	(void)state;
	assert_int_equal(
	    run(command, "{\"pairs\":[{\"local\":\"a.example\","
			 "\"last_error\":\"\\u001b]0;x\\u0007\"}]}"),
	    COMMAND_OK);
	assert_null(strchr(printed, '\033'));
	assert_non_null(strstr(printed, "\\x1b]0;x\\x07\n"));
	assert_int_equal(
	    run_words(false, words, (const char *const[]){checked, NULL}),
	    COMMAND_OK);
	assert_non_null(strstr(
	    printed, "  dns             ok      Bücher\\x0a\\x9b2Jx\\\n"));
	assert_int_equal(
	    run_words(true, words, (const char *const[]){checked, NULL}),
	    COMMAND_OK);
	assert_non_null(strstr(printed, "\"Bücher\\n\\u009b2Jx\\\\\"}]"));
}

/* Rounded down, in the largest unit that fits. */
static void
ages_are_short(void **state)
{
	static const struct {
		const char *body, *text;
	} ages[] = {
#define AGE(seconds)                         \
	"{\"pairs\":[{\"streams\":[" STREAM( \
	    "out", "false", "dialback", "null", seconds) "],\"queued\":0}]}"
	    {AGE("0"), "(0 s)"},
	    {AGE("119"), "(1 min)"},
	    {AGE("7199"), "(1 h)"},
	    {AGE("172799"), "(1 d)"},
	    {AGE("8640000"), "(100 d)"},
	};
	char command[] = "s2s";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ages); i++) {
		assert_int_equal(run(command, ages[i].body), COMMAND_OK);
		if (strstr(printed, ages[i].text) == NULL)
			fail_msg("%s: %s", ages[i].text, printed);
	}
}

static const char *
page_of(struct arena *arena, unsigned first, unsigned count)
{
	const char *text = "{\"accounts\":[";

	for (unsigned i = first; i < first + count; i++)
		text = str_format(arena,
		    "%s%s{\"jid\":\"u%u+@a.example\",\"disabled\":%s}", text,
		    i == first ? "" : ",", i, i == 1 ? "true" : "false")
			   .text;
	return str_format(arena, "%s]}", text).text;
}

/* However many answers that takes; for scripts they are one. */
static void
all_accounts_are_listed(void **state)
{
	char users[] = "users", host[] = "a.example";
	char *words[] = {users, host, NULL};
	struct arena *arena = arena_make(0);
	const char *const bodies[] = {
	    page_of(arena, 0, 1000), page_of(arena, 1000, 2), NULL};

	(void)state;
	assert_int_equal(run_words(false, words, bodies), COMMAND_OK);
	assert_non_null(strstr(
	    admin.asked, "/v1/accounts?host=a.example&after=u999%2b HTTP"));
	assert_non_null(
	    strstr(printed, "u0+@a.example\nu1+@a.example (disabled)\nu2+@"));
	assert_non_null(strstr(printed, "\nu999+@a.example\nu1000+@"));
	assert_int_equal(run_words(true, words, bodies), COMMAND_OK);
	assert_string_equal(
	    printed, str_format(arena, "%s\n", page_of(arena, 0, 1002)).text);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(links_are_listed),
	    cmocka_unit_test(words_of_others_are_escaped),
	    cmocka_unit_test(ages_are_short),
	    cmocka_unit_test(all_accounts_are_listed),
	};

	return cmocka_run_group_tests_name("command", tests, start, stop);
}
