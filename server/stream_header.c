/* The header of a stream: RFC 6120, section 4.7. */
#include "base/rand.h"
#include "server/dialback.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream_internal.h"
#include "xml/writer.h"

#define LANG_MAX 35 /* RFC 5646, section 4.4.1 */
#define ID_LEN   20

/* It is part of dialback's keys, and of the handshake of components. */
static struct str
new_id(struct stream *stream, struct arena *arena)
{
	struct str id = rand_id(arena, ID_LEN);

	if (stream->role->is_of_servers || stream->role->serves != NULL)
		stream->id_text = str_dup(stream->arena, id);
	return id;
}

/* RFC 6120, section 4.7. Without a version we leave ours out too (4.7.5). */
void
stream_send_header(struct stream *stream, bool with_version)
{
	struct arena *arena = arena_make(0);
	struct node *header = node_make(arena, "stream", NS_STREAM);
	struct buf *buf = &stream->shard->scratch;

	stream->is_open = true;
	if (stream->role->is_of_servers)
		node_set(header, "xmlns:db", STR(NS_DIALBACK));
	node_set(header, "from",
	    stream->host_name.len > 0
		? stream->host_name
		: setup_default_host(stream->shard->setup)->name);
	if (stream->target.len > 0) {
		node_set(header, "to", stream->target);
	} else {
		if (stream->claimed != NULL)
			node_set(header, "to", jid_full(stream->claimed));
		node_set(header, "id", new_id(stream, arena));
	}
	if (with_version && stream->role->serves == NULL)
		node_set(header, "version", STR("1.0"));
	node_set_lang(header, STR(STREAM_LANG));
	buf_clear(buf, SCRATCH_KEPT);
	buf_add(buf, STR("<?xml version='1.0'?>"));
	writer_stream_open(buf, header, stream->role->content_ns);
	stream_send_text(stream, buf_str(buf));
	arena_free(&arena);
}

/* Section 4.7.5: major and minor are whole numbers, compared each alone. */
static bool
version_is_ours(struct str version)
{
	struct str major, minor;
	uint64_t number;

	return str_cut(version, '.', &major, &minor) &&
	       str_to_u64(minor, UINT64_MAX, &number) &&
	       str_to_u64(major, UINT64_MAX, &number) && number >= 1;
}

static enum stream_err
read_from(struct stream *stream, struct str from)
{
	if (from.text == NULL)
		return STREAM_ERR_NONE;
	stream->claimed = jid_parse(stream->arena, from);
	if (stream->claimed == NULL)
		return STREAM_ERR_IMPROPER_ADDRESSING;
	if (stream->is_authenticated &&
	    !jid_equal_bare(stream->claimed, stream->peer)) {
		stream->claimed = NULL;
		return STREAM_ERR_INVALID_FROM;
	}
	return STREAM_ERR_NONE;
}

static bool
is_served(const struct stream *stream, const struct host *host, struct str name)
{
	return stream->role->serves == NULL
		   ? host != NULL
		   : stream->role->serves(stream, name);
}

static enum stream_err
read_to(struct stream *stream, struct arena *arena, struct str to)
{
	const struct jid *jid;
	const struct host *host = NULL;
	struct str name;

	if (to.text == NULL)
		return STREAM_ERR_HOST_UNKNOWN;
	jid = jid_parse(arena, to);
	if (jid == NULL)
		return STREAM_ERR_IMPROPER_ADDRESSING;
	name = jid_domain(jid);
	if (stream->role->serves == NULL)
		host = stream_find_host(stream, name);
	if (!is_served(stream, host, name) || jid_local(jid).len > 0) {
		stream->end.text = str_format(stream->arena,
		    "%.*s is not served here", STR_ARG(jid_full(jid)));
		return STREAM_ERR_HOST_UNKNOWN;
	}
	/* Who is authenticated is so at one domain. */
	if (stream->is_authenticated && !str_equal(name, stream->host_name))
		return STREAM_ERR_HOST_UNKNOWN;
	stream->host = host;
	if (!str_equal(stream->host_name, name))
		stream->host_name = str_dup(stream->arena, name);
	return STREAM_ERR_NONE;
}

/* The header that answers ours: sections 4.7.1 and 4.7.3. */
static enum stream_err
read_answer(struct stream *stream, const struct node *header)
{
	struct str from = node_attr(header, "from");

	stream->id_text = str_dup(stream->arena, node_attr(header, "id"));
	if (from.text == NULL)
		return STREAM_ERR_NONE;
	stream->claimed = jid_parse(stream->arena, from);
	if (stream->claimed != NULL &&
	    str_equal(jid_full(stream->claimed), stream->target))
		return STREAM_ERR_NONE;
	stream->end.text = str_format(stream->arena, "it answers as %.*s",
	    STR_ARG(stream->claimed == NULL ? STR("what is no address")
					    : jid_full(stream->claimed)));
	return STREAM_ERR_INVALID_FROM;
}

static enum stream_err
refuse_namespace(struct stream *stream, struct str content_ns)
{
	if (stream->target.len > 0 && str_is(content_ns, NS_CLIENT))
		stream->end.text = STR("it speaks to clients, not to servers");
	return STREAM_ERR_INVALID_NAMESPACE;
}

static enum stream_err
read_addresses(struct stream *stream, struct arena *arena,
    const struct node *header, struct str content_ns)
{
	struct str lang = node_lang(header);
	enum stream_err err, from_err;

	if (!node_is(header, "stream", NS_STREAM) ||
	    !str_equal(content_ns, stream->role->content_ns))
		return refuse_namespace(stream, content_ns);
	if (lang.text != NULL && lang.len <= LANG_MAX)
		stream->lang = str_dup(stream->arena, lang);
	if (stream->target.len > 0)
		return read_answer(stream, header);
	err = read_to(stream, arena, node_attr(header, "to"));
	from_err = read_from(stream, node_attr(header, "from"));
	return err != STREAM_ERR_NONE ? err : from_err;
}

enum stream_err
stream_read_header(struct stream *stream, struct arena *arena,
    const struct node *header, struct str content_ns)
{
	struct str version = node_attr(header, "version");
	enum stream_err err = read_addresses(stream, arena, header, content_ns);

	/* Servers of before RFC 3920 give none. */
	if (err == STREAM_ERR_NONE && stream->role->serves == NULL &&
	    !version_is_ours(version) &&
	    (version.text != NULL || !stream->role->is_of_servers))
		err = STREAM_ERR_UNSUPPORTED_VERSION;
	return err;
}
