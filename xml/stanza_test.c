#include "xml/stanza.h"

#include <string.h>

#include "base/check_arena.h"
#include "xml/delay.h"
#include "xml/writer.h"

static const struct node *
parse(const char *text)
{
	const struct node *node = node_parse(arena, str_of(text), NS_CLIENT);

	CHECK(node != NULL);
	return node;
}

static struct stanza *
read_as(const char *text, enum stanza_err err)
{
	struct stanza *stanza = arena_new(arena, struct stanza);

	CHECK_EQUAL(stanza_read(arena, parse(text), stanza), err);
	return stanza;
}

static void
check_written(const struct stanza *stanza, const char *ns, const char *text)
{
	struct buf buf = {0};

	stanza_write(&buf, stanza, str_of(ns), STR_NONE);
	CHECK_STR(buf_str(&buf), text);
	buf_deinit(&buf);
}

static const struct {
	const char *text;
	enum stanza_err err;
	enum stanza_kind kind;
	enum stanza_type type;
} heads[] = {
    {"<message/>", STANZA_ERR_NONE, STANZA_MESSAGE, STANZA_NORMAL},
    {"<message type='normal'/>", STANZA_ERR_NONE, STANZA_MESSAGE,
	STANZA_NORMAL},
    {"<message type='chat'/>", STANZA_ERR_NONE, STANZA_MESSAGE, STANZA_CHAT},
    {"<message type='groupchat'/>", STANZA_ERR_NONE, STANZA_MESSAGE,
	STANZA_GROUPCHAT},
    {"<message type='headline'/>", STANZA_ERR_NONE, STANZA_MESSAGE,
	STANZA_HEADLINE},
    {"<message type='error'/>", STANZA_ERR_NONE, STANZA_MESSAGE, STANZA_ERROR},
    {"<message type='probe'/>", STANZA_ERR_NONE, STANZA_MESSAGE, STANZA_NORMAL},
    {"<message type=''/>", STANZA_ERR_NONE, STANZA_MESSAGE, STANZA_NORMAL},
    {"<message to='@'/>", STANZA_ERR_JID_MALFORMED, STANZA_MESSAGE,
	STANZA_NORMAL},
    {"<message to=''/>", STANZA_ERR_JID_MALFORMED, STANZA_MESSAGE,
	STANZA_NORMAL},
    {"<message from='@' to='a'/>", STANZA_ERR_JID_MALFORMED, STANZA_MESSAGE,
	STANZA_NORMAL},
    {"<presence/>", STANZA_ERR_NONE, STANZA_PRESENCE, STANZA_AVAILABLE},
    {"<presence type='unavailable'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_UNAVAILABLE},
    {"<presence type='subscribe'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_SUBSCRIBE},
    {"<presence type='subscribed'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_SUBSCRIBED},
    {"<presence type='unsubscribe'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_UNSUBSCRIBE},
    {"<presence type='unsubscribed'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_UNSUBSCRIBED},
    {"<presence type='probe'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_PROBE},
    {"<presence type='error'/>", STANZA_ERR_NONE, STANZA_PRESENCE,
	STANZA_ERROR},
    {"<presence type='available'/>", STANZA_ERR_BAD_REQUEST, STANZA_PRESENCE,
	STANZA_AVAILABLE},
    {"<presence type=''/>", STANZA_ERR_BAD_REQUEST, STANZA_PRESENCE,
	STANZA_AVAILABLE},
    {"<iq type='get' id='1'><q/></iq>", STANZA_ERR_NONE, STANZA_IQ, STANZA_GET},
    {"<iq type='set' id='1'> <q/> </iq>", STANZA_ERR_NONE, STANZA_IQ,
	STANZA_SET},
    {"<iq type='result' id='1'/>", STANZA_ERR_NONE, STANZA_IQ, STANZA_RESULT},
    {"<iq type='error' id='1'/>", STANZA_ERR_NONE, STANZA_IQ, STANZA_ERROR},
    {"<iq type='get' id=''><q/></iq>", STANZA_ERR_NONE, STANZA_IQ, STANZA_GET},
    {"<iq type='get'><q/></iq>", STANZA_ERR_BAD_REQUEST, STANZA_IQ, STANZA_GET},
    {"<iq id='1'><q/></iq>", STANZA_ERR_BAD_REQUEST, STANZA_IQ, STANZA_GET},
    {"<iq type='x' id='1'><q/></iq>", STANZA_ERR_BAD_REQUEST, STANZA_IQ,
	STANZA_GET},
    {"<iq type='set' id='1'/>", STANZA_ERR_BAD_REQUEST, STANZA_IQ, STANZA_SET},
    {"<iq type='get' id='1'><q/><q/></iq>", STANZA_ERR_BAD_REQUEST, STANZA_IQ,
	STANZA_GET},
    {"<iq type='get' id='1' to='a@'/>", STANZA_ERR_JID_MALFORMED, STANZA_IQ,
	STANZA_GET},
    {"<message xmlns='jabber:server'/>", STANZA_ERR_NONE, STANZA_MESSAGE,
	STANZA_NORMAL},
    {"<message xmlns='jabber:other'/>", STANZA_ERR_FEATURE_NOT_IMPLEMENTED,
	STANZA_MESSAGE, STANZA_ERROR},
    {"<query/>", STANZA_ERR_FEATURE_NOT_IMPLEMENTED, STANZA_MESSAGE,
	STANZA_ERROR},
};

static void
heads_are_read(void **state)
{
	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		const struct stanza *stanza =
		    read_as(heads[i].text, heads[i].err);

		CHECK_EQUAL(stanza->kind, heads[i].kind);
		CHECK_EQUAL(stanza->type, heads[i].type);
	}
}

static void
all_that_can_be_read_is(void **state)
{
	const struct stanza *stanza = read_as(
	    "<iq from='A@b/C' to='@' id='i'/>", STANZA_ERR_JID_MALFORMED);

	CHECK_STR(jid_full(stanza->from), "a@b/C");
	CHECK(stanza->to == NULL);
	CHECK_STR(stanza->id, "i");
	CHECK(read_as("<message/>", STANZA_ERR_NONE)->id.text == NULL);
	/* Attributes of foreign namespaces are not those of the stanza. */
	stanza = read_as(
	    "<message xmlns:p='u' p:to='a' p:id='i'/>", STANZA_ERR_NONE);
	CHECK(stanza->to == NULL && stanza->id.text == NULL);
}

static void
names_are_those_of_the_rfc(void **state)
{
	CHECK_TEXT(stanza_kind_text(STANZA_PRESENCE), "presence");
	CHECK_TEXT(stanza_type_text(STANZA_RESULT), "result");
	CHECK_TEXT(stanza_err_element(STANZA_ERR_GONE), "gone");
	CHECK_TEXT(stanza_err_type(STANZA_ERR_GONE), "cancel");
	CHECK_TEXT(stanza_err_element(STANZA_ERR_UNEXPECTED_REQUEST),
	    "unexpected-request");
}

static const struct {
	const char *text;
	bool may;
} failing[] = {
    {"<message/>", true},
    {"<message type='error'/>", false},
    {"<presence/>", false},
    {"<presence type='unavailable'/>", false},
    {"<presence type='subscribe'/>", true},
    {"<presence type='subscribed'/>", false},
    {"<presence type='probe'/>", true},
    {"<presence type='error'/>", false},
    {"<iq type='get' id='1'><q/></iq>", true},
    {"<iq type='set' id='1'><q/></iq>", true},
    {"<iq type='result' id='1'/>", false},
    {"<iq type='error' id='1'/>", false},
};

/* RFC 6120, section 8.3.3; the first of the types that it allows. */
static const struct {
	enum stanza_err err;
	const char *element, *type;
} error_types[] = {
    {STANZA_ERR_BAD_REQUEST, "bad-request", "modify"},
    {STANZA_ERR_CONFLICT, "conflict", "cancel"},
    {STANZA_ERR_FEATURE_NOT_IMPLEMENTED, "feature-not-implemented", "cancel"},
    {STANZA_ERR_FORBIDDEN, "forbidden", "auth"},
    {STANZA_ERR_GONE, "gone", "cancel"},
    {STANZA_ERR_INTERNAL_SERVER_ERROR, "internal-server-error", "cancel"},
    {STANZA_ERR_ITEM_NOT_FOUND, "item-not-found", "cancel"},
    {STANZA_ERR_JID_MALFORMED, "jid-malformed", "modify"},
    {STANZA_ERR_NOT_ACCEPTABLE, "not-acceptable", "modify"},
    {STANZA_ERR_NOT_ALLOWED, "not-allowed", "cancel"},
    {STANZA_ERR_NOT_AUTHORIZED, "not-authorized", "auth"},
    {STANZA_ERR_POLICY_VIOLATION, "policy-violation", "modify"},
    {STANZA_ERR_RECIPIENT_UNAVAILABLE, "recipient-unavailable", "wait"},
    {STANZA_ERR_REDIRECT, "redirect", "modify"},
    {STANZA_ERR_REGISTRATION_REQUIRED, "registration-required", "auth"},
    {STANZA_ERR_REMOTE_CONNECTION_FAILED, "remote-connection-failed", "wait"},
    {STANZA_ERR_REMOTE_SERVER_NOT_FOUND, "remote-server-not-found", "cancel"},
    {STANZA_ERR_REMOTE_SERVER_TIMEOUT, "remote-server-timeout", "wait"},
    {STANZA_ERR_RESOURCE_CONSTRAINT, "resource-constraint", "wait"},
    {STANZA_ERR_SERVICE_UNAVAILABLE, "service-unavailable", "cancel"},
    {STANZA_ERR_SUBSCRIPTION_REQUIRED, "subscription-required", "auth"},
    {STANZA_ERR_UNEXPECTED_REQUEST, "unexpected-request", "wait"},
};

static void
errors_have_the_types_of_the_rfc(void **state)
{
	for (size_t i = 0; i < COUNT_OF(error_types); i++) {
		const enum stanza_err err = error_types[i].err;

		CHECK_TEXT(stanza_err_element(err), error_types[i].element);
		CHECK_TEXT(stanza_err_type(err), error_types[i].type);
	}
}

static void
errors_answer_no_errors(void **state)
{
	for (size_t i = 0; i < COUNT_OF(failing); i++)
		CHECK_EQUAL(
		    stanza_may_fail(read_as(failing[i].text, STANZA_ERR_NONE)),
		    failing[i].may);
}

static void
errors_are_made(void **state)
{
	const struct stanza *stanza =
	    read_as("<message from='a@b/c' to='d@e' id='1' type='chat'><body/>"
		    "</message>",
		STANZA_ERR_NONE);
	struct stanza *error =
	    stanza_make_error(arena, stanza, STANZA_ERR_ITEM_NOT_FOUND, "who?");

	check_written(error, NS_CLIENT,
	    "<message from='d@e' to='a@b/c' type='error' id='1'>"
	    "<error type='cancel'><item-not-found"
	    " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
	    " xml:lang='en'>who?</text></error></message>");
	CHECK_EQUAL(error->type, STANZA_ERROR);
	CHECK_EQUAL(stanza_err_of_node(error->node), STANZA_ERR_ITEM_NOT_FOUND);
	CHECK_EQUAL(
	    stanza_err_of_node(stanza->node), STANZA_ERR_UNDEFINED_CONDITION);
	CHECK_EQUAL(stanza_err_of_node(parse("<iq><error><gone xmlns='x'/>"
					     "</error></iq>")),
	    STANZA_ERR_UNDEFINED_CONDITION);
}

static void
results_are_made(void **state)
{
	const struct stanza *stanza =
	    read_as("<iq xmlns='jabber:server' from='a' to='b' id='1'"
		    " type='get'><q xmlns='u'/></iq>",
		STANZA_ERR_NONE);

	check_written(stanza_make_result(arena, stanza, NULL), NS_SERVER,
	    "<iq from='b' to='a' type='result' id='1'/>");
	check_written(
	    stanza_make_result(arena, stanza, node_first(stanza->node)),
	    NS_CLIENT,
	    "<iq from='b' to='a' type='result' id='1'><q xmlns='u'/></iq>");
}

static void
stanzas_are_made(void **state)
{
	const struct jid *to = jid_parse(arena, STR("a@b"));
	struct stanza *stanza = stanza_make(
	    arena, STANZA_PRESENCE, STANZA_AVAILABLE, NULL, to, STR(""));

	check_written(stanza, NS_CLIENT, "<presence to='a@b'/>");
	node_add(stanza_body(stanza), "show", NS_CLIENT);
	check_written(
	    stanza, NS_CLIENT, "<presence to='a@b'><show/></presence>");
	stanza = stanza_make(
	    arena, STANZA_MESSAGE, STANZA_HEADLINE, to, NULL, STR("1"));
	check_written(
	    stanza, NS_CLIENT, "<message from='a@b' type='headline' id='1'/>");
	CHECK_STR(stanza->id, "1");
}

static void
the_head_has_the_addresses(void **state)
{
	const struct stanza *stanza =
	    read_as("<message from='old@a' id='1' to='old@b' xml:lang='de'/>",
		STANZA_ERR_NONE);
	const struct jid *to = jid_parse(arena, STR("new@c/it's"));
	struct stanza *other = stanza_readdress(arena, stanza, NULL, to);

	check_written(other, NS_CLIENT,
	    "<message to='new@c/it&apos;s' id='1' xml:lang='de'/>");
	check_written(stanza, NS_CLIENT,
	    "<message from='old@a' to='old@b' id='1' xml:lang='de'/>");
}

/* What is in the stream's namespace changes with the stream; what was put into
 * another element does not. */
static void
the_namespace_follows_the_stream(void **state)
{
	const struct stanza *stanza =
	    read_as("<message><body>x</body><forwarded xmlns='f'>"
		    "<message xmlns='jabber:client'><body>y</body></message>"
		    "</forwarded></message>",
		STANZA_ERR_NONE);

	check_written(stanza, NS_CLIENT,
	    "<message><body>x</body><forwarded xmlns='f'>"
	    "<message xmlns='jabber:client'><body>y</body></message>"
	    "</forwarded></message>");
	check_written(stanza, NS_SERVER,
	    "<message><body>x</body><forwarded xmlns='f'>"
	    "<message xmlns='jabber:client'><body>y</body></message>"
	    "</forwarded></message>");
	stanza = read_as("<message xmlns='jabber:server'><error><e xmlns='s'/>"
			 "</error></message>",
	    STANZA_ERR_NONE);
	check_written(stanza, NS_CLIENT,
	    "<message><error><e xmlns='s'/></error></message>");
}

static const struct {
	const char *text, *lang, *written;
} langs[] = {
    {"<iq/>", "de", "<iq xml:lang='de'/>"},
    {"<iq/>", "", "<iq/>"},
    {"<iq xml:lang='en'/>", "de", "<iq xml:lang='en'/>"},
    {"<iq xml:lang=''/>", "de", "<iq xml:lang=''/>"},
};

static void
the_language_is_said_once(void **state)
{
	for (size_t i = 0; i < COUNT_OF(langs); i++) {
		const struct stanza stanza = {.node = parse(langs[i].text)};
		struct buf buf = {0};

		stanza_write(
		    &buf, &stanza, STR(NS_CLIENT), str_of(langs[i].lang));
		CHECK_STR(buf_str(&buf), langs[i].written);
		buf_deinit(&buf);
	}
}

static void
stanzas_are_stored(void **state)
{
	static const char text[] =
	    "<message xmlns='jabber:client' from='a@b/c' to='d@e' type='chat'>"
	    "<body>x &lt; y</body><z xmlns='u'/></message>";
	struct stanza *stanza = stanza_parse(arena, STR(text));

	CHECK_STR(jid_full(stanza->from), "a@b/c");
	CHECK_STR(stanza_text(arena, stanza), text);
	CHECK(stanza_parse(arena, STR("<message/>")) == NULL);
	CHECK(stanza_parse(arena, STR("junk")) == NULL);
	CHECK(stanza_parse(arena, STR("<iq xmlns='jabber:client'/>")) == NULL);
}

static void
deep_copies_need_nothing(void **state)
{
	static const char text[] =
	    "<iq xmlns='jabber:client' from='a@b' to='c' id='1' type='get'>"
	    "<q xmlns='u'>x</q></iq>";
	struct arena *short_lived = arena_make(0);
	struct stanza *copy =
	    stanza_copy_deep(arena, stanza_parse(short_lived, STR(text)));

	arena_free(&short_lived);
	CHECK_STR(stanza_text(arena, copy), text);
	CHECK_STR(copy->id, "1");
}

/* It may wait longer than the configuration that has the name. */
static void
who_delayed_is_named_for_good(void **state)
{
	char name[] = "montague.example";
	const struct stanza *late = delay_add(arena,
	    stanza_parse(arena,
		STR("<message xmlns='jabber:client' from='a@b' to='c@d'/>")),
	    str_of(name), 0);

	memset(name, 'x', strlen(name));
	CHECK(delay_has(late, STR("montague.example")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(heads_are_read),
	    cmocka_unit_test(all_that_can_be_read_is),
	    cmocka_unit_test(names_are_those_of_the_rfc),
	    cmocka_unit_test(errors_have_the_types_of_the_rfc),
	    cmocka_unit_test(errors_answer_no_errors),
	    cmocka_unit_test(errors_are_made),
	    cmocka_unit_test(results_are_made),
	    cmocka_unit_test(stanzas_are_made),
	    cmocka_unit_test(the_head_has_the_addresses),
	    cmocka_unit_test(the_namespace_follows_the_stream),
	    cmocka_unit_test(the_language_is_said_once),
	    cmocka_unit_test(stanzas_are_stored),
	    cmocka_unit_test(deep_copies_need_nothing),
	    cmocka_unit_test(who_delayed_is_named_for_good),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}
