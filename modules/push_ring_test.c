#include "modules/push_ring.h"

#include <stdio.h>

#include "base/check.h"

#define ME    "juliet@capulet.example"
#define ROMEO "romeo@montague.example/orchard"
#define NURSE "hall@rooms.example/nurse"

#define FROM(from, type, content)                                \
	"<message xmlns='jabber:client' from='" from "' to='" ME \
	"/balcony' type='" type "'>" content "</message>"
#define CHAT(content) FROM(ROMEO, "chat", content)
#define ROOM(content) FROM(NURSE, "groupchat", content)
#define BODY          "<body>Wherefore?</body>"
#define HINT(name)    "<" name " xmlns='urn:xmpp:hints'/>"
#define OMEMO(ns, in) "<encrypted xmlns='" ns "'><header/>" in "</encrypted>"
#define OLD_OMEMO     "eu.siacs.conversations.axolotl"
#define CARBON(from, way, message)                            \
	FROM(from, "chat",                                    \
	    "<" way " xmlns='urn:xmpp:carbons:2'><forwarded " \
	    "xmlns='urn:xmpp:forward:0'>" message "</forwarded></" way ">")

static const struct {
	const char *text;
	const char *from; /* NULL: it does not ring */
	const char *body; /* "": none */
} cases[] = {
    {CHAT(BODY), ROMEO, "Wherefore?"},
    {FROM(ROMEO, "normal", BODY), ROMEO, "Wherefore?"},
    {FROM("capulet.example", "normal", BODY), "capulet.example", "Wherefore?"},
    {CHAT(BODY "<request xmlns='urn:xmpp:receipts'/>"), ROMEO, "Wherefore?"},
    {CHAT(BODY "<active xmlns='http://jabber.org/protocol/chatstates'/>"),
	ROMEO, "Wherefore?"},
    /* Nothing to read. */
    {CHAT(""), NULL, ""},
    {CHAT("<body/>"), NULL, ""},
    {CHAT("<subject>x</subject>"), NULL, ""},
    {CHAT("<composing xmlns='http://jabber.org/protocol/chatstates'/>"), NULL,
	""},
    {CHAT("<received xmlns='urn:xmpp:receipts' id='x'/>" HINT("store")), NULL,
	""},
    {CHAT("<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>"), NULL, ""},
    {CHAT("<retract xmlns='urn:xmpp:message-retract:1' id='x'/>" BODY), NULL,
	""},
    /* Of another kind. */
    {FROM(ROMEO, "error", BODY), NULL, ""},
    {FROM(ROMEO, "headline", BODY), NULL, ""},
    {"<presence xmlns='jabber:client' from='" ROMEO "'>" BODY "</presence>",
	NULL, ""},
    /* Hints: XEP-0334. */
    {CHAT(BODY HINT("no-store")), NULL, ""},
    {CHAT(BODY HINT("no-permanent-store")), ROMEO, "Wherefore?"},
    {CHAT(BODY HINT("no-copy")), ROMEO, "Wherefore?"},
    /* Encrypted: the body is not what was said. */
    {CHAT(OMEMO(OLD_OMEMO, "<payload>x</payload>") BODY HINT("store")), ROMEO,
	""},
    {CHAT(OMEMO("urn:xmpp:omemo:2", "<payload>x</payload>")), ROMEO, ""},
    {CHAT(OMEMO("urn:xmpp:omemo:2", "")), NULL, ""},
    {CHAT(OMEMO(OLD_OMEMO, "") BODY), NULL, ""},
    {CHAT("<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>"), ROMEO, ""},
    {CHAT("<x xmlns='jabber:x:encrypted'>x</x>" BODY), ROMEO, ""},
    /* Calls and invitations. */
    {CHAT("<propose xmlns='urn:xmpp:jingle-message:0' id='x'/>" HINT("store")),
	ROMEO, ""},
    {CHAT("<retract xmlns='urn:xmpp:jingle-message:0' id='x'/>" HINT("store")),
	NULL, ""},
    {FROM(ROMEO, "normal", "<x xmlns='jabber:x:conference' jid='a@b'/>"), ROMEO,
	""},
    {FROM("hall@rooms.example", "normal",
	 "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='" ROMEO
	 "'/></x>"),
	"hall@rooms.example", ""},
    {CHAT("<x xmlns='http://jabber.org/protocol/muc#user'/>"), NULL, ""},
    /* Rooms: who is named. The name is Jul. */
    {ROOM(BODY), NULL, ""},
    {ROOM("<body>Jul: come!</body>"), NURSE, "Jul: come!"},
    {ROOM("<body>oh jul</body>"), NURSE, "oh jul"},
    {ROOM("<body>it is July</body>"), NULL, ""},
    {ROOM("<body>\xc3\xa9jul, xjul Jul2</body>"), NULL, ""},
    {ROOM("<subject>Jul</subject>"), NULL, ""},
    {FROM(NURSE, "chat", BODY), NURSE, "Wherefore?"},
    /* What the user said. */
    {FROM(ME "/garden", "chat", BODY), NULL, ""},
    {CARBON(ME, "sent",
	 "<message xmlns='jabber:client' from='" ME "/garden' to='" ROMEO
	 "' type='chat'>" BODY "</message>"),
	NULL, ""},
    /* What another resource got. */
    {CARBON(ME, "received", CHAT(BODY)), ROMEO, "Wherefore?"},
    {CARBON(ME, "received", CHAT("")), NULL, ""},
    {CARBON(ME, "received", "<message xmlns='jabber:client' from='@'/>"), NULL,
	""},
    /* Not from us: a forgery. */
    {CARBON(ROMEO, "received", CHAT(BODY)), NULL, ""},
};

static void
what_would_make_a_phone_ring(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *arena = arena_make(0);
		const struct stanza *stanza =
		    stanza_parse(arena, str_of(cases[i].text));
		struct push_ring ring = {0};
		bool rings;

		CHECK(stanza != NULL);
		rings = push_rings(arena, jid_parse(arena, STR(ME)), STR("Jul"),
		    stanza, &ring);
		if (rings != (cases[i].from != NULL))
			print_error("%s\n", cases[i].text);
		CHECK_EQUAL(rings, cases[i].from != NULL);
		if (rings) {
			CHECK_STR(jid_full(ring.from), cases[i].from);
			CHECK(str_equal(ring.body, str_of(cases[i].body)));
		}
		arena_free(&arena);
	}
}

static void
without_a_name_no_room_rings(void **state)
{
	struct arena *arena = arena_make(0);
	struct push_ring ring;

	CHECK(!push_rings(arena, jid_parse(arena, STR(ME)), STR_NONE,
	    stanza_parse(arena, STR(ROOM("<body>Jul</body>"))), &ring));
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_would_make_a_phone_ring),
	    cmocka_unit_test(without_a_name_no_room_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
