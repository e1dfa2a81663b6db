#include "xml/stanza.h"

#include "base/err.h"
#include "xml/writer.h"

#define TEXT_LEN_GUESS  512
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct str kinds[] = {
    [STANZA_MESSAGE] = {"message", 7},
    [STANZA_PRESENCE] = {"presence", 8},
    [STANZA_IQ] = {"iq", 2},
};

static const struct str types[] = {
#define X(name, text) {text, sizeof(text) - 1},
    STANZA_TYPE_MAP(X)
#undef X
};

static const struct {
	struct str element;
	const char *type;
} errors[] = {
#define X(name, element, type) {{element, sizeof(element) - 1}, type},
    STANZA_ERR_MAP(X)
#undef X
};

/* Which types each kind has besides "error". */
static const struct {
	enum stanza_type first, last;
	enum stanza_type otherwise; /* without a type or, in a message and an
				     * iq, with an unknown one */
} ranges[] = {
    [STANZA_MESSAGE] = {STANZA_NORMAL, STANZA_HEADLINE, STANZA_NORMAL},
    [STANZA_PRESENCE] = {STANZA_AVAILABLE, STANZA_PROBE, STANZA_AVAILABLE},
    [STANZA_IQ] = {STANZA_GET, STANZA_RESULT, STANZA_GET},
};

const char *
stanza_kind_text(enum stanza_kind kind)
{
	return kinds[kind].text;
}

const char *
stanza_type_text(enum stanza_type type)
{
	return types[type].text;
}

const char *
stanza_err_element(enum stanza_err err)
{
	return errors[err].element.text;
}

const char *
stanza_err_type(enum stanza_err err)
{
	return errors[err].type;
}

void
stanza_adopt(const struct node *given, struct str ns)
{
	struct node *node = (struct node *)(uintptr_t)given;

	node->ns = STR(NS_CLIENT);
	node_each (child, node) {
		if (str_equal(child->ns, ns))
			stanza_adopt(child, ns);
	}
}

/* --- reading ---------------------------------------------------------- */

static bool
read_kind(const struct node *node, enum stanza_kind *kind_r)
{
	if (!str_is(node->ns, NS_CLIENT) && !str_is(node->ns, NS_SERVER))
		return false;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (str_equal(node->name, kinds[i])) {
			*kind_r = (enum stanza_kind)i;
			return true;
		}
	}
	return false;
}

/* False when there is a type that the kind does not have. An available
 * presence says so by having none. */
static bool
read_type(struct stanza *stanza, struct str text)
{
	enum stanza_type type = ranges[stanza->kind].first;

	stanza->type = ranges[stanza->kind].otherwise;
	if (text.text == NULL)
		return true;
	if (str_equal(text, types[STANZA_ERROR])) {
		stanza->type = STANZA_ERROR;
		return true;
	}
	for (; type <= ranges[stanza->kind].last; type++) {
		if (type != STANZA_AVAILABLE && str_equal(text, types[type])) {
			stanza->type = type;
			return true;
		}
	}
	return false;
}

static bool
read_jid(struct arena *arena, struct str text, const struct jid **jid_r)
{
	if (text.text == NULL)
		return true;
	*jid_r = jid_parse(arena, text);
	return *jid_r != NULL;
}

/* RFC 6120, section 8.2.3. */
static bool
iq_is_shaped(const struct stanza *stanza, bool has_type)
{
	const struct node *child = node_first(stanza->node);

	if (stanza->id.text == NULL || !has_type)
		return false;
	if (stanza->type != STANZA_GET && stanza->type != STANZA_SET)
		return true;
	return child != NULL && node_next(child) == NULL;
}

/* RFC 6121, section 5.2.2: an unknown type of message is "normal". */
static bool
is_shaped(const struct stanza *stanza, bool has_type, bool type_is_known)
{
	switch (stanza->kind) {
	case STANZA_IQ:
		return iq_is_shaped(stanza, has_type && type_is_known);
	case STANZA_PRESENCE:
		return type_is_known;
	default:
		return true;
	}
}

static struct str *
slot_of(const struct attr *attr, struct str slots[4])
{
	static const struct str names[4] = {
	    {"from", 4}, {"to", 2}, {"id", 2}, {"type", 4}};

	if (attr->ns.len > 0)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (str_equal(attr->name, names[i]))
			return &slots[i];
	}
	return NULL;
}

enum stanza_err
stanza_read(
    struct arena *arena, const struct node *node, struct stanza *stanza_r)
{
	struct str values[4] = {0}, *slot; /* from, to, id, type */
	bool from_is_jid, to_is_jid, type_is_known;

	*stanza_r = (struct stanza){.node = node};
	if (!read_kind(node, &stanza_r->kind))
		return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
	for (const struct attr *attr = node->attrs; attr != NULL;
	    attr = attr->next) {
		slot = slot_of(attr, values);
		if (slot != NULL)
			*slot = attr->value;
	}
	from_is_jid = read_jid(arena, values[0], &stanza_r->from);
	to_is_jid = read_jid(arena, values[1], &stanza_r->to);
	stanza_r->id = values[2];
	type_is_known = read_type(stanza_r, values[3]);
	if (!from_is_jid || !to_is_jid)
		return STANZA_ERR_JID_MALFORMED;
	return is_shaped(stanza_r, values[3].text != NULL, type_is_known)
		   ? STANZA_ERR_NONE
		   : STANZA_ERR_BAD_REQUEST;
}

bool
stanza_may_fail(const struct stanza *stanza)
{
	switch (stanza->kind) {
	case STANZA_MESSAGE:
		return stanza->type != STANZA_ERROR;
	case STANZA_PRESENCE:
		return stanza->type == STANZA_PROBE ||
		       stanza->type == STANZA_SUBSCRIBE;
	default:
		return stanza->type == STANZA_GET || stanza->type == STANZA_SET;
	}
}

enum stanza_err
stanza_err_of_node(const struct node *node)
{
	const struct node *error = node_child(node, "error", NULL);

	if (error == NULL)
		return STANZA_ERR_UNDEFINED_CONDITION;
	node_each (condition, error) {
		if (!str_is(condition->ns, NS_STANZA_ERR))
			continue;
		for (size_t i = 1; i < COUNT_OF(errors); i++) {
			if (str_equal(condition->name, errors[i].element))
				return (enum stanza_err)i;
		}
	}
	return STANZA_ERR_UNDEFINED_CONDITION;
}

/* --- making ----------------------------------------------------------- */

static struct stanza *
make(struct arena *arena, const struct stanza *head, const char *ns)
{
	struct stanza *stanza = arena_new(arena, struct stanza);
	struct node *node = node_make(arena, kinds[head->kind].text, ns);

	*stanza = *head;
	if (head->type != STANZA_NORMAL && head->type != STANZA_AVAILABLE)
		node_set(node, "type", types[head->type]);
	if (head->id.len > 0)
		node_set(node, "id", head->id);
	stanza->node = node;
	return stanza;
}

/* The answer to a stanza, in its namespace. */
static struct stanza *
make_answer(struct arena *arena, const struct stanza *to, enum stanza_type type)
{
	struct stanza head = {
	    .kind = to->kind,
	    .type = type,
	    .from = to->to,
	    .to = to->from,
	    .id = to->id,
	};

	return make(arena, &head,
	    str_is(to->node->ns, NS_SERVER) ? NS_SERVER : NS_CLIENT);
}

struct stanza *
stanza_make(struct arena *arena, enum stanza_kind kind, enum stanza_type type,
    const struct jid *from, const struct jid *to, struct str id)
{
	struct stanza head = {
	    .kind = kind, .type = type, .from = from, .to = to, .id = id};

	return make(arena, &head, NS_CLIENT);
}

struct node *
stanza_body(struct stanza *stanza)
{
	return (struct node *)stanza->node;
}

struct stanza *
stanza_make_error(struct arena *arena, const struct stanza *stanza,
    enum stanza_err err, const char *text)
{
	struct stanza *answer = make_answer(arena, stanza, STANZA_ERROR);
	struct node *body = stanza_body(answer), *error, *said;

	error = node_add(body, "error", body->ns.text);
	node_set(error, "type", str_of(errors[err].type));
	node_add(error, errors[err].element.text, NS_STANZA_ERR);
	if (text != NULL) {
		said = node_add_with_text(
		    error, "text", NS_STANZA_ERR, str_of(text));
		node_set_lang(said, STR("en"));
	}
	return answer;
}

struct node *
stanza_error_body(struct stanza *stanza)
{
	return stanza_body(stanza)->last;
}

struct stanza *
stanza_make_result(struct arena *arena, const struct stanza *stanza,
    const struct node *payload)
{
	struct stanza *answer = make_answer(arena, stanza, STANZA_RESULT);

	if (payload != NULL)
		node_add_copy(stanza_body(answer), payload);
	return answer;
}

struct stanza *
stanza_readdress(struct arena *arena, const struct stanza *stanza,
    const struct jid *from, const struct jid *to)
{
	struct stanza *other = arena_new(arena, struct stanza);

	*other = *stanza;
	other->from = from;
	other->to = to;
	return other;
}

struct stanza *
stanza_without(struct arena *arena, const struct stanza *stanza,
    bool (*drop)(const struct node *, const void *), const void *arg)
{
	struct stanza *other = arena_new(arena, struct stanza);

	*other = *stanza;
	other->node = node_copy_without(arena, stanza->node, drop, arg);
	return other;
}

struct stanza *
stanza_copy_deep(struct arena *arena, const struct stanza *stanza)
{
	struct stanza *copy = arena_new(arena, struct stanza);

	*copy = *stanza;
	copy->node = node_copy_deep(arena, stanza->node);
	if (stanza->from != NULL)
		copy->from = jid_copy(arena, stanza->from);
	if (stanza->to != NULL)
		copy->to = jid_copy(arena, stanza->to);
	if (stanza->id.text != NULL)
		copy->id = str_dup(arena, stanza->id);
	return copy;
}

/* --- writing ---------------------------------------------------------- */

static void
write_jid(struct buf *buf, struct str name, const struct jid *jid)
{
	struct attr attr = {.name = name};

	if (jid == NULL)
		return;
	attr.value = jid_full(jid);
	writer_attr(buf, &attr, 0);
}

static bool
is_address(const struct attr *attr)
{
	return attr->ns.len == 0 &&
	       (str_is(attr->name, "from") || str_is(attr->name, "to"));
}

static void
write_attrs(struct buf *buf, const struct stanza *stanza)
{
	unsigned count = 0;

	write_jid(buf, STR("from"), stanza->from);
	write_jid(buf, STR("to"), stanza->to);
	for (const struct attr *attr = stanza->node->attrs; attr != NULL;
	    attr = attr->next) {
		if (!is_address(attr))
			writer_attr(buf, attr, count++);
	}
}

/* ns is the namespace that the element takes on, place the default one where
 * it will stand. */
static void
write(struct buf *buf, const struct stanza *stanza, struct str ns,
    struct str place, struct str lang)
{
	const struct node *node = stanza->node;

	buf_add_byte(buf, '<');
	buf_add(buf, node->name);
	if (!str_equal(ns, place))
		writer_attr(
		    buf, &(struct attr){.name = STR("xmlns"), .value = ns}, 0);
	write_attrs(buf, stanza);
	if (lang.len > 0 && node_lang(node).text == NULL)
		writer_attr(buf,
		    &(struct attr){
			.name = STR("lang"), .ns = STR(NS_XML), .value = lang},
		    0);
	if (node->first == NULL) {
		buf_add(buf, STR("/>"));
		return;
	}
	buf_add_byte(buf, '>');
	writer_children(buf, node, ns);
	writer_close(buf, node);
}

void
stanza_write(struct buf *buf, const struct stanza *stanza, struct str ns,
    struct str lang)
{
	write(buf, stanza, ns, ns, lang);
}

struct str
stanza_text(struct arena *arena, const struct stanza *stanza)
{
	struct buf buf = {0};
	struct str text;

	buf_room(&buf, TEXT_LEN_GUESS);
	write(&buf, stanza, stanza->node->ns, STR(""), STR_NONE);
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

size_t
stanza_tag_len(struct str bytes)
{
	size_t len = 1;

	while (len < bytes.len && bytes.text[len] != ' ' &&
	       bytes.text[len] != '>' && bytes.text[len] != '/')
		len++;
	return len;
}

struct stanza *
stanza_parse(struct arena *arena, struct str text)
{
	struct stanza *stanza = arena_new(arena, struct stanza);
	const struct node *node = node_parse(arena, text, "");

	if (node == NULL || stanza_read(arena, node, stanza) != STANZA_ERR_NONE)
		return NULL;
	return stanza;
}
