#include "server/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif

#include "base/buf.h"
#include "base/code.h"
#include "base/err.h"
#include "base/list.h"

#define HEAD_LEN_MAX   (16 * 1024)
#define BODY_LEN_MAX   (1024 * 1024)
#define REQUEST_MS_MAX 30000
#define ANSWER_MS_MAX  30000
#define CONNECTION_MAX 64

/* llhttp is http-parser's successor; what we use of them differs in names. */
#ifdef HAVE_LLHTTP
#define PARSER   llhttp_t
#define SETTINGS llhttp_settings_t
#else
#define PARSER   http_parser
#define SETTINGS http_parser_settings
#endif

struct http_server {
	uv_pipe_t listener;
	struct list connections;
	unsigned connection_count;
	void (*on_request)(struct http_request *, void *owner);
	void *owner;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	unsigned handles; /* that are not closed yet */
	void (*closed)(void *);
	void *closed_arg;
};

struct connection {
	struct link link;
	struct http_server *server;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	PARSER parser;
	struct http_request request;
	struct buf url, body, answer;
	size_t head_len;
	unsigned handles; /* of pipe and timer, not closed yet */
	bool is_asked;    /* the request was handed over */
	bool is_closing;
	char bytes[4096];
};

/* --- ending ------------------------------------------------------------- */

static void
server_closed(struct http_server *server)
{
	if (--server->handles > 0)
		return;
	server->closed(server->closed_arg);
	free(server);
}

static void
connection_free(struct connection *connection)
{
	struct http_server *server = connection->server;

	buf_deinit(&connection->url);
	buf_deinit(&connection->body);
	buf_deinit(&connection->answer);
	arena_free(&connection->request.arena);
	free(connection);
	server_closed(server);
}

/* The request, which may be with its handler, keeps the memory. */
static void
release(struct connection *connection)
{
	if (connection->handles == 0 && !connection->is_asked)
		connection_free(connection);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	connection->handles--;
	release(connection);
}

static void
connection_close(struct connection *connection)
{
	if (connection->is_closing)
		return;
	connection->is_closing = true;
	list_remove(&connection->link);
	connection->server->connection_count--;
	uv_close((uv_handle_t *)&connection->pipe, on_handle_closed);
	uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* --- answering ---------------------------------------------------------- */

const char *
http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {422, "Unprocessable Content"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

static void
on_unread(uv_timer_t *timer)
{
	connection_close(timer->data);
}

static void
on_written(uv_write_t *write, int status)
{
	(void)status;
	connection_close(write->data);
}

static void
send_answer(struct connection *connection, unsigned status, const char *type,
    struct str body)
{
	struct buf *answer = &connection->answer;
	uv_buf_t bytes;

	uv_read_stop((uv_stream_t *)&connection->pipe);
	uv_timer_start(&connection->timer, on_unread, ANSWER_MS_MAX, 0);
	buf_add_format(answer,
	    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    status, http_status_text(status), type, body.len);
	buf_add(answer, body);
	bytes = uv_buf_init(answer->text, (unsigned)answer->len);
	connection->write.data = connection;
	if (uv_write(&connection->write, (uv_stream_t *)&connection->pipe,
		&bytes, 1, on_written) != 0)
		connection_close(connection);
}

void
http_answer(struct http_request *request, unsigned status, const char *type,
    struct str body)
{
	struct connection *connection =
	    container_of(request, struct connection, request);

	if (!connection->is_closing)
		send_answer(connection, status, type, body);
	connection->is_asked = false;
	release(connection);
}

static void
refuse(struct connection *connection, unsigned status)
{
	send_answer(
	    connection, status, "text/plain", str_of(http_status_text(status)));
}

/* --- reading ------------------------------------------------------------ */

static int
on_url(PARSER *parser, const char *text, size_t len)
{
	struct connection *connection = parser->data;

	buf_add(&connection->url, (struct str){text, len});
	return connection->url.len > HEAD_LEN_MAX ? -1 : 0;
}

static int
on_body(PARSER *parser, const char *text, size_t len)
{
	struct connection *connection = parser->data;

	buf_add(&connection->body, (struct str){text, len});
	return connection->body.len > BODY_LEN_MAX ? -1 : 0;
}

/* What comes behind the request is not read: hence an error. */
static int
on_complete(PARSER *parser)
{
	struct connection *connection = parser->data;

	connection->is_asked = true;
	return -1;
}

static const SETTINGS *
parser_settings(void)
{
	static const SETTINGS settings = {.on_url = on_url,
	    .on_body = on_body,
	    .on_message_complete = on_complete};

	return &settings;
}

static const char *
method_text(const PARSER *parser)
{
#ifdef HAVE_LLHTTP
	return llhttp_method_name(parser->method);
#else
	return http_method_str(parser->method);
#endif
}

static bool
parse(struct connection *connection, const char *bytes, size_t len)
{
#ifdef HAVE_LLHTTP
	return llhttp_execute(&connection->parser, bytes, len) == HPE_OK;
#else
	PARSER *parser = &connection->parser;

	/* An error at the last byte is said by the errno alone. */
	return http_parser_execute(parser, parser_settings(), bytes, len) ==
		   len &&
	       HTTP_PARSER_ERRNO(parser) == HPE_OK;
#endif
}

static void
parser_init(struct connection *connection)
{
#ifdef HAVE_LLHTTP
	llhttp_init(&connection->parser, HTTP_REQUEST, parser_settings());
#else
	http_parser_init(&connection->parser, HTTP_REQUEST);
#endif
	connection->parser.data = connection;
}

/* "%20" and its like; a '%' that is none stays. */
static struct str
decode(struct arena *arena, struct str text)
{
	char *decoded = arena_text(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		struct str byte;

		if (text.text[i] == '%' && i + 2 < text.len &&
		    hex_decode(
			arena, (struct str){text.text + i + 1, 2}, &byte)) {
			decoded[len++] = byte.text[0];
			i += 2;
		} else {
			decoded[len++] = text.text[i];
		}
	}
	return (struct str){decoded, len};
}

static void
hand_over(struct connection *connection)
{
	struct http_request *request = &connection->request;
	struct http_server *server = connection->server;
	struct str path;

	uv_read_stop((uv_stream_t *)&connection->pipe);
	uv_timer_stop(&connection->timer);
	request->method = str_of(method_text(&connection->parser));
	str_cut(buf_str(&connection->url), '?', &path, &request->query);
	request->path = decode(request->arena, path);
	request->body = buf_str(&connection->body);
	server->on_request(request, server->owner);
}

static void
on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room)
{
	struct connection *connection = handle->data;

	(void)wanted;
	*room = uv_buf_init(connection->bytes, sizeof(connection->bytes));
}

/* RFC 9112, section 8: one that is cut off is never taken for whole. */
static void
on_end(struct connection *connection)
{
	if (connection->head_len > 0)
		refuse(connection, 400);
	else
		connection_close(connection);
}

static unsigned
why_bad(const struct connection *connection)
{
	if (connection->body.len > BODY_LEN_MAX)
		return 413;
	return connection->url.len > HEAD_LEN_MAX ? 414 : 400;
}

static void
on_bytes(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct connection *connection = stream->data;
	bool is_good;

	if (len == UV_EOF) {
		on_end(connection);
		return;
	}
	if (len < 0) {
		connection_close(connection);
		return;
	}
	/* Nothing yet; http-parser would take it for the end. */
	if (len == 0)
		return;
	if (connection->body.len == 0)
		connection->head_len += (size_t)len;
	is_good = parse(connection, bytes->base, (size_t)len);
	if (connection->is_asked)
		hand_over(connection);
	else if (!is_good)
		refuse(connection, why_bad(connection));
	else if (connection->body.len == 0 &&
		 connection->head_len >
		     HEAD_LEN_MAX + sizeof(connection->bytes))
		refuse(connection, 431);
}

static void
on_late(uv_timer_t *timer)
{
	refuse(timer->data, 408);
}

/* --- listening ---------------------------------------------------------- */

static void
on_connection(uv_stream_t *listener, int status)
{
	struct http_server *server = listener->data;
	struct connection *connection;

	if (status != 0)
		return;
	connection = calloc(1, sizeof(*connection));
	must(connection != NULL);
	connection->server = server;
	connection->request.arena = arena_make(4096);
	connection->handles = 2;
	server->handles++;
	server->connection_count++;
	list_add_last(&server->connections, &connection->link);
	parser_init(connection);
	uv_pipe_init(listener->loop, &connection->pipe, 0);
	uv_timer_init(listener->loop, &connection->timer);
	connection->pipe.data = connection;
	connection->timer.data = connection;
	if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0 ||
	    server->connection_count > CONNECTION_MAX ||
	    uv_read_start(
		(uv_stream_t *)&connection->pipe, on_room, on_bytes) != 0) {
		connection_close(connection);
		return;
	}
	uv_timer_start(&connection->timer, on_late, REQUEST_MS_MAX, 0);
}

/* Whether somebody answers there: a socket file outlives its server. */
static bool
is_in_use(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	answers =
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return answers;
}

/* libuv says of a folder that is not there that it is forbidden. */
static bool
has_folder(const struct http_server *server)
{
	char folder[sizeof(server->path)];
	const char *end = strrchr(server->path, '/');

	if (end == NULL)
		return true;
	memcpy(folder, server->path, sizeof(folder));
	folder[end - server->path + 1] = '\0';
	return access(folder, F_OK) == 0 || errno != ENOENT;
}

static const char *
listen_at(struct http_server *server, uv_loop_t *loop)
{
	mode_t mask;
	int err;

	if (!has_folder(server))
		return "its folder is not there; make it, or set admin.socket";
	if (is_in_use(server->path))
		return "another server answers there";
	unlink(server->path);
	uv_pipe_init(loop, &server->listener, 0);
	server->listener.data = server;
	mask = umask(0117);
	err = uv_pipe_bind(&server->listener, server->path);
	umask(mask);
	if (err == 0)
		err = uv_listen((uv_stream_t *)&server->listener,
		    CONNECTION_MAX, on_connection);
	return err == 0 ? NULL : uv_strerror(err);
}

static void
on_listener_closed(uv_handle_t *handle)
{
	server_closed(handle->data);
}

static void
ignore(void *arg)
{
	(void)arg;
}

struct http_server *
http_open(struct arena *arena, uv_loop_t *loop, const char *path,
    void (*on_request)(struct http_request *, void *owner), void *owner,
    struct str *why_r)
{
	struct http_server *server = calloc(1, sizeof(*server));
	const char *why = "the path is too long for a socket";

	must(server != NULL);
	list_init(&server->connections);
	server->on_request = on_request;
	server->owner = owner;
	if (strlen(path) < sizeof(server->path)) {
		memcpy(server->path, path, strlen(path) + 1);
		why = listen_at(server, loop);
	}
	if (why == NULL) {
		server->handles = 1;
		return server;
	}
	*why_r = str_format(arena, "could not listen on %s: %s", path, why);
	if (server->listener.data == NULL) {
		free(server);
		return NULL;
	}
	server->handles = 1;
	server->closed = ignore;
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
	return NULL;
}

void
http_close(struct http_server *server, void (*closed)(void *), void *arg)
{
	server->closed = closed;
	server->closed_arg = arg;
	list_each (connection, &server->connections, struct connection, link)
		connection_close(connection);
	unlink(server->path);
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}

struct str
http_parameter(const struct http_request *request, const char *name)
{
	struct str rest = request->query, one, key, value;

	while (rest.len > 0) {
		str_cut(rest, '&', &one, &rest);
		if (str_cut(one, '=', &key, &value) &&
		    str_equal(key, str_of(name)))
			return decode(request->arena, value);
	}
	return STR_NONE;
}
