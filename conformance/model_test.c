/* The promise of XEP-0198 and XEP-0313 together, by simulation: two users with
 * three devices send, lose their connections, resume, say that they are away or
 * want no messages, while the server is stopped, killed and its store fails:
 * model_test FIRST_SEED COUNT. In the end
 *
 *  - what was acknowledged is in the archives of both, or came back as an
 *    error; where nothing is archived, a device of who it was for has it;
 *  - each device saw each message at most once in the history of its stream,
 *    and no archive has it twice, also when it was sent again after a kill;
 * save the sender's, when it came back as an error;
 *  - each device sees the messages of another one in the order sent, save what
 *    another device of the same user had first, and what could not be read for
 *    half a minute;
 *  - each archive has, in each direction, what was sent in the order sent, also
 *    when it was sent again; what came back as an error may come later, also
 *    when a kill was faster than the error. */
#include "base/check.h"
#include "base/clock.h"
#include "conformance/model.h"
#include "server/account.h"
#include "server/resume.h"

#define STEPS 120
/* So long, or a little longer, what is new waits for what cannot be read. */
#define HOLD_MS 30000

/* --- coming back --------------------------------------------------------- */

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
		device_leave(device);
}

/* A new history: what was not handled is sent again, as it was. */
static void
begin_anew(struct model *model, struct device *device)
{
	int again[QUEUE];
	unsigned count = 0;

	for (unsigned i = device->acked; i < device->said; i++)
		if (device->queue[i] >= 0)
			again[count++] = device->queue[i];
	bind(model, device);
	if (device->peer == NULL)
		return;
	device->said = device->acked = device->got = 0;
	device->is_there = device->was_away = false;
	memset(device->saw, 0, sizeof(device->saw));
	memset(device->latest, 0, sizeof(device->latest));
	enable(device);
	device_order(device, COPIES);
	device_order(device, AVAILABLE);
	for (unsigned i = 0; i < count; i++) {
		struct message *message =
		    &model->message[device_index(model, device)][again[i]];

		message->is_repeated |= message->kills != model->kills;
		device_say(model, device, again[i]);
	}
}

/* On the same stream: what was not handled goes again, in its place. */
static void
go_on(struct model *model, struct device *device, unsigned h)
{
	int again[QUEUE];
	unsigned count = 0;

	device_acknowledged(model, device, h);
	for (unsigned i = device->acked; i < device->said; i++)
		again[count++] = device->queue[i];
	device->said = device->acked;
	for (unsigned i = 0; i < count; i++)
		if (again[i] < 0)
			device_order(device, ~again[i]);
		else
			device_say(model, device, again[i]);
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
		device_leave(device);
	} else if (strncmp(text, "<resumed", 8) == 0) {
		must(model_number_after(text, "h='", &h));
		go_on(model, device, h);
	} else if (strncmp(text, "<failed", 7) == 0) {
		if (model_number_after(text, " h='", &h) && h > device->acked)
			device_acknowledged(model, device, h);
		begin_anew(model, device);
	} else {
		device_leave(device);
	}
}

static void
mark_late(struct model *model)
{
	for (unsigned from = 0; from < DEVICES; from++)
		for (int i = 0; i < model->count[from]; i++)
			model->message[from][i].is_late = true;
}

static void
mend(struct model *model)
{
	if (model->is_broken && clock_mono_ms() - model->broken_ms >= HOLD_MS)
		mark_late(model);
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
	model_listen(model);
	device_leave(device);
	device->peer = world_connect(model->world, device->user);
	if (device->id[0] == '\0')
		begin_anew(model, device);
	else
		resume(model, device);
}

/* --- what happens -------------------------------------------------------- */

static void
send_one(struct model *model, struct device *device)
{
	const unsigned at = device_index(model, device);

	if (device->peer == NULL || device->said >= QUEUE - MESSAGES ||
	    model->count[at] == MESSAGES)
		return;
	model->message[at][model->count[at]] =
	    (struct message){.kills = model->kills,
		.starts = model->starts,
		.is_full = model_draw(model, 4) == 0};
	device_say(model, device, model->count[at]++);
	if (model_draw(model, 2) == 0)
		world_send(device->peer, "<r xmlns='urn:xmpp:sm:3'/>");
}

/* Who said so does not stay away for long: most of the time it comes back. */
static void
turn(struct model *model, struct device *device)
{
	const unsigned what = model_draw(model, PRESENCES + 1);

	if (device->peer != NULL && device->said < QUEUE - MESSAGES)
		device_order(device, what < PRESENCES ? (int)what : AVAILABLE);
}

static void
break_store(struct model *model)
{
	static const enum err errs[] = {ERR_NONE, ERR_UNAVAILABLE, ERR_FULL};
	const enum err err = errs[model_draw(model, COUNT_OF(errs))];

	world_break_store(model->world, err);
	if (err == ERR_NONE)
		world_hold_store(model->world, true);
	if (!model->is_broken)
		model->broken_ms = clock_mono_ms();
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
	if (stanza->type == STANZA_ERROR && model_find(id, &from, &number))
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
	model_listen(model);
	find_errors(model, model_devices[0].user);
	find_errors(model, model_devices[2].user);
	world_kill(model->world);
	model->kills++;
}

static void
restart_server(struct model *model)
{
	world_restart(model->world);
	model->starts++;
}

static void
happen(struct model *model)
{
	struct device *device = &model->device[model_draw(model, DEVICES)];
	const unsigned what = model_draw(model, 100);

	if (what < 45)
		send_one(model, device);
	else if (what < 50)
		turn(model, device);
	else if (what < 60)
		world_step(model->world, model_draw(model, 40));
	else if (what < 68)
		device_leave(device);
	else if (what < 82)
		come(model, device);
	else if (what < 88)
		world_sleep(model->world, model_draw(model, 3000));
	else if (what < 91)
		break_store(model);
	else if (what < 94)
		mend(model);
	else if (what < 95)
		world_sleep(model->world, 11 * 60 * 1000);
	else if (what < 97)
		kill_server(model);
	else if (!model->is_broken)
		restart_server(model);
	model_listen(model);
}

/* --- the end ------------------------------------------------------------- */

struct archive {
	unsigned seen[DEVICES][MESSAGES];
	int latest[DEVICES];
};

/* It is archived also by its sender, who may have sent it again. */
static bool
is_refused(const struct model *model, unsigned from, int number)
{
	const struct message *message = &model->message[from][number];

	return message->is_bounced || message->is_refused;
}

static void
take_result(struct model *model, struct archive *archive, const char *text)
{
	const char *forwarded = strstr(text, "<forwarded");
	unsigned from;
	int number;

	if (forwarded == NULL || !model_find(forwarded, &from, &number))
		return;
	model_must_hold(model,
	    archive->seen[from][number] == 0 || is_refused(model, from, number),
	    "an archive has a message twice", forwarded);
	if (archive->seen[from][number]++ > 0 ||
	    is_refused(model, from, number))
		return;
	model_must_hold(model, number > archive->latest[from],
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
			model_must_hold(model, strstr(text, "<fin") != NULL,
			    "an archive cannot be read", text);
			if (last != NULL)
				snprintf(after, ID_LEN, "%.*s",
				    (int)strcspn(last + 6, "<"), last + 6);
			return strstr(text, "complete='true'") != NULL;
		}
	}
	model_must_hold(model, false, "an archive", "does not answer");
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
		struct device reader = model_devices[i];
		char jid[64];

		snprintf(jid, sizeof(jid), "%s/reader", reader.user);
		reader.peer = world_connect(model->world, jid);
		world_send(reader.peer, "<presence/>");
		world_sleep(model->world, 1000);
		device_listen(model, &reader);
		device_leave(&reader);
	}
	for (unsigned from = 0; from < DEVICES; from++)
		for (int i = 0; i < model->count[from]; i++) {
			char text[32];

			snprintf(text, sizeof(text), "m%u-%d", from, i);
			model_must_hold(model,
			    model->message[from][i].is_heard ||
				!is_kept(model, from, i),
			    "acknowledged, and nobody has it", text);
		}
}

static void
judge_archives(struct model *model)
{
	struct archive archives[2];

	read_archive(model, model_devices[0].user, &archives[0]);
	read_archive(model, model_devices[2].user, &archives[1]);
	for (unsigned from = 0; from < DEVICES; from++) {
		for (int i = 0; i < model->count[from]; i++) {
			const bool is_ours = from < 2;
			char text[32];

			snprintf(text, sizeof(text), "m%u-%d", from, i);
			if (!is_kept(model, from, i))
				continue;
			model_must_hold(model,
			    archives[is_ours].seen[from][i] > 0,
			    "acknowledged, and the recipient has it not", text);
			model_must_hold(model,
			    archives[!is_ours].seen[from][i] > 0,
			    "acknowledged, and the sender's archive lacks it",
			    text);
		}
	}
}

static void
settle(struct model *model)
{
	mend(model);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *device = &model->device[i];

		come(model, device);
		if (device->peer != NULL)
			device_order(device, AVAILABLE);
	}
	world_sleep(model->world, 5000);
	for (unsigned i = 0; i < DEVICES; i++)
		if (model->device[i].peer != NULL)
			world_send(model->device[i].peer,
			    "<r xmlns='urn:xmpp:sm:3'/>");
	/* What could not be written is tried again after 30 s at the latest. */
	for (unsigned i = 0; i < 35; i++) {
		world_sleep(model->world, 1000);
		model_listen(model);
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

	model = (struct model){.seed = seed,
	    .random = seed * 2654435761u,
	    .has_archives = has_archives};
	memcpy(model.device, model_devices, sizeof(model_devices));
	/* In every other one sessions overflow. */
	snprintf(yaml, sizeof(yaml), "%s%s",
	    has_archives ? "" : "archive: {default: never}\n",
	    seed % 2 == 0 ? "sessions.queue: 10\n" : "");
	model.world =
	    world_new(&(struct world_options){.seed = seed, .yaml = yaml});
	world_add_account(model.world, model_devices[0].user, NULL);
	world_add_account(model.world, model_devices[2].user, NULL);
	for (unsigned i = 0; i < STEPS; i++)
		happen(&model);
	settle(&model);
	judge_devices(&model);
	if (has_archives)
		judge_archives(&model);
	for (unsigned i = 0; i < DEVICES; i++)
		device_leave(&model.device[i]);
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
