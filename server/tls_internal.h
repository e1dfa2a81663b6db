/*
 * server/tls_internal.h - what tls.c and tls_identity.c share.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <time.h>

#include "server/tls.h"

struct tls_identity {
	atomic_uint refs;
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_crt_t leaf;
	time_t ends_s;
	bool asks_clients;     /* for a certificate */
	size_t end_point_len;  /* 0: there is none */
	uint8_t end_point[64]; /* tls-server-end-point, RFC 5929 */
};

struct tls_identity *tls_identity_ref(struct tls_identity *);
