/*
 * server/daemon_start.c - from a configuration file to shards that are ready to
 * run; whatever is wrong is said in a sentence that helps.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "server/daemon_private.h"
#include "server/dns.h"
#include "server/loader.h"
#include "server/runner.h"
#include "server/s2s.h"
#include "server/settings.h"
#include "server/tls.h"
#include "storage/store.h"

static const struct store_kind server_kind = {"server", STORE_MAP, 0};

/* --- configuration ------------------------------------------------------- */

static struct str
text_of(const struct daemon *daemon, const struct setting *setting)
{
	return config_text(daemon->config, CONFIG_GLOBAL, setting);
}

static const char *
path_of(const struct daemon *daemon, const struct setting *setting)
{
	const struct str text = text_of(daemon, setting);

	return text.len == 0 ? NULL : str_dup(daemon->arena, text).text;
}

bool
daemon_configure(struct daemon *daemon, struct str *why_r)
{
	const char *path = daemon->options->config_path;

	daemon->modules = loader_modules(
	    daemon->arena, path, daemon->options->builtin, why_r);
	if (daemon->modules == NULL)
		return false;
	daemon->tables = settings_tables(
	    daemon->arena, daemon->modules, &daemon->table_count);
	daemon->config = config_load(
	    daemon->arena, path, daemon->tables, daemon->table_count, why_r);
	return daemon->config != NULL;
}

static bool
check_storage(const struct config *config, struct str *why_r)
{
	const unsigned backend =
	    config_choice(config, CONFIG_GLOBAL, SETTING(STORAGE_BACKEND));

	if (backend != STORAGE_POSTGRES ||
	    config_text(config, CONFIG_GLOBAL, SETTING(STORAGE_CONNINFO)).len >
		0)
		return true;
	*why_r = STR("PostgreSQL is not configured: set storage.conninfo, as "
		     "in \"host=/run/postgresql dbname=jackdaw\"");
	return false;
}

struct setup *
daemon_read_setup(struct daemon *daemon, struct arena *arena,
    const struct config *config, struct str *why_r)
{
	if (!check_storage(config, why_r))
		return NULL;
	if (!dns_check_anchor(arena, config, why_r))
		return NULL;
	return setup_new(arena, config, daemon->modules, true, why_r);
}

/* --- the process --------------------------------------------------------- */

static bool
has_log_of(const struct config *config, const struct config *other)
{
	return config_choice(config, CONFIG_GLOBAL, SETTING(LOG_FORM)) ==
		   config_choice(other, CONFIG_GLOBAL, SETTING(LOG_FORM)) &&
	       str_equal(config_text(config, CONFIG_GLOBAL, SETTING(LOG_WHERE)),
		   config_text(other, CONFIG_GLOBAL, SETTING(LOG_WHERE)));
}

bool
daemon_open_log(struct arena *arena, const struct config *old,
    const struct config *config, struct str *why_r)
{
	const struct str where =
	    config_text(config, CONFIG_GLOBAL, SETTING(LOG_WHERE));
	const unsigned form =
	    config_choice(config, CONFIG_GLOBAL, SETTING(LOG_FORM));
	const unsigned level =
	    config_choice(config, CONFIG_GLOBAL, SETTING(LOG_LEVEL));

	if ((old == NULL || !has_log_of(config, old)) && where.len > 0 &&
	    !log_open(str_dup(arena, where).text, (enum log_form)form)) {
		*why_r = str_format(arena, "could not open the log %.*s: %s",
		    STR_ARG(where), strerror(errno));
		return false;
	}
	log_set_level((enum log_level)level);
	return true;
}

/* As many sockets as the system allows. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool
make_state_directory(struct daemon *daemon, struct str *why_r)
{
	const char *path = path_of(daemon, SETTING(STATE_DIRECTORY));

	if (path == NULL || mkdir(path, 0750) == 0 || errno == EEXIST)
		return true;
	*why_r = str_format(daemon->arena,
	    "could not make the state directory %s: %s", path, strerror(errno));
	return false;
}

/* The ids to become; false, and what there is not, when they are unknown. */
static bool
find_ids(const char *user, const char *group, uid_t *uid_r, gid_t *gid_r,
    const char **missing_r)
{
	const struct passwd *passwd = getpwnam(user);
	const struct group *entry = group == NULL ? NULL : getgrnam(group);

	*missing_r = passwd == NULL ? "user" : "group";
	if (passwd == NULL || (group != NULL && entry == NULL))
		return false;
	*uid_r = passwd->pw_uid;
	*gid_r = entry == NULL ? passwd->pw_gid : entry->gr_gid;
	return true;
}

/* After the ports are taken: root is not needed any more. */
static bool
drop_privileges(struct daemon *daemon, struct str *why_r)
{
	const char *user = path_of(daemon, SETTING(USER));
	const char *group = path_of(daemon, SETTING(GROUP));
	const char *missing;
	uid_t uid;
	gid_t gid;

	if (user == NULL || geteuid() != 0)
		return true;
	if (!find_ids(user, group, &uid, &gid, &missing)) {
		*why_r =
		    str_format(daemon->arena, "there is no %s %s to run as",
			missing, strcmp(missing, "user") == 0 ? user : group);
		return false;
	}
	if (initgroups(user, gid) == 0 && setgid(gid) == 0 && setuid(uid) == 0)
		return true;
	*why_r = str_format(daemon->arena, "could not become user %s: %s", user,
	    strerror(errno));
	return false;
}

#define DATABASE_NAME "jackdaw.sqlite"

static const char *
state_file(const struct daemon *daemon, const char *name)
{
	return str_format(daemon->arena, "%.*s/%s",
	    STR_ARG(text_of(daemon, SETTING(STATE_DIRECTORY))), name)
	    .text;
}

/* --- storage and its secret ---------------------------------------------- */

static bool
open_storage(struct daemon *daemon, unsigned shard_count, struct str *why_r)
{
	static const char *const backends[] = {
	    [STORAGE_SQLITE] = "sqlite",
	    [STORAGE_POSTGRES] = "postgres",
	};
	const struct config *config = daemon->config;
	const char *path = path_of(daemon, SETTING(STORAGE_PATH));
	const struct storage_options options = {
	    .backend = backends[config_choice(
		config, CONFIG_GLOBAL, SETTING(STORAGE_BACKEND))],
	    .path = path == NULL ? state_file(daemon, DATABASE_NAME) : path,
	    .conninfo = path_of(daemon, SETTING(STORAGE_CONNINFO)),
	    .deadline_ms = (unsigned)config_ms(
		config, CONFIG_GLOBAL, SETTING(STORAGE_DEADLINE)),
	    .hold_ms = 3,
	    .stores = shard_count};

	daemon->server.storage = storage_open(daemon->arena, &options, why_r);
	return daemon->server.storage != NULL;
}

/* The server's secret is made once, by whichever start comes first. */
struct secret_read {
	struct store_get get;
	struct store_commit commit;
	struct daemon *daemon;
	struct str made;
	enum err err;
	bool is_done;
};

static void
secret_kept(struct store_commit *commit)
{
	struct secret_read *secret =
	    container_of(commit, struct secret_read, commit);

	secret->err = commit->err;
	secret->is_done = true;
	if (commit->err == ERR_NONE)
		memcpy(secret->daemon->server.secret, secret->made.text,
		    sizeof(secret->daemon->server.secret));
}

static void
secret_read(struct store_get *get)
{
	struct secret_read *secret = container_of(get, struct secret_read, get);
	struct server *server = &secret->daemon->server;
	struct store_write *write;

	if (get->err == ERR_NOT_FOUND) {
		char *bytes =
		    arena_text(secret->daemon->arena, sizeof(server->secret));

		rand_bytes(bytes, sizeof(server->secret));
		secret->made = (struct str){bytes, sizeof(server->secret)};
		write = store_write_new(server->shards[0].store);
		store_put_new(write, OWNER_SERVER, &server_kind, STR("secret"),
		    secret->made);
		store_commit(write, &secret->commit, secret_kept);
		return;
	}
	secret->err = get->err;
	if (get->err == ERR_NONE &&
	    get->row.value.len != sizeof(server->secret))
		secret->err = ERR_CORRUPT;
	if (secret->err == ERR_NONE)
		memcpy(server->secret, get->row.value.text,
		    sizeof(server->secret));
	secret->is_done = true;
}

static bool
read_secret(struct daemon *daemon, struct str *why_r)
{
	struct shard *shard = &daemon->server.shards[0];
	struct secret_read secret = {.daemon = daemon};

	store_get(shard->store, &secret.get, daemon->arena,
	    &(struct map_key){OWNER_SERVER, &server_kind, STR("secret")},
	    secret_read);
	while (!secret.is_done)
		uv_run(shard->loop, UV_RUN_ONCE);
	if (secret.err == ERR_NONE)
		return true;
	*why_r = str_format(daemon->arena,
	    "could not read the server's secret from the database: %s",
	    err_text(secret.err));
	return false;
}

/* --- shards -------------------------------------------------------------- */

static unsigned
count_shards(const struct daemon *daemon)
{
	const uint64_t wanted =
	    config_int(daemon->config, CONFIG_GLOBAL, SETTING(SHARDS));
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted > 0)
		return (unsigned)wanted;
	return cores < 1 ? 1 : (unsigned)cores;
}

static void
make_shards(struct daemon *daemon, struct setup *setup)
{
	struct server *server = &daemon->server;

	daemon->threads = arena_array(
	    daemon->arena, struct shard_thread, server->shard_count);
	for (unsigned i = 0; i < server->shard_count; i++) {
		struct shard_thread *thread = &daemon->threads[i];

		must(uv_loop_init(&thread->loop) == 0);
		thread->daemon = daemon;
		thread->shard = &server->shards[i];
		shard_init(thread->shard, server, i, &thread->loop, setup);
	}
}

/* In the order in which what fails is told best: the configuration's own
 * faults, then ports, then the database. */
bool
daemon_start(struct daemon *daemon, struct str *why_r)
{
	struct setup *setup;
	unsigned shard_count;

	umask(0077); /* keys of accounts and what they say are in its files */
	if (!daemon_open_log(daemon->arena, NULL, daemon->config, why_r) ||
	    !make_state_directory(daemon, why_r))
		return false;
	raise_limits();
	setup = daemon_read_setup(daemon, daemon->arena, daemon->config, why_r);
	if (setup == NULL)
		return false;
	dns_tell_anchor(daemon->config);
	shard_count = count_shards(daemon);
	daemon->listeners =
	    listeners_open(daemon->arena, daemon->config, shard_count, why_r);
	if (daemon->listeners == NULL || !drop_privileges(daemon, why_r) ||
	    !open_storage(daemon, shard_count, why_r)) {
		setup_unref(&setup);
		return false;
	}
	server_init(&daemon->server, daemon->server.storage, shard_count,
	    daemon->modules);
	if (config_bool(daemon->config, CONFIG_GLOBAL, SETTING(S2S_ENABLED)))
		daemon->server.s2s_connect = s2s_connect;
	daemon->server.daemon = daemon;
	daemon->server.started_ms = clock_mono_ms();
	make_shards(daemon, setup);
	setup_unref(&setup);
	shard_enter(&daemon->server.shards[0]);
	if (!read_secret(daemon, why_r))
		return false;
	tls_start(daemon->server.secret);
	return true;
}

static void *
run_thread(void *arg)
{
	struct shard_thread *thread = arg;

	shard_enter(thread->shard);
	uv_run(&thread->loop, UV_RUN_DEFAULT);
	arena_thread_done();
	return NULL;
}

void
daemon_start_threads(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->server.shard_count; i++) {
		struct shard_thread *thread = &daemon->threads[i];

		runner_start(thread->shard);
		if (i > 0)
			must(pthread_create(&thread->thread, NULL, run_thread,
				 thread) == 0);
	}
}
