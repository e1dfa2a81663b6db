/* The promise of XEP-0198 and XEP-0313 together, by simulation: two users with
 * three devices send, lose their connections, resume, while the server is
 * stopped, killed and its store fails: model_test FIRST_SEED COUNT. In the end
 *
 *  - what was acknowledged is in the archives of both, or came back as an
 *    error; where nothing is archived, a device of who it was for has it;
 *  - each device saw each message at most once in the history of its stream,
 *    and no archive has it twice, save those sent again after a kill;
 *  - each archive has, in each direction, what was sent in the order sent, also
 *    when it was sent again; what came back as an error may come later, also
 *    when a kill was faster than the error. */
#include "base/check.h"
#include "server/account.h"
#include "server/resume.h"
#include "server/world_private.h"

#define DEVICES    3
#define MESSAGES   64
#define QUEUE      512
#define STEPS      120
#define ID_LEN     64
#define NO_MESSAGE (-1)

struct message {
	bool is_acked, is_bounced;
	bool is_heard;    /* by a device of who it was for */
	bool is_repeated; /* after a kill: only then it may come twice */
	bool is_refused;  /* by an error that was lost in a kill */
	unsigned kills;   /* that there had been when it was sent */
};

struct device {
	const char *user, *resource; /* of the account */
	const char *friend;          /* to whom it writes */
	struct world_peer *peer;     /* NULL: away */
	char id[ID_LEN];             /* to resume by; empty: none */
	unsigned got;                /* stanzas of the server: our h */
	int queue[QUEUE];            /* what we sent, from the first stanza */
	unsigned said, acked;        /* of those */
	bool saw[DEVICES][MESSAGES]; /* in this history */
};

static const struct device devices[DEVICES] = {
    {"romeo@montague.example", "phone", "juliet@capulet.example"},
    {"romeo@montague.example", "laptop", "juliet@capulet.example"},
    {"juliet@capulet.example", "phone", "romeo@montague.example"},
};

struct model {
	struct world *world;
	uint64_t seed, random;
	struct device device[DEVICES];
	struct message message[DEVICES][MESSAGES];
	int count[DEVICES]; /* of messages */
	unsigned kills;     /* of the server */
	bool is_broken;
};

/* The numbers of the test, apart from those of the world. */
static unsigned
draw(struct model *model, unsigned below)
{
	model->random =
	    model->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(model->random >> 33) % below;
}

static void
must_hold(
    const struct model *model, bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	print_error(
	    "seed %llu: %s: %s\n", (unsigned long long)model->seed, what, text);
	fail();
}

/* --- a client ---------------------------------------------------------------
 */

static void
say(struct device *device, int message, const char *xml)
{
	must(device->said < QUEUE);
	device->queue[device->said++] = message;
	world_send(device->peer, xml);
}

static unsigned
index_of(const struct model *model, const struct device *device)
{
	return (unsigned)(device - model->device);
}

static void
say_message(struct model *model, struct device *device, int number)
{
	char xml[256];

	snprintf(xml, sizeof(xml),
	    "<message to='%s' id='m%u-%d' type='chat'>"
	    "<body>%d</body></message>",
	    device->friend, index_of(model, device), number, number);
	say(device, number, xml);
}

static void
ack(struct model *model, struct device *device, unsigned upto)
{
	must_hold(model, upto <= device->said, "too much was acknowledged",
	    device->user);
	for (; device->acked < upto; device->acked++) {
		int number = device->queue[device->acked];

		if (number != NO_MESSAGE)
			model->message[index_of(model, device)][number]
			    .is_acked = true;
	}
}

static bool
number_after(const char *text, const char *before, unsigned *number_r)
{
	const char *at = strstr(text, before);

	if (at == NULL)
		return false;
	*number_r = (unsigned)strtoul(at + strlen(before), NULL, 10);
	return true;
}

/* The id of a message of ours in the text: "m1-17" is of device 1. */
static bool
find_message(const char *text, unsigned *from_r, int *number_r)
{
	unsigned number;

	if (!number_after(text, "id='m", from_r) ||
	    !number_after(strstr(text, "id='m"), "-", &number))
		return false;
	*number_r = (int)number;
	return *from_r < DEVICES && number < MESSAGES;
}

static void
see(struct model *model, struct device *device, const char *text)
{
	unsigned from;
	int number;

	if (!find_message(text, &from, &number))
		return;
	if (strstr(text, "type='error'") != NULL) {
		model->message[from][number].is_bounced = true;
		return;
	}
	must_hold(model,
	    !device->saw[from][number] ||
		model->message[from][number].is_repeated,
	    "a device saw a message twice", text);
	device->saw[from][number] = true;
	if (device->user != devices[from].user)
		model->message[from][number].is_heard = true;
}

static void
hear(struct model *model, struct device *device, const char *text)
{
	char answer[64];
	unsigned h;

	if (strncmp(text, "<r ", 3) == 0) {
		snprintf(answer, sizeof(answer),
		    "<a xmlns='urn:xmpp:sm:3' h='%u'/>", device->got);
		world_send(device->peer, answer);
	} else if (strncmp(text, "<a ", 3) == 0) {
		must(number_after(text, "h='", &h));
		ack(model, device, h);
	} else if (strncmp(text, "<message", 8) == 0) {
		device->got++;
		see(model, device, text);
	} else if (strncmp(text, "<presence", 9) == 0 ||
		   strncmp(text, "<iq", 3) == 0) {
		device->got++;
	}
}

static void
leave(struct device *device)
{
	if (device->peer != NULL)
		world_cut(&device->peer);
}

/* Takes all that came. */
static void
listen_to(struct model *model, struct device *device)
{
	const char *text;

	while (
	    device->peer != NULL && (text = world_next(device->peer)) != NULL)
		hear(model, device, text);
	if (device->peer != NULL && world_is_closed(device->peer))
		leave(device);
}

static void
listen_to_all(struct model *model)
{
	for (unsigned i = 0; i < DEVICES; i++)
		listen_to(model, &model->device[i]);
}

/* --- coming back -------------------------------------------------------------
 */

static void
enable(struct device *device)
{
	const char *text, *at;

	world_send(
	    device->peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	world_run(device->peer->world);
	do {
		text = world_next(device->peer);
		must(text != NULL);
	} while (strncmp(text, "<enabled", 8) != 0);
	at = strstr(text, "id='");
	must(at != NULL);
	snprintf(device->id, sizeof(device->id), "%.*s",
	    (int)strcspn(at + 4, "'"), at + 4);
}

/* It stays away when it cannot be bound now. */
static void
bind(struct model *model, struct device *device)
{
	char xml[256];
	const char *text;

	device->id[0] = '\0';
	snprintf(xml, sizeof(xml),
	    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:"
	    "xmpp-bind'><resource>%s</resource></bind></iq>",
	    device->resource);
	world_send(device->peer, xml);
	world_sleep(model->world, 100);
	text = world_next(device->peer);
	if (text == NULL || strstr(text, "type='result'") == NULL)
		leave(device);
}

/* A new history: what was not handled is sent again, as it was. */
static void
begin_anew(struct model *model, struct device *device)
{
	int again[QUEUE];
	unsigned count = 0;

	for (unsigned i = device->acked; i < device->said; i++)
		if (device->queue[i] != NO_MESSAGE)
			again[count++] = device->queue[i];
	bind(model, device);
	if (device->peer == NULL)
		return;
	device->said = device->acked = device->got = 0;
	memset(device->saw, 0, sizeof(device->saw));
	enable(device);
	say(device, NO_MESSAGE, "<presence/>");
	for (unsigned i = 0; i < count; i++) {
		struct message *message =
		    &model->message[index_of(model, device)][again[i]];

		message->is_repeated |= message->kills != model->kills;
		say_message(model, device, again[i]);
	}
}

/* On the same stream: what was not handled goes again, in its place. */
static void
go_on(struct model *model, struct device *device, unsigned h)
{
	int again[QUEUE];
	unsigned count = 0;

	ack(model, device, h);
	for (unsigned i = device->acked; i < device->said; i++)
		again[count++] = device->queue[i];
	device->said = device->acked;
	for (unsigned i = 0; i < count; i++)
		if (again[i] == NO_MESSAGE)
			say(device, NO_MESSAGE, "<presence/>");
		else
			say_message(model, device, again[i]);
}

static void
resume(struct model *model, struct device *device)
{
	char xml[256];
	const char *text;
	unsigned h;

	snprintf(xml, sizeof(xml),
	    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", device->id,
	    device->got);
	world_send(device->peer, xml);
	world_sleep(model->world, 50);
	text = world_next(device->peer);
	if (text == NULL) {
		/* The old stream is not done with: another time. */
		leave(device);
	} else if (strncmp(text, "<resumed", 8) == 0) {
		must(number_after(text, "h='", &h));
		go_on(model, device, h);
	} else if (strncmp(text, "<failed", 7) == 0) {
		if (number_after(text, " h='", &h) && h > device->acked)
			ack(model, device, h);
		begin_anew(model, device);
	} else {
		leave(device);
	}
}

static void
mend(struct model *model)
{
	world_break_store(model->world, ERR_NONE);
	world_hold_store(model->world, false);
	model->is_broken = false;
	world_sleep(model->world, 2000);
}

static void
come(struct model *model, struct device *device)
{
	if (model->is_broken)
		mend(model);
	listen_to_all(model);
	leave(device);
	device->peer = world_connect(model->world, device->user);
	if (device->id[0] == '\0')
		begin_anew(model, device);
	else
		resume(model, device);
}

/* --- what happens
 * ------------------------------------------------------------- */

static void
send_one(struct model *model, struct device *device)
{
	const unsigned at = index_of(model, device);

	if (device->peer == NULL || device->said >= QUEUE - MESSAGES ||
	    model->count[at] == MESSAGES)
		return;
	model->message[at][model->count[at]] =
	    (struct message){.kills = model->kills};
	say_message(model, device, model->count[at]++);
	if (draw(model, 2) == 0)
		world_send(device->peer, "<r xmlns='urn:xmpp:sm:3'/>");
}

static void
break_store(struct model *model)
{
	if (draw(model, 2) == 0)
		world_break_store(model->world, ERR_UNAVAILABLE);
	else
		world_hold_store(model->world, true);
	model->is_broken = true;
}

static struct model *looking;

static void
look_for_error(struct session *session, const struct stanza *stanza)
{
	char id[32];
	unsigned from;
	int number;

	(void)session;
	snprintf(id, sizeof(id), "id='%.*s'", STR_ARG(stanza->id));
	if (stanza->type == STANZA_ERROR && find_message(id, &from, &number))
		looking->message[from][number].is_refused = true;
}

/* Errors that the server has yet to tell. */
static void
find_errors(struct model *model, const char *user)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, str_of(user));
	struct shard *shard = shard_of(&model->world->server, jid);
	struct account *account;

	shard_enter(shard);
	account = account_find(shard, jid);
	looking = model;
	if (account != NULL)
		session_each (session, account)
			resume_unacked(session, 0, look_for_error);
	arena_free(&arena);
}

static void
kill_server(struct model *model)
{
	mend(model);
	listen_to_all(model);
	find_errors(model, devices[0].user);
	find_errors(model, devices[2].user);
	world_kill(model->world);
	model->kills++;
}

static void
happen(struct model *model)
{
	struct device *device = &model->device[draw(model, DEVICES)];
	const unsigned what = draw(model, 100);

	if (what < 50)
		send_one(model, device);
	else if (what < 60)
		world_step(model->world, draw(model, 40));
	else if (what < 68)
		leave(device);
	else if (what < 82)
		come(model, device);
	else if (what < 88)
		world_sleep(model->world, draw(model, 3000));
	else if (what < 91)
		break_store(model);
	else if (what < 94)
		mend(model);
	else if (what < 95)
		world_sleep(model->world, 11 * 60 * 1000);
	else if (what < 97)
		kill_server(model);
	else if (!model->is_broken)
		world_restart(model->world);
	listen_to_all(model);
}

/* --- the end
 * ------------------------------------------------------------------- */

struct archive {
	unsigned seen[DEVICES][MESSAGES];
	int latest[DEVICES];
};

static void
take_result(struct model *model, struct archive *archive, const char *text)
{
	const char *forwarded = strstr(text, "<forwarded");
	unsigned from;
	int number;

	if (forwarded == NULL || !find_message(forwarded, &from, &number))
		return;
	must_hold(model,
	    archive->seen[from][number] == 0 ||
		model->message[from][number].is_repeated,
	    "an archive has a message twice", forwarded);
	if (archive->seen[from][number]++ > 0 ||
	    model->message[from][number].is_bounced ||
	    model->message[from][number].is_refused)
		return;
	must_hold(model, number > archive->latest[from],
	    "an archive is out of order", forwarded);
	archive->latest[from] = number;
}

/* To the answer: it waits for rows that are yet to be written. True when there
 * are no more pages. */
static bool
take_page(struct model *model, struct world_peer *peer, struct archive *archive,
    char after[static ID_LEN])
{
	for (unsigned tries = 0; tries < 100; tries++) {
		const char *text;

		world_sleep(model->world, 100);
		while ((text = world_next(peer)) != NULL) {
			const char *last = strstr(text, "<last>");

			take_result(model, archive, text);
			if (strncmp(text, "<iq", 3) != 0)
				continue;
			must_hold(model, strstr(text, "<fin") != NULL,
			    "an archive cannot be read", text);
			if (last != NULL)
				snprintf(after, ID_LEN, "%.*s",
				    (int)strcspn(last + 6, "<"), last + 6);
			return strstr(text, "complete='true'") != NULL;
		}
	}
	must_hold(model, false, "an archive", "does not answer");
	return true;
}

static void
read_archive(struct model *model, const char *user, struct archive *archive)
{
	char jid[64], after[ID_LEN] = "", xml[512];
	struct world_peer *peer;
	bool is_complete = false;

	*archive = (struct archive){.latest = {-1, -1, -1}};
	snprintf(jid, sizeof(jid), "%s/reader", user);
	peer = world_connect(model->world, jid);
	while (!is_complete) {
		snprintf(xml, sizeof(xml),
		    "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>"
		    "<set xmlns='http://jabber.org/protocol/rsm'>"
		    "<max>50</max>%s%s%s</set></query></iq>",
		    after[0] == '\0' ? "" : "<after>", after,
		    after[0] == '\0' ? "" : "</after>");
		world_send(peer, xml);
		is_complete = take_page(model, peer, archive, after);
	}
}

static bool
is_kept(const struct model *model, unsigned from, int number)
{
	const struct message *message = &model->message[from][number];

	return message->is_acked && !message->is_bounced;
}

/* What still waits comes first. */
static void
judge_devices(struct model *model)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device reader = devices[i];
		char jid[64];

		snprintf(jid, sizeof(jid), "%s/reader", reader.user);
		reader.peer = world_connect(model->world, jid);
		world_send(reader.peer, "<presence/>");
		world_sleep(model->world, 1000);
		listen_to(model, &reader);
		leave(&reader);
	}
	for (unsigned from = 0; from < DEVICES; from++)
		for (int i = 0; i < model->count[from]; i++) {
			char text[32];

			snprintf(text, sizeof(text), "m%u-%d", from, i);
			must_hold(model,
			    model->message[from][i].is_heard ||
				!is_kept(model, from, i),
			    "acknowledged, and nobody has it", text);
		}
}

static void
judge_archives(struct model *model)
{
	struct archive archives[2];

	read_archive(model, devices[0].user, &archives[0]);
	read_archive(model, devices[2].user, &archives[1]);
	for (unsigned from = 0; from < DEVICES; from++) {
		for (int i = 0; i < model->count[from]; i++) {
			const bool is_ours = from < 2;
			char text[32];

			snprintf(text, sizeof(text), "m%u-%d", from, i);
			if (!is_kept(model, from, i))
				continue;
			must_hold(model, archives[is_ours].seen[from][i] > 0,
			    "acknowledged, and the recipient has it not", text);
			must_hold(model, archives[!is_ours].seen[from][i] > 0,
			    "acknowledged, and the sender's archive lacks it",
			    text);
		}
	}
}

static void
settle(struct model *model)
{
	mend(model);
	for (unsigned i = 0; i < DEVICES; i++)
		come(model, &model->device[i]);
	world_sleep(model->world, 5000);
	for (unsigned i = 0; i < DEVICES; i++)
		if (model->device[i].peer != NULL)
			world_send(model->device[i].peer,
			    "<r xmlns='urn:xmpp:sm:3'/>");
	/* What could not be written is tried again after 30 s at the latest. */
	for (unsigned i = 0; i < 35; i++) {
		world_sleep(model->world, 1000);
		listen_to_all(model);
		/* Who resumes may have had to wait for what it sent before. */
		for (unsigned j = 0; j < DEVICES; j++)
			if (model->device[j].peer == NULL)
				come(model, &model->device[j]);
	}
}

static void
play(uint64_t seed, bool has_archives)
{
	static struct model model;
	char yaml[64];

	model = (struct model){.seed = seed, .random = seed * 2654435761u};
	memcpy(model.device, devices, sizeof(devices));
	/* In every other one sessions overflow. */
	snprintf(yaml, sizeof(yaml), "%s%s",
	    has_archives ? "" : "archive: {default: never}\n",
	    seed % 2 == 0 ? "sessions.queue: 10\n" : "");
	model.world =
	    world_new(&(struct world_options){.seed = seed, .yaml = yaml});
	world_add_account(model.world, devices[0].user, NULL);
	world_add_account(model.world, devices[2].user, NULL);
	for (unsigned i = 0; i < STEPS; i++)
		happen(&model);
	settle(&model);
	judge_devices(&model);
	if (has_archives)
		judge_archives(&model);
	for (unsigned i = 0; i < DEVICES; i++)
		leave(&model.device[i]);
	world_free(&model.world);
}

static uint64_t first, count;

static void
promises_are_kept(void **state)
{
	(void)state;
	for (uint64_t seed = first; seed < first + count; seed++)
		play(seed, true);
}

static void
promises_are_kept_without_archives(void **state)
{
	(void)state;
	for (uint64_t seed = first; seed < first + count; seed++)
		play(seed, false);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(promises_are_kept),
	    cmocka_unit_test(promises_are_kept_without_archives),
	};

	first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
