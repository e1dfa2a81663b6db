/*
 * modules/query_fuzz.c - a query of the archive (XEP-0313, section 4) with its
 * page (XEP-0059): it is answered once, with rows that are there or an error.
 *
 * Each line is a letter, which says what it fills in, and the text; a text of
 * one digit is the id of that row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "modules/archive.h"
#include "server/world.h"
#include "xml/writer.h"

#define ROMEO "romeo@montague.example"
#define ROWS  5
#define MAM   "urn:xmpp:mam:2"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* One for all inputs: queries change nothing. */
static struct {
	struct world *world;
	struct world_peer *romeo;
	char ids[ROWS][80];
} stage;

static const struct part {
	char letter;
	const char *open, *close;
	bool is_of_set;
} parts[] = {
    {'w', "<field var='with'><value>", "</value></field>", false},
    {'s', "<field var='start'><value>", "</value></field>", false},
    {'e', "<field var='end'><value>", "</value></field>", false},
    {'a', "<field var='after-id'><value>", "</value></field>", false},
    {'b', "<field var='before-id'><value>", "</value></field>", false},
    {'i', "<field var='ids'><value>", "</value></field>", false},
    {'I', "<field var='ids'><value/><value>", "</value></field>", false},
    {'t', "<field var='{urn:xmpp:fulltext:0}fulltext'><value>",
	"</value></field>", false},
    {'g', "<field var='include-groupchat'><value>", "</value></field>", false},
    {'F', "<field var='FORM_TYPE'><value>", "</value></field>", false},
    {'m', "<max>", "</max>", true},
    {'<', "<before>", "</before>", true},
    {'>', "<after>", "</after>", true},
    {'n', "<index>", "</index>", true},
};

/* --- the archive ---------------------------------------------------------- */

static void
end(void)
{
	world_free(&stage.world);
}

static void
learn_ids(void)
{
	const char *text, *id;
	unsigned count = 0;

	world_send(
	    stage.romeo, "<iq type='set' id='q'><query xmlns='" MAM "'/></iq>");
	world_run(stage.world);
	while ((text = world_next(stage.romeo)) != NULL) {
		id = strstr(text, "<result");
		if (id == NULL || count == ROWS)
			continue;
		id = strstr(id, " id='") + strlen(" id='");
		snprintf(stage.ids[count], sizeof(stage.ids[count]), "%.*s",
		    (int)strcspn(id, "'"), id);
		count++;
	}
	must(count == ROWS);
}

static void
begin(void)
{
	stage.world = world_new(
	    &(struct world_options){.seed = 1, .yaml = "limits.rate: 0 B\n"});
	world_add_account(stage.world, ROMEO, NULL);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	for (unsigned i = 0; i < ROWS; i++) {
		world_send(stage.romeo,
		    "<message type='chat' to='" ROMEO "/x'>"
		    "<body>wherefore art thou</body></message>");
		world_run(stage.world);
		world_sleep(stage.world, 1000);
	}
	while (world_next(stage.romeo) != NULL)
		continue;
	learn_ids();
	atexit(end);
}

/* --- a query -------------------------------------------------------------- */

static void
add_text(struct buf *buf, struct str text)
{
	if (text.len == 1 && text.text[0] >= '0' && text.text[0] < '0' + ROWS)
		text = str_of(stage.ids[text.text[0] - '0']);
	writer_escaped(buf, text);
}

static void
add_parts(struct buf *buf, struct str input, bool is_of_set)
{
	struct str line;

	while (input.len > 0) {
		if (!str_cut(input, '\n', &line, &input)) {
			line = input;
			input = STR("");
		}
		for (size_t i = 0; i < COUNT_OF(parts) && line.len > 0; i++) {
			if (parts[i].letter != line.text[0] ||
			    parts[i].is_of_set != is_of_set)
				continue;
			buf_add(buf, str_of(parts[i].open));
			add_text(
			    buf, (struct str){line.text + 1, line.len - 1});
			buf_add(buf, str_of(parts[i].close));
		}
	}
}

/* What XML can carry (section 2.2 of its standard). */
static bool
is_text(struct str input)
{
	for (size_t i = 0; i < input.len; i++)
		if ((unsigned char)input.text[i] < ' ' && input.text[i] != '\n')
			return false;
	return str_is_utf8(input) &&
	       memmem(input.text, input.len, "\xef\xbf\xbe", 3) == NULL &&
	       memmem(input.text, input.len, "\xef\xbf\xbf", 3) == NULL;
}

static void
check_answer(void)
{
	unsigned rows = 0;
	const char *text;

	while ((text = world_next(stage.romeo)) != NULL &&
	       strncmp(text, "<iq", 3) != 0) {
		must(strstr(text, "<result xmlns='" MAM "'") != NULL);
		rows++;
	}
	must(text != NULL && strstr(text, " id='q'") != NULL);
	must(rows <= ROWS &&
	     (rows == 0 || strstr(text, "type='result'") != NULL));
	must(world_next(stage.romeo) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str input = {(const char *)bytes, len};
	struct buf buf = {0};

	if (!is_text(input))
		return 0;
	if (stage.world == NULL)
		begin();
	buf_add(
	    &buf, STR("<iq type='set' id='q'><query xmlns='" MAM
		      "'><x xmlns='jabber:x:data' type='submit'>"
		      "<field var='FORM_TYPE'><value>" MAM "</value></field>"));
	add_parts(&buf, input, false);
	buf_add(&buf, STR("</x><set xmlns='http://jabber.org/protocol/rsm'>"));
	add_parts(&buf, input, true);
	buf_add(&buf, STR("</set></query></iq>"));
	buf_add_byte(&buf, '\0');
	world_send(stage.romeo, buf.text);
	world_run(stage.world);
	check_answer();
	buf_deinit(&buf);
	return 0;
}
