#include "bench/dance.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/client.h"

enum step {
	STEP_OPENED,
	STEP_PROCEED,
	STEP_SECURED,
	STEP_REGISTERED,
	STEP_CHALLENGED,
	STEP_SUCCEEDED,
	STEP_REOPENED,
	STEP_BOUND,
	STEP_ENTERED,
	STEP_RESUMED,
};

__attribute__((format(printf, 2, 3))) static void
say(struct client *client, const char *format, ...)
{
	char text[2 * SCRAM_TEXT_MAX];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	client_send(client, text, (size_t)len);
}

static void
open_stream(struct client *client, enum step step)
{
	client->step = step;
	say(client,
	    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
	    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
	    "to='%s'>",
	    plan_domain(client->plan, client->number));
}

void
dance_start(struct client *client)
{
	if (client->plan->direct)
		client_secure(client);
	else
		open_stream(client, STEP_OPENED);
}

void
dance_secured(struct client *client)
{
	open_stream(client, STEP_SECURED);
}

static void
ask_starttls(struct client *client, const char *text, size_t len)
{
	client->step = STEP_PROCEED;
	say(client, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
}

static void
start_tls(struct client *client, const char *text, size_t len)
{
	client_secure(client);
}

static void
authenticate(struct client *client, const char *text, size_t len)
{
	char user[16], first[SCRAM_TEXT_MAX];
	bool plain = client->plan->plain;

	snprintf(user, sizeof(user), "u%u", client->number);
	if (plain)
		scram_plain(user, client->plan->password, first);
	else
		scram_first(user, first);
	client->step = plain ? STEP_SUCCEEDED : STEP_CHALLENGED;
	say(client,
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
	    "mechanism='%s'>%s</auth>",
	    plain ? "PLAIN" : "SCRAM-SHA-1", first);
}

static void
register_or_authenticate(struct client *client, const char *text, size_t len)
{
	if (!client->work->registers) {
		authenticate(client, text, len);
		return;
	}
	client->step = STEP_REGISTERED;
	say(client,
	    "<iq type='set' id='reg1'><query xmlns='jabber:iq:register'>"
	    "<username>u%u</username><password>%s</password></query></iq>",
	    client->number, client->plan->password);
}

static void
answer(struct client *client, const char *text, size_t len)
{
	const char *start = memmem(text, len, "<challenge", 10);
	char user[16], proof[SCRAM_TEXT_MAX];
	const char *end;

	snprintf(user, sizeof(user), "u%u", client->number);
	len -= (size_t)(start - text);
	start = memchr(start, '>', len);
	end = memmem(start, len, "</", 2);
	if (end == NULL ||
	    !scram_answer(&client->keys, user, client->plan->password,
		start + 1, (size_t)(end - start - 1), proof))
		client_fail(client, "not a SCRAM challenge");
	client->step = STEP_SUCCEEDED;
	say(client,
	    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>",
	    proof);
}

static void
reopen(struct client *client, const char *text, size_t len)
{
	open_stream(client, STEP_REOPENED);
}

static void
resume(struct client *client)
{
	if (client->managed.id[0] == '\0')
		client_fail(client, "the session cannot be resumed");
	client->step = STEP_RESUMED;
	say(client, "<resume xmlns='" MANAGE_NS "' previd='%s' h='%u'/>",
	    client->managed.id, client->managed.heard);
}

static void
bind_or_resume(struct client *client, const char *text, size_t len)
{
	if (client->work->resumes) {
		resume(client);
		return;
	}
	client->step = STEP_BOUND;
	say(client,
	    "<iq type='set' id='bind1'>"
	    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
	    "<resource>r%u</resource></bind></iq>",
	    client->number);
}

static void
enter(struct client *client, const char *text, size_t len)
{
	if (!client->work->enters) {
		client_is_ready(client);
		return;
	}
	client->step = STEP_ENTERED;
	say(client,
	    "<iq type='get' id='roster1'><query xmlns='jabber:iq:roster'/>"
	    "</iq>");
}

static void
be_present(struct client *client, const char *text, size_t len)
{
	say(client, "<presence/>");
	client_is_ready(client);
}

static void
resumed(struct client *client, const char *text, size_t len)
{
	client_is_ready(client);
}

static const struct {
	const char *awaits;
	void (*next)(struct client *, const char *text, size_t len);
} steps[] = {
    [STEP_OPENED] = {"</stream:features>", ask_starttls},
    [STEP_PROCEED] = {"<proceed", start_tls},
    [STEP_SECURED] = {"</stream:features>", register_or_authenticate},
    [STEP_REGISTERED] = {"reg1", authenticate},
    [STEP_CHALLENGED] = {"</challenge>", answer},
    [STEP_SUCCEEDED] = {"<success", reopen},
    [STEP_REOPENED] = {"</stream:features>", bind_or_resume},
    [STEP_BOUND] = {"bind1", enter},
    [STEP_ENTERED] = {"roster1", be_present},
    [STEP_RESUMED] = {"<resumed", resumed},
};

static const char *const refusals[] = {
    "<failed", "<failure", "<stream:error", "type='error'", "type=\"error\""};

bool
dance_step(struct client *client, const char *text, size_t len)
{
	const char *awaits = steps[client->step].awaits;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (memmem(text, len, refusals[i], strlen(refusals[i])) == NULL)
			continue;
		errx(1, "u%u: refused: %.*s", client->number, (int)len, text);
	}
	if (memmem(text, len, awaits, strlen(awaits)) == NULL)
		return false;
	steps[client->step].next(client, text, len);
	return true;
}
