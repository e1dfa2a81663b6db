#include "server/command.h"

#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/escape.h"
#include "server/admin.h"
#include "server/command_http.h"

/* One command at work. */
struct command {
	const struct command_options *options;
	struct arena *arena;
	int argc; /* of the arguments behind the name */
	char **argv;
	json_t *json; /* of the last answer; NULL without */
};

/* --- what is printed ------------------------------------------------------ */

static struct str
escaped(const struct command *command, struct str text,
    void (*escape)(struct buf *, struct str))
{
	struct buf buf = {0};
	struct str result;

	escape(&buf, text);
	result = str_dup(command->arena, buf_str(&buf));
	buf_deinit(&buf);
	return result;
}

/* Other servers have their words in it. */
static const char *
text_of(const struct command *command, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || text[0] == '\0')
		return "-";
	return escaped(command, str_of(text), escape_text).text;
}

static void
print_json(const struct command *command, struct str json)
{
	printf("%.*s\n", STR_ARG(escaped(command, json, escape_json)));
}

/* --- asking the server --------------------------------------------------- */

static enum command_exit
show_failure(const struct command *command, const struct http_reply *reply)
{
	const bool is_told = json_object_get(command->json, "error") != NULL;

	if (command->options->is_json && reply->body.len > 0)
		print_json(command, reply->body);
	fprintf(stderr, "jackdaw: %s\n",
	    is_told ? text_of(command, command->json, "error")
		    : "the server could not do it; see its log");
	return COMMAND_FAILED;
}

/* Takes the body, which may be NULL; the answer goes to command->json. */
static enum command_exit
fetch(struct command *command, const char *method, const char *path,
    json_t *body, struct http_reply *reply_r)
{
	const struct http_ask asked = {
	    command->options->socket, method, path, body};
	struct str why;

	if (!command_http(command->arena, &asked, reply_r, &why)) {
		fprintf(stderr, "jackdaw: %.*s\n", STR_ARG(why));
		return COMMAND_UNREACHABLE;
	}
	json_decref(command->json);
	command->json =
	    reply_r->body.len == 0
		? NULL
		: json_loadb(reply_r->body.text, reply_r->body.len, 0, NULL);
	return reply_r->status >= 300 ? show_failure(command, reply_r)
				      : COMMAND_OK;
}

/* Likewise; with --json the answer is printed. */
static enum command_exit
ask(struct command *command, const char *method, const char *path, json_t *body)
{
	struct http_reply reply;
	enum command_exit result = fetch(command, method, path, body, &reply);

	if (result == COMMAND_OK && command->options->is_json)
		print_json(
		    command, reply.body.len == 0 ? STR("{}") : reply.body);
	return result;
}

static const char *
account_path(const struct command *command)
{
	return str_format(command->arena, "/v1/accounts/%s",
	    command_http_escape(command->arena, command->argv[0]).text)
	    .text;
}

static bool
is_for_people(const struct command *command, enum command_exit result)
{
	return result == COMMAND_OK && !command->options->is_json;
}

/* --- passwords ----------------------------------------------------------- */

/* However long; NULL when there is none. */
static const char *
read_line(struct command *command)
{
	const char *kept = NULL;
	char *line = NULL;
	size_t room = 0, len;

	if (getline(&line, &room, stdin) >= 0) {
		len = strcspn(line, "\r\n");
		if (len > 0)
			kept = arena_dup(command->arena, line, len);
	}
	free(line);
	return kept;
}

/* --- what is typed is not shown ------------------------------------------- */

#define ENDING 4
static const int ending[ENDING] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct hidden {
	bool is_terminal;
	struct sigaction before[ENDING];
};

static struct termios shown; /* for on_ending */

/* Who gives up gets the terminal back as it was. */
static void
on_ending(int number)
{
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &shown);
	(void)raise(number);
}

static struct hidden
hide(void)
{
	struct hidden hidden = {
	    .is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0,
	};
	const struct sigaction action = {
	    .sa_handler = on_ending,
	    .sa_flags = (int)SA_RESETHAND,
	};
	struct termios silent = shown;

	if (!hidden.is_terminal)
		return hidden;
	for (size_t i = 0; i < ENDING; i++)
		(void)sigaction(ending[i], &action, &hidden.before[i]);
	silent.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	return hidden;
}

static void
show(const struct hidden *hidden)
{
	if (!hidden->is_terminal)
		return;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	for (size_t i = 0; i < ENDING; i++)
		(void)sigaction(ending[i], &hidden->before[i], NULL);
	fputc('\n', stderr);
}

static const char *
ask_line(struct command *command, const char *prompt)
{
	const struct hidden hidden = hide();
	const char *line;

	fprintf(stderr, "%s: ", prompt);
	line = read_line(command);
	show(&hidden);
	return line;
}

/* NULL, with words for people, when there is none. */
static const char *
read_password(struct command *command)
{
	const char *first, *second = NULL;

	if (command->options->is_password_stdin) {
		first = read_line(command);
		if (first == NULL)
			fprintf(stderr, "jackdaw: no password came from "
					"standard input\n");
		return first;
	}
	first = ask_line(command, "Password");
	if (first != NULL)
		second = ask_line(command, "The same again");
	if (second == NULL) {
		fprintf(stderr, "jackdaw: no password was given\n");
		return NULL;
	}
	if (strcmp(first, second) != 0) {
		fprintf(stderr, "jackdaw: the two passwords differ\n");
		return NULL;
	}
	return first;
}

/* --- the commands -------------------------------------------------------- */

static enum command_exit
adduser(struct command *command)
{
	const char *password = read_password(command);
	enum command_exit result;

	if (password == NULL)
		return COMMAND_FAILED;
	result = ask(command, "POST", "/v1/accounts",
	    json_pack(
		"{s:s, s:s}", "jid", command->argv[0], "password", password));
	if (is_for_people(command, result))
		printf("%s can log in now.\n", command->argv[0]);
	return result;
}

static enum command_exit
passwd(struct command *command)
{
	const char *password = read_password(command);
	enum command_exit result;

	if (password == NULL)
		return COMMAND_FAILED;
	result = ask(command, "PATCH", account_path(command),
	    json_pack("{s:s}", "password", password));
	if (is_for_people(command, result))
		printf("The password of %s is changed; its sessions ended.\n",
		    command->argv[0]);
	return result;
}

static enum command_exit
set_disabled(struct command *command, bool is_disabled)
{
	enum command_exit result;

	result = ask(command, "PATCH", account_path(command),
	    json_pack("{s:b}", "disabled", (int)is_disabled));
	if (is_for_people(command, result))
		printf("%s is %s.\n", command->argv[0],
		    is_disabled ? "disabled; its sessions ended" : "enabled");
	return result;
}

static enum command_exit
disable(struct command *command)
{
	return set_disabled(command, true);
}

static enum command_exit
enable(struct command *command)
{
	return set_disabled(command, false);
}

static enum command_exit
deluser(struct command *command)
{
	enum command_exit result;

	result = ask(command, "DELETE", account_path(command), NULL);
	if (is_for_people(command, result))
		printf("%s is removed, with all that was kept of it.\n",
		    command->argv[0]);
	return result;
}

static void
show_account(const struct command *command, const json_t *account)
{
	printf("%s%s\n", text_of(command, account, "jid"),
	    json_is_true(json_object_get(account, "disabled")) ? " (disabled)"
							       : "");
}

/* One page, of those after that name; it goes to the end of accounts. */
static enum command_exit
fetch_users(struct command *command, struct str after, json_t *accounts)
{
	const char *host =
	    command_http_escape(command->arena, command->argv[0]).text;
	struct http_reply reply;
	enum command_exit result = fetch(command, "GET",
	    str_format(command->arena, "/v1/accounts?host=%s&after=%s", host,
		command_http_escape(
		    command->arena, str_dup(command->arena, after).text)
		    .text)
		.text,
	    NULL, &reply);

	if (result == COMMAND_OK)
		json_array_extend(
		    accounts, json_object_get(command->json, "accounts"));
	return result;
}

/* The answer is read page by page, and printed as one. */
static enum command_exit
users(struct command *command)
{
	json_t *all = json_pack("{s:[]}", "accounts");
	json_t *accounts = json_object_get(all, "accounts"), *account;
	struct str after = STR("");
	enum command_exit result;
	size_t before, i;

	do {
		before = json_array_size(accounts);
		result = fetch_users(command, after, accounts);
		account =
		    json_array_get(accounts, json_array_size(accounts) - 1);
		str_cut(
		    str_of(json_string_value(json_object_get(account, "jid"))),
		    '@', &after, &(struct str){0});
	} while (json_array_size(accounts) - before >= ADMIN_LIST_MAX);
	json_array_foreach (accounts, i, account)
		if (is_for_people(command, result))
			show_account(command, account);
	if (result == COMMAND_OK && command->options->is_json &&
	    json_dumpf(all, stdout, JSON_COMPACT) == 0)
		putchar('\n');
	json_decref(all);
	return result;
}

static enum command_exit
sessions(struct command *command)
{
	enum command_exit result;
	json_t *session;
	size_t i;

	result = ask(command, "GET", "/v1/sessions", NULL);
	if (!is_for_people(command, result))
		return result;
	printf("%-40s %-24s %-14s %-8s %s\n", "session", "address", "mechanism",
	    "priority", "since");
	json_array_foreach (
	    json_object_get(command->json, "sessions"), i, session)
		printf("%-40s %-24s %-14s %-8lld %s\n",
		    text_of(command, session, "jid"),
		    text_of(command, session, "address"),
		    text_of(command, session, "mechanism"),
		    json_integer_value(json_object_get(session, "priority")),
		    text_of(command, session, "since"));
	return result;
}

/* "59 s", "10 min", "1 h", "3 d": rounded down. */
static const char *
age_text(struct command *command, const json_t *object, const char *key)
{
	static const struct {
		long long seconds;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	const long long age_s =
	    json_integer_value(json_object_get(object, key));
	size_t i = 0;

	while (units[i].seconds > 1 && age_s < units[i].seconds)
		i++;
	return str_format(
	    command->arena, "%lld %s", age_s / units[i].seconds, units[i].name)
	    .text;
}

/* "out certificate TLS1.3 (10 min), in+ dialback TLS1.2 (3 h)"; + is
 * bidirectional. */
static const char *
streams_text(struct command *command, const json_t *pair)
{
	const char *text = "";
	json_t *stream;
	size_t i;

	json_array_foreach (json_object_get(pair, "streams"), i, stream)
		text = str_format(command->arena, "%s%s%s%s %s %s (%s)", text,
		    i == 0 ? "" : ", ", text_of(command, stream, "direction"),
		    json_is_true(json_object_get(stream, "bidirectional")) ? "+"
									   : "",
		    text_of(command, stream, "proof"),
		    text_of(command, stream, "tls"),
		    age_text(command, stream, "age_s"))
			   .text;
	return text[0] == '\0' ? "-" : text;
}

/* The last error; and how much may have arrived before a stream broke. */
static const char *
trouble_text(struct command *command, const json_t *pair)
{
	const long long count =
	    json_integer_value(json_object_get(pair, "in_doubt"));

	if (count == 0)
		return text_of(command, pair, "last_error");
	return str_format(command->arena, "%s; %lld in doubt",
	    text_of(command, pair, "last_error"), count)
	    .text;
}

static enum command_exit
s2s(struct command *command)
{
	enum command_exit result;
	json_t *pair;
	size_t i;

	result = ask(command, "GET", "/v1/s2s", NULL);
	if (!is_for_people(command, result))
		return result;
	printf("%-24s %-24s %-10s %-45s %-7s %-7s %s\n", "ours", "theirs",
	    "state", "streams (age)", "queued", "oldest", "last error");
	json_array_foreach (json_object_get(command->json, "pairs"), i, pair)
		printf("%-24s %-24s %-10s %-45s %-7lld %-7s %s\n",
		    text_of(command, pair, "local"),
		    text_of(command, pair, "remote"),
		    text_of(command, pair, "state"),
		    streams_text(command, pair),
		    json_integer_value(json_object_get(pair, "queued")),
		    age_text(command, pair, "oldest_s"),
		    trouble_text(command, pair));
	return result;
}

/* With --json the steps are for who reads that; the exit is the same. */
static enum command_exit
s2s_check(struct command *command)
{
	enum command_exit result;
	json_t *body = json_pack("{s:s}", "domain", command->argv[0]);
	json_t *step;
	size_t i;

	if (command->options->from != NULL)
		json_object_set_new(
		    body, "from", json_string(command->options->from));
	result = ask(command, "POST", "/v1/s2s/check", body);
	if (is_for_people(command, result)) {
		printf("%s -> %s\n", text_of(command, command->json, "from"),
		    text_of(command, command->json, "domain"));
		json_array_foreach (
		    json_object_get(command->json, "steps"), i, step)
			printf("  %-14s  %-6s  %s\n",
			    text_of(command, step, "step"),
			    json_is_true(json_object_get(step, "ok"))
				? "ok"
				: "FAILED",
			    text_of(command, step, "text"));
		printf("%s\n", text_of(command, command->json, "advice"));
	}
	if (result == COMMAND_OK &&
	    !json_is_true(json_object_get(command->json, "ok")))
		result = COMMAND_FAILED;
	return result;
}

static enum command_exit
kick(struct command *command)
{
	enum command_exit result;

	result = ask(command, "DELETE",
	    str_format(command->arena, "/v1/sessions/%s",
		command_http_escape(command->arena, command->argv[0]).text)
		.text,
	    NULL);
	if (is_for_people(command, result))
		printf("%lld sessions end.\n",
		    json_integer_value(
			json_object_get(command->json, "kicked")));
	return result;
}

static enum command_exit
set_log(struct command *command)
{
	enum command_exit result;

	result = ask(command, "PUT", "/v1/log",
	    json_pack("{s:s}", "level", command->argv[0]));
	if (is_for_people(command, result))
		printf("The log level is %s until the server is restarted or "
		       "reloaded.\n",
		    command->argv[0]);
	return result;
}

static enum command_exit
backup(struct command *command)
{
	const char *path = command->argv[0];
	char folder[PATH_MAX] = "";
	enum command_exit result;

	if (path[0] != '/' && getcwd(folder, sizeof(folder)) != NULL)
		path = str_format(command->arena, "%s/%s", folder, path).text;
	result = ask(
	    command, "POST", "/v1/backup", json_pack("{s:s}", "path", path));
	if (is_for_people(command, result))
		printf("The database is copied to %s.\n", path);
	return result;
}

static enum command_exit
status(struct command *command)
{
	enum command_exit result;
	const json_t *host;
	size_t i;

	result = ask(command, "GET", "/v1/status", NULL);
	if (!is_for_people(command, result))
		return result;
	printf("Jackdaw %s, up for %lld s, %lld shards\n",
	    text_of(command, command->json, "version"),
	    json_integer_value(json_object_get(command->json, "uptime_s")),
	    json_integer_value(json_object_get(command->json, "shards")));
	printf("serves");
	json_array_foreach (json_object_get(command->json, "hosts"), i, host)
		printf(" %s", json_string_value(host));
	printf("\nsessions %lld, accounts in memory %lld, database %s\n",
	    json_integer_value(json_object_get(command->json, "sessions")),
	    json_integer_value(
		json_object_get(command->json, "accounts_in_memory")),
	    json_is_true(json_object_get(command->json, "storage_up"))
		? "up"
		: "cannot be reached");
	return result;
}

static enum command_exit
reload(struct command *command)
{
	enum command_exit result = ask(command, "POST", "/v1/reload", NULL);

	if (is_for_people(command, result))
		printf("The configuration and certificates are read anew.\n");
	return result;
}

static enum command_exit
stop(struct command *command)
{
	enum command_exit result = ask(command, "POST", "/v1/stop", NULL);

	if (is_for_people(command, result))
		printf("The server ends.\n");
	return result;
}

static enum command_exit
features(struct command *command)
{
	enum command_exit result;
	json_t *module, *xep;
	size_t i, k;

	result = ask(command, "GET", "/v1/features", NULL);
	if (!is_for_people(command, result))
		return result;
	json_array_foreach (
	    json_object_get(command->json, "modules"), i, module) {
		printf("%-14s %s\n", text_of(command, module, "name"),
		    text_of(command, module, "help"));
		json_array_foreach (json_object_get(module, "xeps"), k, xep)
			printf("%-14s   %s\n", "", json_string_value(xep));
	}
	return result;
}

static const struct entry {
	const char *name;
	const char *args; /* names of them; empty: none */
	const char *help;
	enum command_exit (*run)(struct command *);
} entries[] = {
    {"status", "", "says how the server is", status},
    {"reload", "", "reads configuration and certificates anew", reload},
    {"stop", "", "ends the server in order", stop},
    {"adduser", "JID", "makes an account; asks for the password", adduser},
    {"passwd", "JID", "gives an account a new password", passwd},
    {"disable", "JID", "keeps an account from logging in", disable},
    {"enable", "JID", "lets it log in again", enable},
    {"deluser", "JID", "removes an account and all it has", deluser},
    {"users", "HOST", "lists the accounts of a host", users},
    {"sessions", "", "lists who is logged in", sessions},
    {"kick", "JID", "ends a session, or all of an account", kick},
    {"s2s", "", "lists links to other domains and what waits there", s2s},
    {"s2s check", "DOMAIN", "says what is wrong on the way to a domain",
	s2s_check},
    {"log", "LEVEL", "sets how much is logged: error to wire", set_log},
    {"backup", "FILE", "copies the database while it is in use", backup},
    {"features", "", "lists modules and what they implement", features},
};

static const struct entry *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

/* By its first word, or by two of them; how many. */
static const struct entry *
find_words(int argc, char **argv, int *words_r)
{
	const struct entry *entry = NULL;
	char both[32];

	*words_r = 2;
	if (argc > 1 && snprintf(both, sizeof(both), "%s %s", argv[0],
			    argv[1]) < (int)sizeof(both))
		entry = find(both);
	if (entry != NULL)
		return entry;
	*words_r = 1;
	return find(argv[0]);
}

bool
command_exists(const char *name)
{
	return find(name) != NULL;
}

void
command_help(FILE *out)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		fprintf(out, "  %-9s %-6s %s\n", entries[i].name,
		    entries[i].args, entries[i].help);
}

enum command_exit
command_run(const struct command_options *options, int argc, char **argv)
{
	int words;
	const struct entry *entry = find_words(argc, argv, &words);
	struct command command = {
	    .options = options, .argc = argc - words, .argv = argv + words};
	enum command_exit result;

	if (entry == NULL || command.argc != (entry->args[0] != '\0')) {
		fprintf(stderr, "usage: jackdaw [options] %s %s\n",
		    entry == NULL ? argv[0] : entry->name,
		    entry == NULL ? "" : entry->args);
		return COMMAND_USAGE;
	}
	command.arena = arena_make(0);
	result = entry->run(&command);
	json_decref(command.json);
	arena_free(&command.arena);
	return result;
}
