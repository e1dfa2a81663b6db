/*
 * server/settings.h - the settings of the server itself; modules bring theirs.
 *
 *	config_int(config, CONFIG_GLOBAL, SETTING(LISTEN_C2S_PORT))
 */
#pragma once

#include "server/setting.h"

struct module;

/* In the order of the table: the name in capitals, dots as underscores. */
#define SETTINGS_MAP(X)                \
	X(LISTEN_C2S_ADDRESSES)        \
	X(LISTEN_C2S_PORT)             \
	X(LISTEN_TLS_ADDRESSES)        \
	X(LISTEN_TLS_PORT)             \
	X(LISTEN_S2S_ADDRESSES)        \
	X(LISTEN_S2S_PORT)             \
	X(LISTEN_S2S_TLS_ADDRESSES)    \
	X(LISTEN_S2S_TLS_PORT)         \
	X(LISTEN_COMPONENTS_ADDRESSES) \
	X(LISTEN_COMPONENTS_PORT)      \
	X(CERTIFICATE)                 \
	X(KEY)                         \
	X(TLS_REQUIRED)                \
	X(TLS_MIN_VERSION)             \
	X(CONTACT_ABUSE)               \
	X(CONTACT_ADMIN)               \
	X(CONTACT_FEEDBACK)            \
	X(CONTACT_SALES)               \
	X(CONTACT_SECURITY)            \
	X(CONTACT_STATUS)              \
	X(CONTACT_SUPPORT)             \
	X(AUTH_MECHANISMS)             \
	X(AUTH_ANONYMOUS)              \
	X(AUTH_CLIENT_AUTHORITIES)     \
	X(AUTH_ITERATIONS)             \
	X(AUTH_PASSWORD_LENGTH)        \
	X(AUTH_FREE_FAILURES)          \
	X(AUTH_LONGEST_DELAY)          \
	X(AUTH_FORGET_AFTER)           \
	X(REGISTRATION_OPEN)           \
	X(REGISTRATION_PER_HOUR)       \
	X(SESSIONS_PER_ACCOUNT)        \
	X(SESSIONS_CONFLICT)           \
	X(SESSIONS_QUEUE)              \
	X(SESSIONS_RESUME)             \
	X(LIMITS_FIRST_STANZA)         \
	X(LIMITS_STANZA)               \
	X(LIMITS_FIRST_DEPTH)          \
	X(LIMITS_DEPTH)                \
	X(LIMITS_FIRST_ATTRIBUTES)     \
	X(LIMITS_ATTRIBUTES)           \
	X(LIMITS_FIRST_ELEMENTS)       \
	X(LIMITS_ELEMENTS)             \
	X(LIMITS_AUTH_TIME)            \
	X(LIMITS_FIRST_RATE)           \
	X(LIMITS_RATE)                 \
	X(LIMITS_FIRST_BURST)          \
	X(LIMITS_BURST)                \
	X(LIMITS_CONNECTIONS)          \
	X(LIMITS_HANDSHAKES)           \
	X(LIMITS_IDLE_PING)            \
	X(LIMITS_IDLE_TIMEOUT)         \
	X(QUOTA_ROSTER_ITEMS)          \
	X(QUOTA_PENDING_REQUESTS)      \
	X(QUOTA_VCARD)                 \
	X(QUOTA_PRIVATE)               \
	X(QUOTA_BLOCKED)               \
	X(QUOTA_OFFLINE_MESSAGES)      \
	X(S2S_ENABLED)                 \
	X(S2S_TLS_REQUIRED)            \
	X(S2S_PROOFS)                  \
	X(S2S_DIALBACK)                \
	X(S2S_AUTHORITIES)             \
	X(S2S_REVOKED)                 \
	X(S2S_ALLOW)                   \
	X(S2S_DENY)                    \
	X(S2S_ROUTE)                   \
	X(S2S_HOLD_MESSAGES)           \
	X(S2S_HOLD_OTHERS)             \
	X(S2S_QUEUE)                   \
	X(S2S_KEEP_AFTER)              \
	X(S2S_RATE)                    \
	X(S2S_IDLE)                    \
	X(S2S_CONNECT_TIMEOUT)         \
	X(S2S_PRESENCE_LOST)           \
	X(COMPONENT_SECRET)            \
	X(COMPONENT_SUBDOMAINS)        \
	X(DNS_RESOLVERS)               \
	X(DNS_TRUST_ANCHOR)            \
	X(DNS_TIMEOUT)                 \
	X(STORAGE_BACKEND)             \
	X(STORAGE_PATH)                \
	X(STORAGE_CONNINFO)            \
	X(STORAGE_DEADLINE)            \
	X(LOG_LEVEL)                   \
	X(LOG_FORM)                    \
	X(LOG_WHERE)                   \
	X(ADMIN_SOCKET)                \
	X(SHARDS)                      \
	X(LOAD_MODULES)                \
	X(STATE_DIRECTORY)             \
	X(USER)                        \
	X(GROUP)

enum settings_index {
#define X(name) SETTINGS_##name,
	SETTINGS_MAP(X)
#undef X
	    SETTINGS_COUNT
};

/* Ended by a NULL name. */
extern const struct setting server_settings[SETTINGS_COUNT + 1];
#define SETTING(name) (&server_settings[SETTINGS_##name])

/* Order of the choices of settings that choose. */
enum tls_min_version { TLS_MIN_1_2, TLS_MIN_1_3 };
enum sessions_conflict { CONFLICT_REPLACE, CONFLICT_REFUSE, CONFLICT_RENAME };
enum storage_backend { STORAGE_SQLITE, STORAGE_POSTGRES };

/* All tables for config_load: the server's, each module's, and one with a
 * switch `modules.NAME` per module. In the arena, which must outlive every
 * config read with them. */
const struct setting *const *settings_tables(
    struct arena *, const struct module *const *modules, size_t *count_r);
