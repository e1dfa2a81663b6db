#include "modules/vcard.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

#define CARD(type, id, content)                                              \
	"<iq type='" type "' id='" id "'><vCard xmlns='vcard-temp'>" content \
	"</vCard></iq>"
#define ASK \
	"<iq type='get' id='v' to='" ROMEO "'><vCard xmlns='vcard-temp'/></iq>"
#define DONE   "<iq type='result' id='v'><vCard>{not}</vCard></iq>"
#define UPDATE "vcard-temp:x:update"
/* "abc"; SHA-1 of FIPS 180-4. */
#define PHOTO "<PHOTO><TYPE>image/png</TYPE><BINVAL>\nYW\nJj\n</BINVAL></PHOTO>"
#define HASH  "a9993e364706816aba3e25717850c26c9cd0d89d"

static const struct rig_talk talks[] = {
    {CARD("get", "v", ""),
	"<iq type='result' id='v'><vCard xmlns='vcard-temp'>{only}</vCard>"
	"</iq>"},
    {CARD("set", "v", "<FN>Romeo</FN>"), DONE},
    {CARD("get", "v", ""), CARD("result", "v", "<FN>Romeo</FN>")},
    {CARD("set", "v", "<FN>R</FN>"), DONE},
    {CARD("get", "v", ""), CARD("result", "v", "<FN>R</FN>")},
    {"<iq type='set' id='v' to='" JULIET
     "'><vCard xmlns='vcard-temp'><FN>X</FN></vCard></iq>",
	"<iq type='error' id='v'/>"},
    /* Section 3.3 (XEP-0054): like nobody. */
    {"<iq type='get' id='v' to='" JULIET "'><vCard xmlns='vcard-temp'/></iq>",
	RIG_ERROR("v", "cancel", "service-unavailable")},
    {"<iq type='get' id='v' to='nobody@capulet.example'>"
     "<vCard xmlns='vcard-temp'/></iq>",
	RIG_ERROR("v", "cancel", "service-unavailable")},
};

static void
cards_are_kept_and_anyone_may_read_them(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	rig_talks(romeo, talks, COUNT_OF(talks));
	rig_send(juliet, ASK);
	rig_expect(juliet, CARD("result", "v", "<FN>R</FN>"));
	world_free(&world);
}

/* --- the store ----------------------------------------------------------- */

#define STORED "<vCard xmlns='vcard-temp'><FN>R</FN></vCard>"

static const struct {
	const char *stored;
	enum err broken;
	const char *want;
} stores[] = {
    {STORED, ERR_NONE, CARD("result", "v", "<FN>R</FN>")},
    {NULL, ERR_NONE, RIG_ERROR("v", "cancel", "service-unavailable")},
    {STORED, ERR_TIMEOUT, "<iq type='error' id='v'><error type='wait'/></iq>"},
    {STORED, ERR_UNAVAILABLE,
	"<iq type='error' id='v'><error type='wait'/></iq>"},
    {"junk", ERR_NONE, RIG_ERROR("v", "cancel", "internal-server-error")},
};

static void
get_answers_once_storage_has(void **state)
{
	for (size_t i = 0; i < COUNT_OF(stores); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

		rig_account(world, ROMEO);
		if (stores[i].stored != NULL)
			rig_put(world, ROMEO, vcard_module.kinds[0], "card",
			    stores[i].stored);
		world_break_store(world, stores[i].broken);
		world_hold_store(world, true);
		rig_send(juliet, ASK);
		rig_expect_nothing(juliet);
		world_hold_store(world, false);
		world_run(world);
		rig_expect(juliet, stores[i].want);
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

static void
a_card_has_a_limit_and_needs_the_store(void **state)
{
	struct world *world = rig_world(1, 2, "quota.vcard: 1 KiB\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char text[1400], filling[1101];

	memset(filling, 'x', 1100);
	filling[1100] = '\0';
	snprintf(text, sizeof(text), CARD("set", "v", "<FN>%s</FN>"), filling);
	rig_send(romeo, text);
	rig_expect(romeo, RIG_ERROR("v", "wait", "resource-constraint"));
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(romeo, CARD("set", "v", PHOTO));
	rig_expect(romeo, "<iq type='error' id='v'><error type='wait'/></iq>");
	rig_send(romeo, "<presence/>");
	rig_expect(romeo, "<presence><x xmlns='" UPDATE "'>{not}</x>"
			  "</presence>");
	world_break_store(world, ERR_NONE);
	world_free(&world);
}

/* --- the hash: XEP-0153 -------------------------------------------------- */

#define X(content) "<x xmlns='" UPDATE "'>" content "</x>"

static const struct {
	const char *card, *sent, *want;
} hashes[] = {
    {"", "<presence/>", "<presence><x xmlns='" UPDATE "'>{not}</x></presence>"},
    {PHOTO, "<presence/>",
	"<presence>" X("<photo>" HASH "</photo>") "</presence>"},
    {PHOTO, "<presence>" X("") "</presence>",
	"<presence>" X("<photo>" HASH "</photo>") "</presence>"},
    /* A client that says one knows better. */
    {PHOTO, "<presence>" X("<photo/>") "</presence>",
	"<presence>" X("<photo>{only}</photo>") "</presence>"},
    {PHOTO, "<presence>" X("<photo>01</photo>") "</presence>",
	"<presence>" X("<photo>01</photo>") "</presence>"},
    {"<PHOTO><BINVAL>***</BINVAL></PHOTO>", "<presence/>",
	"<presence><x xmlns='" UPDATE "'>{not}</x></presence>"},
};

static void
presence_tells_the_hash_of_the_picture(void **state)
{
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		char text[400];

		snprintf(
		    text, sizeof(text), CARD("set", "v", "%s"), hashes[i].card);
		rig_send(romeo, text);
		rig_expect(romeo, DONE);
		rig_send(romeo, hashes[i].sent);
		rig_expect(romeo, hashes[i].want);
		world_cut(&romeo);
		world_kill(world);
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, hashes[i].sent);
		rig_expect(romeo, hashes[i].want);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cards_are_kept_and_anyone_may_read_them),
	    cmocka_unit_test(get_answers_once_storage_has),
	    cmocka_unit_test(a_card_has_a_limit_and_needs_the_store),
	    cmocka_unit_test(presence_tells_the_hash_of_the_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
