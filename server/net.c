#include "server/net.h"

#include <stdlib.h>

#include "base/err.h"

struct net *
net_new(void)
{
	struct net *net = calloc(1, sizeof(*net));

	must(net != NULL);
	net->in = malloc(NET_IN_LEN);
	net->plain = malloc(NET_IN_LEN);
	must(net->in != NULL && net->plain != NULL);
	handshakes_init(&net->accepted);
	handshakes_init(&net->made);
	return net;
}

void
net_free(struct net **net)
{
	struct net *freed = *net;

	*net = NULL;
	if (freed == NULL)
		return;
	for (unsigned i = 0; i < freed->spare_count; i++)
		buf_deinit(&freed->spares[i]);
	buf_deinit(&freed->records);
	handshakes_deinit(&freed->accepted);
	handshakes_deinit(&freed->made);
	free(freed->in);
	free(freed->plain);
	free(freed);
}

struct buf
net_take_spare(struct net *net)
{
	if (net->spare_count == 0)
		return (struct buf){0};
	return net->spares[--net->spare_count];
}

void
net_keep_spare(struct net *net, struct buf *buf)
{
	buf_clear(buf, NET_SPARE_LEN);
	if (net->spare_count < NET_SPARE_MAX && buf->text != NULL)
		net->spares[net->spare_count++] = *buf;
	else
		buf_deinit(buf);
	*buf = (struct buf){0};
}
