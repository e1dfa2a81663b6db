#include "modules/message.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

#define ERROR "<message type='error' id='m'/>"

/* RFC 6121, table of section 8.5.4: who of three sessions gets it, by letters:
 * a has priority 5, b 5, c 1, n -1, u is not available. Error: "e". */
static const struct {
	const char *type, *to, *there, *got;
} rows[] = {
    {"normal", JULIET, "abcnu", "ab"},
    {"chat", JULIET, "abcnu", "ab"},
    {"headline", JULIET, "abcnu", "abc"},
    {"groupchat", JULIET, "abcnu", "e"},
    {"error", JULIET, "abcnu", ""},
    {"chat", JULIET, "cn", "c"},
    {"headline", JULIET, "n", ""},
    {"groupchat", JULIET, "", "e"},
    {"normal", JULIET "/a", "abcnu", "a"},
    {"chat", JULIET "/n", "abcnu", "n"},
    {"groupchat", JULIET "/c", "abcnu", "c"},
    {"headline", JULIET "/u", "abcnu", "u"},
    {"error", JULIET "/a", "abcnu", "a"},
    {"chat", JULIET "/x", "abcnu", "ab"},
    {"normal", JULIET "/x", "abcnu", "e"},
    {"groupchat", JULIET "/x", "abcnu", "e"},
    {"headline", JULIET "/x", "abcnu", ""},
    {"error", JULIET "/x", "abcnu", ""},
    {"chat", "nobody@capulet.example", "", "e"},
    {"normal", "nobody@capulet.example", "", "e"},
    {"error", "nobody@capulet.example", "", ""},
    {"headline", "nobody@capulet.example", "", ""},
    {"headline", "nobody@capulet.example/x", "", ""},
};

static struct world_peer *
come(struct world *world, char letter)
{
	static const char *const presences[] = {
	    ['a'] = "<presence><priority>5</priority></presence>",
	    ['b'] = "<presence><priority>5</priority></presence>",
	    ['c'] = "<presence><priority>1</priority></presence>",
	    ['n'] = "<presence><priority>-1</priority></presence>",
	    ['u'] = "",
	};
	char jid[64];
	struct world_peer *peer;

	snprintf(jid, sizeof(jid), "%s/%c", JULIET, letter);
	peer = rig_bind(world, jid);
	rig_send(peer, presences[(unsigned char)letter]);
	return peer;
}

static void
play(size_t row)
{
	struct world *world = rig_world(row, 0, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *peers[8];
	const char *there = rows[row].there;
	char text[200];

	for (size_t i = 0; there[i] != '\0'; i++)
		peers[i] = come(world, there[i]);
	for (size_t i = 0; there[i] != '\0'; i++)
		rig_skip(peers[i]);
	snprintf(text, sizeof(text),
	    "<message type='%s' to='%s' id='m'><body>x</body></message>",
	    rows[row].type, rows[row].to);
	rig_send(romeo, text);
	if (strcmp(rows[row].got, "e") == 0)
		rig_expect_at(romeo, ERROR, text, (int)row);
	rig_expect_nothing_at(romeo, text, (int)row);
	for (size_t i = 0; there[i] != '\0'; i++) {
		if (strchr(rows[row].got, there[i]) != NULL)
			rig_expect_at(
			    peers[i], "<message id='m'/>", text, (int)row);
		rig_expect_nothing_at(peers[i], text, (int)row);
	}
	world_free(&world);
}

static void
each_row_of_the_table_is_kept(void **state)
{
	for (size_t row = 0; row < COUNT_OF(rows); row++)
		play(row);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_row_of_the_table_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
