/*
 * conformance/interop/purple.c - libpurple, the engine of Pidgin, on a line
 * protocol: purple FOLDER JID/RESOURCE ADDRESS PORT, the password as the first
 * line of standard input.
 *
 * Commands come one a line: login, logout, add JID, approve JID, show STATE,
 * send JID TEXT, quit. What happens goes out one event a line, tab between its
 * words: online, offline, subscribe JID, presence JID STATE, message JID TEXT.
 *
 * It does what a person would with Pidgin: accepts the certificate when asked,
 * and connects again when the network fails.
 */
#include <glib.h>
#include <purple.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UI          "interop"
#define RECONNECT_S 1

static PurpleAccount *account;
static GMainLoop *loop;
static gboolean wanted; /* the person wants to be online */

/* JID -> the callback that approves it */
static GHashTable *requests;

struct request {
	PurpleAccountRequestAuthorizationCb approve;
	void *user;
};

static void
say(const char *event, const char *who, const char *what)
{
	fputs(event, stdout);
	if (who != NULL) {
		g_autofree char *bare = g_strndup(who, strcspn(who, "/"));
		printf("\t%s", bare);
	}
	if (what != NULL)
		printf("\t%s", what);
	putchar('\n');
	fflush(stdout);
}

/* The event loop that libpurple asks its user interface for: GLib's. */

struct watch {
	PurpleInputFunction ready;
	void *user;
};

static gboolean
watch_ready(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	struct watch *watch = data;
	PurpleInputCondition seen = 0;

	if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
		seen |= PURPLE_INPUT_READ;
	if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
		seen |= PURPLE_INPUT_WRITE;
	watch->ready(watch->user, g_io_channel_unix_get_fd(channel), seen);
	return TRUE;
}

static guint
watch_add(int fd, PurpleInputCondition wanted_now, PurpleInputFunction ready,
    gpointer user)
{
	struct watch *watch = g_new0(struct watch, 1);
	GIOChannel *channel = g_io_channel_unix_new(fd);
	GIOCondition condition = G_IO_HUP | G_IO_ERR;
	guint id;

	watch->ready = ready;
	watch->user = user;
	if (wanted_now & PURPLE_INPUT_READ)
		condition |= G_IO_IN;
	if (wanted_now & PURPLE_INPUT_WRITE)
		condition |= G_IO_OUT | G_IO_NVAL;
	id = g_io_add_watch_full(
	    channel, G_PRIORITY_DEFAULT, condition, watch_ready, watch, g_free);
	g_io_channel_unref(channel);
	return id;
}

static PurpleEventLoopUiOps loop_ops = {
    .timeout_add = g_timeout_add,
    .timeout_remove = g_source_remove,
    .input_add = watch_add,
    .input_remove = g_source_remove,
    .timeout_add_seconds = g_timeout_add_seconds,
};

/* Questions: the first answer is the one that goes on ("Accept"). */

static void *
answer_first(const char *title, const char *primary, const char *secondary,
    int preset, PurpleAccount *asked, const char *who, PurpleConversation *conv,
    void *user, size_t count, va_list actions)
{
	if (count > 0) {
		va_arg(actions, const char *);
		va_arg(actions, PurpleRequestActionCb)(user, 0);
	}
	return NULL;
}

static PurpleRequestUiOps request_ops = {.request_action = answer_first};

static void *
on_subscribe(PurpleAccount *asked, const char *who, const char *id,
    const char *alias, const char *text, gboolean on_list,
    PurpleAccountRequestAuthorizationCb approve,
    PurpleAccountRequestAuthorizationCb deny, void *user)
{
	struct request *request = g_new0(struct request, 1);

	request->approve = approve;
	request->user = user;
	g_hash_table_replace(requests, g_strdup(who), request);
	say("subscribe", who, NULL);
	return NULL;
}

static PurpleAccountUiOps account_ops = {.request_authorize = on_subscribe};

/* The connection */

static gboolean
connect_again(gpointer unused)
{
	if (wanted)
		purple_account_connect(account);
	return FALSE;
}

static void
on_disconnect(
    PurpleConnection *gc, PurpleConnectionError reason, const char *text)
{
	fprintf(stderr, "disconnected: %s\n", text);
	if (!purple_connection_error_is_fatal(reason))
		g_timeout_add_seconds(RECONNECT_S, connect_again, NULL);
}

static PurpleConnectionUiOps connection_ops = {
    .report_disconnect_reason = on_disconnect};

static void
on_signed_on(PurpleConnection *gc)
{
	say("online", NULL, NULL);
}

static void
on_signed_off(PurpleConnection *gc)
{
	say("offline", NULL, NULL);
}

/* Contacts and messages */

static const char *
show_of(PurpleStatus *status)
{
	PurpleStatusType *type = purple_status_get_type(status);

	switch (purple_status_type_get_primitive(type)) {
	case PURPLE_STATUS_AVAILABLE:
		return "available";
	case PURPLE_STATUS_AWAY:
		return "away";
	case PURPLE_STATUS_UNAVAILABLE:
		return "dnd";
	default:
		return "unavailable";
	}
}

static void
on_presence(PurpleBuddy *buddy)
{
	PurplePresence *presence = purple_buddy_get_presence(buddy);

	say("presence", purple_buddy_get_name(buddy),
	    show_of(purple_presence_get_active_status(presence)));
}

static void
on_status(PurpleBuddy *buddy, PurpleStatus *before, PurpleStatus *now)
{
	say("presence", purple_buddy_get_name(buddy), show_of(now));
}

static void
on_message(PurpleAccount *to, const char *from, const char *html)
{
	g_autofree char *text = purple_markup_strip_html(html);

	say("message", from, text);
}

static void
hear(void *instance, const char *signal, PurpleCallback callback)
{
	static int handle;

	purple_signal_connect(instance, signal, &handle, callback, NULL);
}

static void
hear_all(void)
{
	hear(purple_connections_get_handle(), "signed-on",
	    PURPLE_CALLBACK(on_signed_on));
	hear(purple_connections_get_handle(), "signed-off",
	    PURPLE_CALLBACK(on_signed_off));
	hear(purple_blist_get_handle(), "buddy-signed-on",
	    PURPLE_CALLBACK(on_presence));
	hear(purple_blist_get_handle(), "buddy-signed-off",
	    PURPLE_CALLBACK(on_presence));
	hear(purple_blist_get_handle(), "buddy-status-changed",
	    PURPLE_CALLBACK(on_status));
	hear(purple_conversations_get_handle(), "received-im-msg",
	    PURPLE_CALLBACK(on_message));
}

/* Commands */

static void
do_login(const char *who, const char *text)
{
	wanted = TRUE;
	purple_account_set_enabled(account, UI, TRUE);
	if (purple_account_is_disconnected(account))
		purple_account_connect(account);
}

static void
do_logout(const char *who, const char *text)
{
	wanted = FALSE;
	purple_account_disconnect(account);
}

static void
do_add(const char *who, const char *text)
{
	PurpleBuddy *buddy = purple_buddy_new(account, who, "a friend");

	purple_blist_add_buddy(buddy, NULL, NULL, NULL);
	purple_account_add_buddy(account, buddy);
}

static void
do_approve(const char *who, const char *text)
{
	struct request *request = g_hash_table_lookup(requests, who);

	if (request != NULL)
		request->approve(request->user);
	g_hash_table_remove(requests, who);
}

static void
do_show(const char *state, const char *text)
{
	purple_account_set_status(account, state, TRUE, NULL);
}

static void
do_send(const char *who, const char *text)
{
	g_autofree char *html = g_markup_escape_text(text, -1);
	PurpleConversation *conv =
	    purple_conversation_new(PURPLE_CONV_TYPE_IM, account, who);

	purple_conv_im_send(PURPLE_CONV_IM(conv), html);
}

static void
do_quit(const char *who, const char *text)
{
	wanted = FALSE;
	g_main_loop_quit(loop);
}

static const struct {
	const char *name;
	void (*run)(const char *who, const char *text);
} commands[] = {
    {"login", do_login},
    {"logout", do_logout},
    {"add", do_add},
    {"approve", do_approve},
    {"show", do_show},
    {"send", do_send},
    {"quit", do_quit},
};

static gboolean
on_command(GIOChannel *channel, GIOCondition condition, gpointer unused)
{
	g_autofree char *line = NULL;
	g_auto(GStrv) words = NULL;

	if (g_io_channel_read_line(channel, &line, NULL, NULL, NULL) !=
	    G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	words = g_strsplit(g_strchomp(line), " ", 3);
	for (size_t i = 0; words[0] && i < G_N_ELEMENTS(commands); i++) {
		if (strcmp(words[0], commands[i].name) == 0)
			commands[i].run(words[1], words[1] ? words[2] : NULL);
	}
	return TRUE;
}

static void
start_core(const char *folder)
{
	purple_util_set_user_dir(folder);
	purple_eventloop_set_ui_ops(&loop_ops);
	purple_request_set_ui_ops(&request_ops);
	purple_accounts_set_ui_ops(&account_ops);
	purple_connections_set_ui_ops(&connection_ops);
	if (!purple_core_init(UI))
		exit(EXIT_FAILURE);
	purple_set_blist(purple_blist_new());
	purple_prefs_load();
	hear_all();
}

static void
make_account(char **argv, const char *password)
{
	account = purple_account_new(argv[2], "prpl-jabber");
	purple_accounts_add(account);
	purple_account_set_password(account, password);
	purple_account_set_remember_password(account, TRUE);
	purple_account_set_string(account, "connect_server", argv[3]);
	purple_account_set_int(
	    account, "port", (int)g_ascii_strtoll(argv[4], NULL, 10));
	purple_account_set_string(
	    account, "connection_security", "require_tls");
}

int
main(int argc, char **argv)
{
	GIOChannel *input = g_io_channel_unix_new(0);
	g_autofree char *password = NULL;

	if (argc != 5)
		return EXIT_FAILURE;
	g_io_channel_read_line(input, &password, NULL, NULL, NULL);
	requests =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	loop = g_main_loop_new(NULL, FALSE);
	start_core(argv[1]);
	make_account(argv, g_strchomp(password));
	g_io_add_watch(input, G_IO_IN | G_IO_HUP, on_command, NULL);
	g_main_loop_run(loop);
	purple_core_quit();
	return EXIT_SUCCESS;
}
