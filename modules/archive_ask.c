/*
 * modules/archive_ask.c - what a query wants: its form (XEP-0313, section 4.1)
 * and its page (XEP-0059).
 */
#include "base/clock.h"
#include "modules/archive_private.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/form.h"

#define NS_VALIDATE "http://jabber.org/protocol/xdata-validate"

/* Stamps are shown in milliseconds, and compared as they are shown. */
#define SHOWN_US 1000

struct asking {
	struct iq *iq;
	struct archive_ask *ask;
	const char *why;
};

/* --- narrowing the page -------------------------------------------------- */

static void
begin_after(struct log_query *rows, uint64_t id)
{
	if (rows->after < id)
		rows->after = id;
}

static void
end_before(struct log_query *rows, uint64_t id)
{
	if (rows->before == 0 || rows->before > id)
		rows->before = id;
}

/* A row that must be there; false when nobody was ever given that id. */
static bool
add_bound(struct archive_ask *ask, struct str text, struct archive_id *id_r)
{
	if (!archive_id_read(ask->account, text, id_r))
		return false;
	ask->bounds[ask->bound_count++] = *id_r;
	return true;
}

static enum stanza_err
bound_after(struct archive_ask *ask, struct str text)
{
	struct archive_id id;

	if (!add_bound(ask, text, &id))
		return STANZA_ERR_ITEM_NOT_FOUND;
	begin_after(&ask->rows, id.id);
	return STANZA_ERR_NONE;
}

static enum stanza_err
bound_before(struct archive_ask *ask, struct str text)
{
	struct archive_id id;

	if (!add_bound(ask, text, &id))
		return STANZA_ERR_ITEM_NOT_FOUND;
	end_before(&ask->rows, id.id);
	return STANZA_ERR_NONE;
}

/* --- fields -------------------------------------------------------------- */

static enum stanza_err
take_nothing(struct asking *asking, const struct node *field, struct str value)
{
	(void)asking;
	(void)field;
	(void)value;
	return STANZA_ERR_NONE;
}

static enum stanza_err
take_with(struct asking *asking, const struct node *field, struct str value)
{
	const struct jid *jid = jid_parse(iq_arena(asking->iq), value);

	(void)field;
	if (jid == NULL) {
		asking->why = "with must be a JID";
		return STANZA_ERR_BAD_REQUEST;
	}
	asking->ask->rows.peer = jid_full(jid);
	return STANZA_ERR_NONE;
}

static enum stanza_err
take_start(struct asking *asking, const struct node *field, struct str value)
{
	uint64_t us;

	(void)field;
	if (!clock_parse(value, &us)) {
		asking->why = "start must be a DateTime of XEP-0082";
		return STANZA_ERR_BAD_REQUEST;
	}
	us = (us + SHOWN_US - 1) / SHOWN_US * SHOWN_US;
	if (us > 0)
		begin_after(&asking->ask->rows, us - 1);
	return STANZA_ERR_NONE;
}

static enum stanza_err
take_end(struct asking *asking, const struct node *field, struct str value)
{
	uint64_t us;

	(void)field;
	if (!clock_parse(value, &us)) {
		asking->why = "end must be a DateTime of XEP-0082";
		return STANZA_ERR_BAD_REQUEST;
	}
	end_before(&asking->ask->rows, us / SHOWN_US * SHOWN_US + SHOWN_US);
	return STANZA_ERR_NONE;
}

static enum stanza_err
take_before_id(
    struct asking *asking, const struct node *field, struct str value)
{
	(void)field;
	return bound_before(asking->ask, value);
}

static enum stanza_err
take_after_id(struct asking *asking, const struct node *field, struct str value)
{
	(void)field;
	return bound_after(asking->ask, value);
}

static enum stanza_err
take_ids(struct asking *asking, const struct node *field, struct str value)
{
	struct arena *arena = iq_arena(asking->iq);
	struct archive_ask *ask = asking->ask;

	(void)value;
	ask->has_ids = true;
	ask->ids = arena_array(arena, struct archive_id, ARCHIVE_IDS_MAX);
	ask->id_count = 0;
	node_each (each, field) {
		if (!node_is(each, "value", NS_FORM))
			continue;
		if (ask->id_count == ARCHIVE_IDS_MAX) {
			asking->why = "too many ids at once";
			return STANZA_ERR_POLICY_VIOLATION;
		}
		if (!archive_id_read(ask->account, node_text(arena, each),
			&ask->ids[ask->id_count++]))
			return STANZA_ERR_ITEM_NOT_FOUND;
	}
	return STANZA_ERR_NONE;
}

/* XEP-0431, section 2.2: empty, it says nothing. */
static enum stanza_err
take_words(struct asking *asking, const struct node *field, struct str value)
{
	(void)field;
	asking->ask->rows.words = value;
	return STANZA_ERR_NONE;
}

static const struct field {
	const char *var, *type;
	enum stanza_err (*take)(
	    struct asking *, const struct node *field, struct str value);
} fields[] = {
    {"with", "jid-single", take_with},
    {"start", "text-single", take_start},
    {"end", "text-single", take_end},
    {"before-id", "text-single", take_before_id},
    {"after-id", "text-single", take_after_id},
    {"ids", "list-multi", take_ids},
    /* There is no groupchat in the archive, whatever is asked. */
    {"include-groupchat", "boolean", take_nothing},
    {"{" NS_FULLTEXT "}fulltext", "text-single", take_words},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static const struct field *
field_of(struct str var)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (str_equal(var, str_of(fields[i].var)))
			return &fields[i];
	return NULL;
}

static enum stanza_err
take_field(struct asking *asking, const struct node *node)
{
	struct arena *arena = iq_arena(asking->iq);
	const struct str var = node_attr(node, "var");
	const struct field *field = field_of(var);
	struct str value = node_child_text(arena, node, "value", NS_FORM);

	if (str_is(var, "FORM_TYPE"))
		return STANZA_ERR_NONE;
	if (field == NULL) {
		asking->why = "the form has a field that is not supported";
		return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
	}
	/* A field without a value is not filled in. */
	if (value.text == NULL)
		return STANZA_ERR_NONE;
	return field->take(asking, node, str_trim(value));
}

/* Each field once: of bounds there is room for no more. */
static bool
is_repeated(const struct node *form, const struct node *field)
{
	node_each (other, form) {
		if (other == field)
			return false;
		if (node_is(other, "field", NS_FORM) &&
		    str_equal(node_attr(other, "var"), node_attr(field, "var")))
			return true;
	}
	return false;
}

static enum stanza_err
read_form(struct asking *asking, const struct node *form)
{
	if (form == NULL)
		return STANZA_ERR_NONE;
	if (!form_is_type(form, "submit") ||
	    !form_has_type(iq_arena(asking->iq), form, NS_MAM)) {
		asking->why = "the form must be a submitted " NS_MAM;
		return STANZA_ERR_BAD_REQUEST;
	}
	node_each (field, form) {
		enum stanza_err err = STANZA_ERR_NONE;

		if (!node_is(field, "field", NS_FORM))
			continue;
		if (is_repeated(form, field)) {
			asking->why = "the form has a field twice";
			return STANZA_ERR_BAD_REQUEST;
		}
		err = take_field(asking, field);
		if (err != STANZA_ERR_NONE)
			return err;
	}
	if (asking->ask->has_ids && asking->ask->rows.words.len > 0) {
		asking->why = "ids and words do not go together";
		return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
	}
	return STANZA_ERR_NONE;
}

/* --- the page ------------------------------------------------------------ */

/* A session ends when more than its queue is not acknowledged. */
static uint64_t
page_max(struct iq *iq)
{
	const uint64_t half =
	    host_int(iq_account(iq)->host, SETTING(SESSIONS_QUEUE)) / 2;

	return half < ARCHIVE_PAGE_MAX ? half : ARCHIVE_PAGE_MAX;
}

static enum stanza_err
read_max(struct asking *asking, struct str text)
{
	uint64_t max = ARCHIVE_PAGE;

	if (text.text != NULL &&
	    !str_to_u64(str_trim(text), UINT64_MAX, &max)) {
		asking->why = "max must be a number";
		return STANZA_ERR_BAD_REQUEST;
	}
	if (max > page_max(asking->iq))
		max = page_max(asking->iq);
	asking->ask->rows.max = (unsigned)max;
	return STANZA_ERR_NONE;
}

/* XEP-0059, section 2.6: there is no page by number; rows are not counted. */
static enum stanza_err
read_set(struct asking *asking, const struct node *set)
{
	struct arena *arena = iq_arena(asking->iq);
	struct archive_ask *ask = asking->ask;
	const struct str after = node_child_text(arena, set, "after", NS_RSM);
	const struct str before = node_child_text(arena, set, "before", NS_RSM);
	enum stanza_err err;

	err = read_max(asking, node_child_text(arena, set, "max", NS_RSM));
	if (err == STANZA_ERR_NONE &&
	    node_child(set, "index", NS_RSM) != NULL) {
		asking->why = "pages have no number";
		err = STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
	}
	if (err == STANZA_ERR_NONE && after.text != NULL)
		err = bound_after(ask, str_trim(after));
	if (err == STANZA_ERR_NONE && before.text != NULL) {
		ask->rows.is_backward = true;
		if (str_trim(before).len > 0)
			err = bound_before(ask, str_trim(before));
	}
	return err;
}

enum stanza_err
archive_ask_read(struct iq *iq, struct archive_ask *ask, const char **why_r)
{
	const struct node *query = iq_payload(iq);
	struct asking asking = {iq, ask, NULL};
	enum stanza_err err;

	*ask = (struct archive_ask){
	    .account = iq_account(iq),
	    .queryid = node_attr(query, "queryid"),
	    .rows = {.owner = iq_account(iq)->owner.id, .kind = &archive_kind},
	    .is_flipped = node_child(query, "flip-page", NS_MAM) != NULL,
	};
	err = read_form(&asking, form_find(query));
	if (err == STANZA_ERR_NONE)
		err = read_set(&asking, node_child(query, "set", NS_RSM));
	*why_r = asking.why;
	return err;
}

/* --- the form ------------------------------------------------------------ */

const struct node *
archive_ask_form(struct arena *arena)
{
	struct node *query = node_make(arena, "query", NS_MAM);
	struct node *form = form_add(query, "form", NS_MAM);

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		struct node *field =
		    form_field(form, fields[i].type, fields[i].var, NULL);
		struct node *validate;

		if (fields[i].take != take_ids)
			continue;
		validate = node_add(field, "validate", NS_VALIDATE);
		node_set(validate, "datatype", STR("xs:string"));
		node_add(validate, "open", NS_VALIDATE);
	}
	return query;
}
