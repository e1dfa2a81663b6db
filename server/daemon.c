#include "server/daemon.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "server/daemon_private.h"
#include "server/kept.h"
#include "server/outbox.h"
#include "server/purge.h"
#include "server/register.h"
#include "server/settings.h"
#include "server/sweep.h"
#include "server/tls.h"
#include "server/trust.h"
#include "server/wake.h"
#include "storage/store.h"

/* Signals and the administration find it here; there is one in a process. */
static struct daemon *running;

/* --- systemd ------------------------------------------------------------- */

static void
notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* How often the service manager wants to hear of us; 0: never. */
static uint64_t
watchdog_ms(void)
{
	uint64_t wanted_us = 0;

#ifdef HAVE_SYSTEMD
	if (sd_watchdog_enabled(0, &wanted_us) <= 0)
		wanted_us = 0;
#endif
	return wanted_us / 1000;
}

/* A shard that does not answer a pulse hangs, and so does the server. */
static void
on_watchdog(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	if (daemon->pulses_left > 0)
		return;
	notify("WATCHDOG=1");
	daemon->pulses_left = daemon->server.shard_count;
	for (unsigned i = 0; i < daemon->server.shard_count; i++) {
		struct post *letter = post_new(POST_PULSE, NULL);

		letter->ticket = 1;
		post_send_to(&daemon->server.shards[0], i, letter);
	}
}

void
daemon_take_pulse(struct shard *shard, struct post *letter)
{
	const bool is_question = letter->ticket != 0;

	post_free(&letter);
	if (is_question)
		post_send_to(shard, 0, post_new(POST_PULSE, NULL));
	else
		shard->server->daemon->pulses_left--;
}

/* --- reload -------------------------------------------------------------- */

static void
warn_of_restart(
    struct daemon *daemon, struct arena *arena, const struct config *config)
{
	struct setting_list names = config_diff(arena, daemon->config, config);

	for (size_t i = 0; i < names.count; i++)
		log_warn(&log_server,
		    "setting %.*s has changed, which needs a restart",
		    STR_ARG(names.items[i]));
}

static void
change_over(struct daemon *daemon, struct setup *setup)
{
	for (unsigned i = 0; i < daemon->server.shard_count; i++) {
		struct post *letter = post_new(POST_RELOAD, NULL);

		letter->setup = setup_ref(setup);
		post_send_to(&daemon->server.shards[0], i, letter);
	}
}

static bool
reload(struct arena *arena, struct str *why_r)
{
	struct daemon *daemon = running;
	const struct config *config;
	struct setup *setup = NULL;

	log_reopen();
	config = config_load(arena, daemon->options->config_path,
	    daemon->tables, daemon->table_count, why_r);
	if (config != NULL)
		setup = daemon_read_setup(daemon, arena, config, why_r);
	if (setup == NULL ||
	    !daemon_open_log(arena, daemon->config, config, why_r)) {
		log_error(
		    &log_server, "could not reload: %.*s", STR_ARG(*why_r));
		setup_unref(&setup);
		config_unref(&config);
		return false;
	}
	warn_of_restart(daemon, arena, config);
	change_over(daemon, setup);
	setup_unref(&setup);
	config_unref(&daemon->config);
	daemon->config = config;
	log_info(&log_server, "configuration and certificates reloaded");
	return true;
}

/* --- the end ------------------------------------------------------------- */

static void
admin_closed(void *arg)
{
	daemon_stop(arg);
}

static void
stop(void)
{
	struct daemon *daemon = running;
	struct admin *admin = daemon->admin;

	if (daemon->phase != 0 || admin == NULL)
		return;
	notify("STOPPING=1");
	daemon->admin = NULL;
	uv_close((uv_handle_t *)&daemon->watchdog, NULL);
	for (size_t i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
	/* Nobody reloads any more; who asks for it does not mean the end. */
	signal(SIGHUP, SIG_IGN);
	admin_close(admin, admin_closed, daemon);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct arena *arena;
	struct str why;

	(void)handle;
	if (number != SIGHUP) {
		stop();
		return;
	}
	if (running->is_ready)
		notify("RELOADING=1");
	arena = arena_make(0);
	reload(arena, &why);
	arena_free(&arena);
	if (running->is_ready)
		notify("READY=1");
}

/* --- the start ----------------------------------------------------------- */

/* Until there is somebody to reload, who asks for it waits: by itself the
 * signal ends the process. */
static void
hold_reloads(bool is_held)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(is_held ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

static void
watch_signals(struct daemon *daemon)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	uv_loop_t *loop = &daemon->threads[0].loop;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 3; i++) {
		uv_signal_init(loop, &daemon->signals[i]);
		uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
	}
	hold_reloads(false);
	uv_timer_init(loop, &daemon->watchdog);
	daemon->watchdog.data = daemon;
	if (watchdog_ms() > 0)
		uv_timer_start(
		    &daemon->watchdog, on_watchdog, 0, watchdog_ms() / 3);
}

static bool
open_admin(struct daemon *daemon, struct str *why_r)
{
	static const struct admin_daemon calls = {
	    .reload = reload, .stop = stop};
	struct str path =
	    config_text(daemon->config, CONFIG_GLOBAL, SETTING(ADMIN_SOCKET));

	daemon->admin = admin_open(daemon->arena, &daemon->server.shards[0],
	    str_dup(daemon->arena, path).text, &calls, why_r);
	return daemon->admin != NULL;
}

static void
say_ready(struct daemon *daemon)
{
	struct arena *arena = arena_make(0);
	size_t host_count;

	config_hosts(daemon->config, &host_count);
	log_info(&log_server,
	    "Jackdaw " JACKDAW_VERSION
	    " serves %zu hosts with %u shards on ports %.*s",
	    host_count, daemon->server.shard_count,
	    STR_ARG(listeners_text(daemon->listeners, arena)));
	arena_free(&arena);
	daemon->is_ready = true;
	notify("READY=1");
}

static void
let_in(struct shard *shard)
{
	struct daemon *daemon = shard->server->daemon;

	if (daemon->phase != 0)
		return;
	for (unsigned i = 0; i < daemon->server.shard_count; i++)
		post_send_to(shard, i, post_new(POST_OPEN, NULL));
	say_ready(daemon);
}

static void
post_left_letters(struct shard *shard)
{
	wake_start(shard);
	outbox_start(shard, let_in);
}

/* Sessions of an earlier run come first, but for those of guests; then its
 * letters, which they may get; then what anybody says now. */
static void
end_left_guests(struct shard *shard)
{
	register_start(shard, post_left_letters);
}

static void
bring_back(struct shard *shard)
{
	kept_start(shard, end_left_guests);
}

void
daemon_take_open(struct shard *shard, struct post *letter)
{
	post_free(&letter);
	if (!shard->is_draining)
		listeners_start(shard->server->daemon->listeners, shard);
}

static void
close_loop(struct shard_thread *thread)
{
	uv_run(&thread->loop, UV_RUN_DEFAULT);
	must(uv_loop_close(&thread->loop) == 0);
}

static void
serve(struct daemon *daemon)
{
	struct server *server = &daemon->server;
	struct storage *storage = server->storage;

	watch_signals(daemon);
	daemon_start_threads(daemon);
	purge_start(&server->shards[0]);
	sweep_start(&server->shards[0]);
	outbox_open(&server->shards[0], bring_back);
	uv_run(&daemon->threads[0].loop, UV_RUN_DEFAULT);
	for (unsigned i = 1; i < server->shard_count; i++)
		pthread_join(daemon->threads[i].thread, NULL);
	for (unsigned i = 0; i < server->shard_count; i++) {
		shard_enter(&server->shards[i]);
		shard_deinit(&server->shards[i]);
		close_loop(&daemon->threads[i]);
	}
	shard_enter(NULL);
	listeners_free(&daemon->listeners);
	server_deinit(server);
	storage_close(&storage);
	trust_stop();
	tls_stop();
}

static int
refuse(const struct str why)
{
	log_error(&log_server, "%.*s", STR_ARG(why));
	return EXIT_FAILURE;
}

int
daemon_run(const struct daemon_options *options)
{
	/* What a refused start leaves behind goes with the process. */
	static struct daemon daemon;
	struct str why = STR("could not start");

	daemon = (struct daemon){.options = options, .arena = arena_make(0)};
	running = &daemon;
	hold_reloads(true);
	if (!daemon_configure(&daemon, &why) || !daemon_start(&daemon, &why) ||
	    !open_admin(&daemon, &why))
		return refuse(why);
	serve(&daemon);
	log_info(&log_server, "ended in order");
	config_unref(&daemon.config);
	arena_free(&daemon.arena);
	log_close();
	return EXIT_SUCCESS;
}

/* {"ok": true}, or what is wrong as the API says it. */
static void
say_json(bool is_well, struct str why)
{
	json_t *json = is_well ? json_pack("{s:b}", "ok", 1)
			       : json_pack("{s:b,s:s%}", "ok", 0, "error",
				     why.text, why.len);

	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

int
daemon_check(const struct daemon_options *options)
{
	struct daemon daemon = {.options = options, .arena = arena_make(0)};
	struct setup *setup = NULL;
	struct str why = STR("");

	if (daemon_configure(&daemon, &why))
		setup = daemon_read_setup(
		    &daemon, daemon.arena, daemon.config, &why);
	if (options->is_json)
		say_json(setup != NULL, why);
	else if (setup != NULL)
		printf("%s: all is well\n", options->config_path);
	else
		fprintf(stderr, "jackdaw: %.*s\n", STR_ARG(why));
	setup_unref(&setup);
	config_unref(&daemon.config);
	arena_free(&daemon.arena);
	return why.len == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
