#include "conformance/model.h"

#include "base/check.h"

const struct device model_devices[DEVICES] = {
    {"romeo@montague.example", "phone", "juliet@capulet.example", "phone"},
    {"romeo@montague.example", "laptop", "juliet@capulet.example", "phone"},
    {"juliet@capulet.example", "phone", "romeo@montague.example", "laptop"},
};

static const char *const orders[] = {
    "<presence/>",
    "<presence><priority>-1</priority></presence>",
    "<presence type='unavailable'/>",
    "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
};

unsigned
model_draw(struct model *model, unsigned below)
{
	model->random =
	    model->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(model->random >> 33) % below;
}

void
model_must_hold(
    const struct model *model, bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	print_error(
	    "seed %llu: %s: %s\n", (unsigned long long)model->seed, what, text);
	fail();
}

/* --- what it says --------------------------------------------------------- */

static void
say(struct device *device, int message, const char *xml)
{
	must(device->said < QUEUE);
	device->queue[device->said++] = message;
	world_send(device->peer, xml);
}

void
device_order(struct device *device, int order)
{
	say(device, ~order, orders[order]);
	device->was_away |= order == NEGATIVE || order == UNAVAILABLE;
}

unsigned
device_index(const struct model *model, const struct device *device)
{
	return (unsigned)(device - model->device);
}

void
device_say(struct model *model, struct device *device, int number)
{
	const unsigned from = device_index(model, device);
	const bool is_full = model->message[from][number].is_full;
	char xml[256];

	snprintf(xml, sizeof(xml),
	    "<message to='%s%s%s' id='m%u-%d' type='chat'>"
	    "<body>%d</body></message>",
	    device->friend, is_full ? "/" : "", is_full ? device->near : "",
	    from, number, number);
	say(device, number, xml);
}

void
device_acknowledged(struct model *model, struct device *device, unsigned upto)
{
	model_must_hold(model, upto <= device->said,
	    "too much was acknowledged", device->user);
	for (; device->acked < upto; device->acked++) {
		int number = device->queue[device->acked];

		if (number >= 0)
			model->message[device_index(model, device)][number]
			    .is_acked = true;
	}
}

bool
model_number_after(const char *text, const char *before, unsigned *number_r)
{
	const char *at = strstr(text, before);

	if (at == NULL)
		return false;
	*number_r = (unsigned)strtoul(at + strlen(before), NULL, 10);
	return true;
}

bool
model_find(const char *text, unsigned *from_r, int *number_r)
{
	unsigned number;

	if (!model_number_after(text, "id='m", from_r) ||
	    !model_number_after(strstr(text, "id='m"), "-", &number))
		return false;
	*number_r = (int)number;
	return *from_r < DEVICES && number < MESSAGES;
}

/* What another device was sent and never acknowledged comes late, with the time
 * when it came; so does what was for a device that was not there, which is sent
 * what is new before it is available; and so does what nobody could read for
 * half a minute. */
static bool
is_in_order(const struct model *model, const struct device *device,
    unsigned from, int number, const char *text)
{
	const struct message *message = &model->message[from][number];
	const bool may_be_late =
	    device->user == model_devices[0].user || message->is_full;

	return (may_be_late && strstr(text, "<delay") != NULL) ||
	       number >= device->latest[from][message->is_full] ||
	       message->is_repeated || message->is_late;
}

/* To what waits: else the copy of a message, which it is sent all the same, is
 * no proof that the user has it. */
static bool
has_right(const struct device *device)
{
	return device->is_there && !device->was_away;
}

/* Where nothing is archived, nothing tells of a message that was proved before
 * the last start but the first one after the kill (modules/repeat.h): its row
 * is gone. */
static bool
is_forgotten(const struct model *model, const struct message *message)
{
	return !model->has_archives && message->is_repeated &&
	       message->starts != model->starts;
}

static void
see(struct model *model, struct device *device, const char *text)
{
	struct message *message;
	unsigned from;
	int number;

	if (!model_find(text, &from, &number))
		return;
	if (strstr(text, "type='error'") != NULL) {
		model->message[from][number].is_bounced = true;
		return;
	}
	message = &model->message[from][number];
	if (device->user != model_devices[from].user)
		message->is_heard = true;
	if (strstr(text, "urn:xmpp:carbons:2") != NULL && !has_right(device))
		return;
	model_must_hold(model,
	    !device->saw[from][number] || is_forgotten(model, message),
	    "a device saw a message twice", text);
	model_must_hold(model, is_in_order(model, device, from, number, text),
	    "a device saw a message behind a later one", text);
	device->saw[from][number] = true;
	if (number > device->latest[from][message->is_full])
		device->latest[from][message->is_full] = number;
}

static bool
is_own(const struct device *device, const char *text)
{
	char from[80];

	snprintf(
	    from, sizeof(from), "from='%s/%s'", device->user, device->resource);
	return strstr(text, from) != NULL;
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
		must(model_number_after(text, "h='", &h));
		device_acknowledged(model, device, h);
	} else if (strncmp(text, "<message", 8) == 0) {
		device->got++;
		see(model, device, text);
	} else if (strncmp(text, "<presence", 9) == 0) {
		device->got++;
		device->is_there |= is_own(device, text);
	} else if (strncmp(text, "<iq", 3) == 0) {
		device->got++;
	}
}

void
device_leave(struct device *device)
{
	if (device->peer != NULL)
		world_cut(&device->peer);
}

void
device_listen(struct model *model, struct device *device)
{
	const char *text;

	while (
	    device->peer != NULL && (text = world_next(device->peer)) != NULL)
		hear(model, device, text);
	if (device->peer != NULL && world_is_closed(device->peer))
		device_leave(device);
}

void
model_listen(struct model *model)
{
	for (unsigned i = 0; i < DEVICES; i++)
		device_listen(model, &model->device[i]);
}
