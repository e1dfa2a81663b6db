/*
 * server/sasl_mechanisms.h - the steps that the table of sasl.c is made of, one
 * file each beside SCRAM's.
 */
#pragma once

#include "server/sasl.h"

/* PLAIN, RFC 4616. */
enum sasl_step plain_take(struct sasl *, struct str message);
enum sasl_step plain_take_keys(struct sasl *);
/* That the password was proved right: next time a keyed hash is enough. It is
 * in memory only, under a key drawn at start. */
void plain_remember(const struct sasl *);

/* EXTERNAL, XEP-0178: who the client's certificate says it is. */
enum sasl_step external_take(struct sasl *, struct str message);
enum sasl_step external_take_keys(struct sasl *);

/* ANONYMOUS, RFC 4505: a name is made up. */
enum sasl_step anonymous_take(struct sasl *, struct str message);
