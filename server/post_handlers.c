#include "server/account.h"
#include "server/address.h"
#include "server/admin.h"
#include "server/daemon.h"
#include "server/dns.h"
#include "server/iq_ask.h"
#include "server/outbox.h"
#include "server/owner.h"
#include "server/posh.h"
#include "server/register.h"
#include "server/remote.h"
#include "server/router.h"
#include "server/s2s.h"
#include "server/settle.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream.h"

/* Streams and accounts change over; who reads an old setup has a reference. */
static void
reload(struct shard *shard, struct post *letter)
{
	struct setup *old = shard->setup;

	shard->setup = letter->setup;
	letter->setup = NULL;
	account_setup_changed(shard);
	streams_setup_changed(shard);
	remotes_setup_changed(shard);
	dns_setup_changed(shard);
	posh_setup_changed(shard);
	setup_unref(&old);
	post_free(&letter);
}

/* Accounts have a localpart, other domains have none. */
static void
take_stanza(struct shard *shard, struct post *letter)
{
	if (jid_local(letter->to).len > 0)
		owner_take(shard, letter);
	else
		remote_take(shard, letter);
}

post_handler *const post_handlers[POST_KIND_COUNT] = {
    [POST_STANZA] = take_stanza,
    [POST_MANY] = router_take_many,
    [POST_SENT] = owner_take,
    [POST_DOWN] = stream_take,
    [POST_KEYS_ASK] = owner_take,
    [POST_KEYS] = stream_take,
    [POST_LOGIN] = owner_take,
    [POST_BIND] = owner_take,
    [POST_BOUND] = stream_take,
    [POST_CLOSE] = stream_take,
    [POST_GONE] = owner_take,
    [POST_PROVED] = owner_take,
    [POST_SURE] = owner_take,
    [POST_ADDRESS] = address_take,
    [POST_ADDRESS_VERDICT] = stream_take,
    [POST_ADMIN] = admin_take_call,
    [POST_ADMIN_ANSWER] = admin_take_answer,
    [POST_MOVE] = stream_take_move,
    [POST_RELOAD] = reload,
    [POST_DRAIN] = daemon_take_drain,
    [POST_PULSE] = daemon_take_pulse,
    [POST_REGISTER] = register_make,
    [POST_REGISTERED] = stream_take,
    [POST_DIALBACK] = s2s_take_dialback,
    [POST_DIALBACK_VERDICT] = stream_take,
    [POST_PONG] = s2s_take_pong,
    [POST_RESUME] = s2s_take_resume,
    [POST_RESUMED] = stream_take,
    [POST_PATH] = remote_take_path,
    [POST_DOMAIN] = account_take_domain,
    [POST_OPEN] = daemon_take_open,
    [POST_ADMIT] = stream_take,
    [POST_RIVAL] = stream_take,
    [POST_ANSWER] = iq_ask_take,
    [POST_SAID] = owner_take,
    [POST_SM_ASK] = owner_take,
    [POST_SM] = stream_take,
    [POST_SETTLED] = settle_take,
    [POST_KEPT] = owner_take,
    [POST_NONZA] = owner_take,
    [POST_CAUGHT] = owner_take_caught,
    [POST_WAKE] = owner_take,
};
