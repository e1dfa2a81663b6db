/*
 * server/posh_test.c - documents of POSH, and a web server of this test that
 * serves them over HTTPS on a free port.
 */
#include "server/posh.h"

#include <dirent.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/code.h"
#include "server/forge.h"
#include "server/posh_document.h"
#include "server/setup_rig.h"
#include "server/shard.h"
#include "server/trust.h"
#include "server/verify.h"

#define PATH "_.well-known_posh_xmpp-server.json"

static struct {
	struct arena *arena;
	struct setup *setup;
	struct shard shard;
	uv_loop_t loop;
	char folder[sizeof("/tmp/posh_test.XXXXXX")];
	struct forged *root, *web, *peer;
	pid_t server;
} rig;

/* --- documents ------------------------------------------------------------ */

/* SHA-256 of "der" and SHA-512 of it */
static struct str
digest_of(gnutls_digest_algorithm_t algorithm, struct str der)
{
	char digest[64];

	gnutls_hash_fast(algorithm, der.text, der.len, digest);
	return base64_encode(rig.arena,
	    (struct str){digest, (size_t)gnutls_hash_get_len(algorithm)});
}

/* %1 stands for the SHA-256 of the peer's certificate, %2 for its SHA-512. */
static struct str
filled_in(const char *text)
{
	struct str digests[2] = {digest_of(GNUTLS_DIG_SHA256, rig.peer->der),
	    digest_of(GNUTLS_DIG_SHA512, rig.peer->der)};
	struct str filled = STR("");

	for (; *text != '\0'; text++) {
		struct str next = {text, 1};

		if (*text == '%')
			next = digests[*++text - '1'];
		filled = str_join2(rig.arena, filled, next);
	}
	return filled;
}

#define GOOD "{\"fingerprints\":[{\"sha-256\":\"%1\"}],\"expires\":60}"

static const struct {
	const char *json;
	bool matches;
	const char *why; /* a part of it; NULL: it can be read */
} documents[] = {
    {GOOD, true},
    {"{\"fingerprints\":[{\"sha-512\":\"%2\"}],\"expires\":60}", true},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\",\"sha-512\":\"%2\"}],"
     "\"expires\":60}",
	true},
    {"{\"fingerprints\":[{\"sha-256\":\"x\"},{\"sha-256\":\"%1\"}],"
     "\"expires\":60}",
	true},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\",\"sha-512\":\"x\"}],"
     "\"expires\":60}",
	false},
    {"{\"fingerprints\":[{\"sha-1\":\"x\"}],\"expires\":60}", false},
    {"{\"fingerprints\":[{\"sha-256\":\"\"}],\"expires\":60}", false},
    {"{\"fingerprints\":[1,null,\"x\",[]],\"expires\":60}", false},
    {"{\"url\":\"https://a.example/\",\"expires\":60}", false},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\"}],\"expires\":0}", false,
	"has expired"},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\"}],\"expires\":-1}", false,
	"no \"expires\""},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\"}],\"expires\":1.5}", false,
	"no \"expires\""},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\"}]}", false, "no \"expires\""},
    {"{\"fingerprints\":[],\"expires\":60}", false, "must have either"},
    {"{\"fingerprints\":{},\"expires\":60}", false, "must have either"},
    {"{\"fingerprints\":[{\"sha-256\":\"%1\"}],\"url\":\"https://x/\","
     "\"expires\":60}",
	false, "must have either"},
    {"[]", false, "must have either"},
    {"{", false, "is not JSON"},
    {"", false, "is not JSON"},
    {"<html>", false, "is not JSON"},
};

static void
documents_are_read(void **state)
{
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		struct posh_document document;
		struct str why = STR_NONE;
		bool is_read = posh_document_read(
		    rig.arena, filled_in(documents[i].json), &document, &why);

		if (is_read != (documents[i].why == NULL))
			print_error("%s\n", documents[i].json);
		CHECK_EQUAL(is_read, documents[i].why == NULL);
		CHECK(is_read || strstr(why.text, documents[i].why) != NULL);
		CHECK_EQUAL(is_read && posh_document_matches(
					   &document, rig.arena, rig.peer->der),
		    documents[i].matches);
	}
}

/* --- a web server --------------------------------------------------------- */

/* Answers with the file HOST_PATH: a status, a Location, the body. */
static const char script[] =
    "import http.server, os, ssl, sys, time\n"
    "folder = sys.argv[1]\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def log_message(self, *arguments):\n"
    "        pass\n"
    "    def do_GET(self):\n"
    "        name = self.headers['Host'] + self.path.replace('/', '_')\n"
    "        if name.startswith('slow'):\n"
    "            time.sleep(60)\n"
    "        try:\n"
    "            text = open(os.path.join(folder, name)).read()\n"
    "        except OSError:\n"
    "            text = '404\\n\\n'\n"
    "        status, location, body = text.split('\\n', 2)\n"
    "        self.send_response(int(status))\n"
    "        if location:\n"
    "            self.send_header('Location', location)\n"
    "        self.send_header('Content-Length', str(len(body)))\n"
    "        self.end_headers()\n"
    "        self.wfile.write(body.encode())\n"
    "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n"
    "server.daemon_threads = True\n"
    "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "context.load_cert_chain(folder + '/web.pem', folder + '/web.key')\n"
    "server.socket = context.wrap_socket(server.socket, "
    "server_side=True, do_handshake_on_connect=False)\n"
    "print(server.server_address[1], flush=True)\n"
    "server.serve_forever()\n";

static const char *
in_folder(const char *name)
{
	return str_format(rig.arena, "%s/%s", rig.folder, name).text;
}

static void
publish(const char *name, const char *head, const char *body)
{
	FILE *file = fopen(in_folder(name), "w");
	struct str filled = filled_in(body);

	CHECK(file != NULL);
	fprintf(file, "%s\n%.*s", head, STR_ARG(filled));
	fclose(file);
}

static void
start_server(void)
{
	int out[2];
	char port[16] = "";
	FILE *from;

	CHECK(pipe(out) == 0);
	rig.server = fork();
	if (rig.server == 0) {
		dup2(out[1], STDOUT_FILENO);
		execl("/usr/bin/python3", "python3", "-c", script, rig.folder,
		    (char *)NULL);
		_exit(EXIT_FAILURE);
	}
	close(out[1]);
	from = fdopen(out[0], "r");
	CHECK(from != NULL && fgets(port, sizeof(port), from) != NULL);
	fclose(from);
	port[strcspn(port, "\n")] = '\0';
	posh_redirect_all(
	    &rig.shard, str_format(rig.arena, "127.0.0.1:%s", port).text);
}

static unsigned waiting;

/* As if it were so much later. */
static void
turn(uint64_t later_ms)
{
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	timers_ring(&rig.shard.timers, clock_mono_ms() + later_ms);
	(void)poll(NULL, 0, 1);
}

/* Each turn as if it were so much later; a slow machine needs many. */
static void
run_until_done_by(uint64_t later_ms)
{
	uint64_t late_ms = clock_mono_ms() + 20000;

	while (waiting > 0 && clock_mono_ms() < late_ms)
		turn(later_ms);
	CHECK_EQUAL(waiting, 0);
}

static void
run_until_done(void)
{
	run_until_done_by(0);
}

static void
answered(struct posh_ask *ask)
{
	waiting--;
}

static bool is_for_stranger;

static void
start_ask(struct posh_ask *ask, const char *domain)
{
	waiting++;
	posh_check(&rig.shard, ask, rig.arena,
	    &(struct posh_wanted){
		str_of(domain), rig.peer->der, is_for_stranger},
	    answered);
}

static enum err
ask_for(const char *domain, struct str *why_r)
{
	struct posh_ask ask;

	start_ask(&ask, domain);
	CHECK_EQUAL(waiting, 1);
	run_until_done();
	*why_r = ask.why;
	return ask.err;
}

/* Asked so much later. */
static enum err
ask_later(const char *domain, uint64_t later_ms)
{
	struct posh_ask ask;

	clock_fake(clock_mono_ms() + later_ms, clock_wall_us());
	start_ask(&ask, domain);
	clock_fake(0, 0);
	run_until_done_by(later_ms);
	return ask.err;
}

static const struct {
	const char *domain, *head, *body;
	enum err err;
	const char *why;
} answers[] = {
    {"good.web.example", "200\n", GOOD, ERR_NONE, NULL},
    {"other.web.example", "200\n",
	"{\"fingerprints\":[{\"sha-256\":\"x\"}],\"expires\":60}", ERR_DENIED,
	"publishes other certificates"},
    {"ref.web.example", "200\n",
	"{\"url\":\"https://good.web.example/.well-known/posh/"
	"xmpp-server.json\",\"expires\":60}",
	ERR_NONE, NULL},
    {"refref.web.example", "200\n",
	"{\"url\":\"https://ref.web.example/.well-known/posh/"
	"xmpp-server.json\",\"expires\":60}",
	ERR_INVALID, "refers to another"},
    {"insecure.web.example", "200\n",
	"{\"url\":\"http://good.web.example/\",\"expires\":60}",
	ERR_UNAVAILABLE, "gave no answer"},
    {"moved.web.example",
	"302\nhttps://good.web.example/.well-known/posh/xmpp-server.json", "",
	ERR_NONE, NULL},
    {"fallen.web.example", "302\nhttp://good.web.example/", "", ERR_UNAVAILABLE,
	"gave no answer"},
    {"round.web.example",
	"302\nhttps://round.web.example/.well-known/posh/xmpp-server.json", "",
	ERR_UNAVAILABLE, "gave no answer"},
    {"junk.web.example", "200\n", "<html>", ERR_INVALID, "is not JSON"},
    {"gone.web.example", "404\n", "", ERR_NOT_FOUND, "HTTP 404"},
    {"broken.web.example", "500\n", "", ERR_UNAVAILABLE, "HTTP 500"},
    {"elsewhere.example", "200\n", GOOD, ERR_UNAVAILABLE, "gave no answer"},
};

static void
web_servers_tell_fingerprints(void **state)
{
	struct str why;

	for (size_t i = 0; i < COUNT_OF(answers); i++)
		publish(
		    str_format(rig.arena, "%s" PATH, answers[i].domain).text,
		    answers[i].head, answers[i].body);
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		enum err err = ask_for(answers[i].domain, &why);

		if (err != answers[i].err)
			print_error("%s: %s: %.*s\n", answers[i].domain,
			    err_text(err), STR_ARG(why));
		CHECK_EQUAL(err, answers[i].err);
		CHECK(answers[i].why == NULL ||
		      strstr(why.text, answers[i].why) != NULL);
	}
}

static void
too_much_is_not_read(void **state)
{
	char *much = malloc(POSH_LEN_MAX + 2);
	struct str why;

	memset(much, ' ', POSH_LEN_MAX + 1);
	much[POSH_LEN_MAX + 1] = '\0';
	publish("long.web.example" PATH, "200\n", "");
	{
		FILE *file = fopen(in_folder("long.web.example" PATH), "a");

		CHECK(file != NULL);
		fputs(much, file);
		fclose(file);
	}
	free(much);
	CHECK_EQUAL(ask_for("long.web.example", &why), ERR_TOO_LARGE);
}

static void
documents_are_kept_as_long_as_they_say(void **state)
{
	const char *name = "kept.web.example" PATH;
	struct posh_ask asks[2];
	struct str why;

	publish(name, "200\n", GOOD);
	/* Two that ask at once make one request. */
	start_ask(&asks[0], "kept.web.example");
	start_ask(&asks[1], "kept.web.example");
	run_until_done();
	CHECK(asks[0].err == ERR_NONE && asks[1].err == ERR_NONE);
	publish(name, "404\n", "");
	CHECK_EQUAL(ask_for("kept.web.example", &why), ERR_NONE);
	CHECK_EQUAL(ask_later("kept.web.example", 61000), ERR_NOT_FOUND);
	/* So is that there is none. */
	publish(name, "200\n", GOOD);
	CHECK_EQUAL(ask_for("kept.web.example", &why), ERR_NOT_FOUND);
}

/* Other authorities may vouch for web servers then. */
static void
a_reload_forgets_them(void **state)
{
	const char *name = "again.web.example" PATH;
	struct posh_ask ask;
	struct str why;

	(void)state;
	publish(name, "200\n", GOOD);
	CHECK_EQUAL(ask_for("again.web.example", &why), ERR_NONE);
	publish(name, "404\n", "");
	posh_setup_changed(&rig.shard);
	CHECK_EQUAL(ask_for("again.web.example", &why), ERR_NOT_FOUND);
	/* What is under way is answered, and then forgotten. */
	posh_setup_changed(&rig.shard);
	start_ask(&ask, "again.web.example");
	posh_setup_changed(&rig.shard);
	run_until_done();
	CHECK_EQUAL(ask.err, ERR_NOT_FOUND);
	publish(name, "200\n", GOOD);
	CHECK_EQUAL(ask_for("again.web.example", &why), ERR_NONE);
}

static void
canceling_is_heard(void **state)
{
	struct posh_ask ask;

	publish("canceled.web.example" PATH, "200\n", GOOD);
	start_ask(&ask, "canceled.web.example");
	posh_cancel(&ask);
	CHECK_EQUAL(waiting, 1);
	run_until_done();
	CHECK_EQUAL(ask.err, ERR_CANCELED);
}

/* While those of strangers are waited for, also one that a stranger asked for
 * himself. */
static void
check_others_are_asked(void)
{
	const unsigned before = waiting;
	struct posh_ask theirs, ours;

	posh_setup_changed(&rig.shard);
	start_ask(&theirs, "good.web.example");
	is_for_stranger = false;
	start_ask(&ours, "good.web.example");
	for (unsigned i = 0; i < 300 && waiting > before; i++)
		turn(10);
	CHECK_EQUAL(waiting, before);
	CHECK_EQUAL(ours.err, ERR_NONE);
	CHECK_EQUAL(theirs.err, ERR_NONE);
}

/* More than are fetched at a time: also who stands behind them is answered. The
 * last of all cases, for they stand in the way of others for 15 s. */
static void
slow_web_servers_are_not_waited_for(void **state)
{
	enum { MANY = 20 };
	struct posh_ask asks[MANY];

	is_for_stranger = true;
	for (unsigned i = 0; i < MANY; i++)
		start_ask(&asks[i],
		    str_format(rig.arena, "slow%u.web.example", i).text);
	CHECK_EQUAL(waiting, MANY);
	for (unsigned i = 0; i < 300; i++)
		turn(0);
	check_others_are_asked();
	run_until_done_by(16000);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_EQUAL(asks[i].err, ERR_TIMEOUT);
}

/* --- as a proof ----------------------------------------------------------- */

static void
verified(struct verify *verify)
{
	waiting--;
}

static void
verify_for(const char *domain, unsigned proofs, struct verify *verify)
{
	const struct verify_ask ask = {
	    .chain = &rig.peer->der, .count = 1, .domain = str_of(domain)};
	struct policy policy;

	policy_of(rig.setup, NULL, ask.domain, &policy);
	policy.proofs = proofs;
	waiting++;
	verify_start(&rig.shard, verify, rig.arena, &policy, &ask, verified);
	run_until_done();
}

static void
fingerprints_prove_what_authorities_do_not(void **state)
{
	struct verify verify;

	publish("proof.web.example" PATH, "200\n", GOOD);
	publish("wrong.web.example" PATH, "200\n",
	    "{\"fingerprints\":[{\"sha-256\":\"x\"}],\"expires\":60}");
	verify_for("proof.web.example", PROOF_PKIX | PROOF_POSH, &verify);
	CHECK_EQUAL(verify.proof, PROOF_POSH);
	CHECK(verify.ends_s > (int64_t)(clock_wall_us() / 1000000));
	verify_for("proof.web.example", PROOF_PKIX, &verify);
	CHECK_EQUAL(verify.proof, 0);
	verify_for("wrong.web.example", PROOF_PKIX | PROOF_POSH, &verify);
	CHECK_EQUAL(verify.proof, 0);
	CHECK(strstr(verify.why.text, "is self-signed") != NULL);
	CHECK(strstr(verify.why.text, "also, its domain publishes other") !=
	      NULL);
}

/* --- what all share ------------------------------------------------------- */

static void
make_certificates(void)
{
	const struct forge_options root = {
	    .name = "Root", .is_authority = true};
	const struct forge_options web = {
	    .name = "Web", .dns = {"*.web.example"}};
	const struct forge_options peer = {.name = "Peer"};

	rig.root = forge(rig.arena, &root, NULL);
	rig.web = forge(rig.arena, &web, rig.root);
	rig.peer = forge(rig.arena, &peer, NULL);
	forged_save(rig.root, in_folder("root.pem"), NULL);
	forged_save(rig.web, in_folder("web.pem"), in_folder("web.key"));
}

static int
set_up(void **state)
{
	rig.arena = arena_make(0);
	memcpy(rig.folder, "/tmp/posh_test.XXXXXX", sizeof(rig.folder));
	CHECK(mkdtemp(rig.folder) != NULL);
	make_certificates();
	rig.setup = setup_rig_plain(rig.arena,
	    str_format(rig.arena,
		"hosts: {z.example: {}}\ns2s: {authorities: %s/root.pem}\n",
		rig.folder)
		.text);
	uv_loop_init(&rig.loop);
	rig.shard.loop = &rig.loop;
	rig.shard.setup = rig.setup;
	timers_init(&rig.shard.timers);
	shard_enter(&rig.shard);
	start_server();
	return 0;
}

static void
remove_folder(void)
{
	DIR *folder = opendir(rig.folder);
	struct dirent *entry;

	CHECK(folder != NULL);
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.')
			unlink(in_folder(entry->d_name));
	}
	closedir(folder);
	rmdir(rig.folder);
}

static int
tear_down(void **state)
{
	kill(rig.server, SIGKILL);
	(void)waitpid(rig.server, NULL, 0);
	remove_folder();
	posh_close(&rig.shard);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	CHECK_EQUAL(uv_loop_close(&rig.loop), 0);
	forged_free(&rig.root);
	forged_free(&rig.web);
	forged_free(&rig.peer);
	trust_stop();
	timers_deinit(&rig.shard.timers);
	shard_enter(NULL);
	setup_unref(&rig.setup);
	arena_free(&rig.arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(documents_are_read),
	    cmocka_unit_test(web_servers_tell_fingerprints),
	    cmocka_unit_test(too_much_is_not_read),
	    cmocka_unit_test(documents_are_kept_as_long_as_they_say),
	    cmocka_unit_test(a_reload_forgets_them),
	    cmocka_unit_test(canceling_is_heard),
	    cmocka_unit_test(fingerprints_prove_what_authorities_do_not),
	    cmocka_unit_test(slow_web_servers_are_not_waited_for),
	};

	return cmocka_run_group_tests_name("posh", tests, set_up, tear_down);
}
