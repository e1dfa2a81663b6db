#include "server/settings.h"

#include "server/loader.h"
#include "server/module.h"

#define RELOADS    SETTING_RELOADS
#define PER_HOST   SETTING_PER_HOST
#define PER_DOMAIN SETTING_PER_DOMAIN

static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const conflicts[] = {"replace", "refuse", "rename", NULL};
static const char *const backends[] = {"sqlite", "postgres", NULL};
static const char *const log_levels[] = {
    "error", "warn", "info", "debug", "wire", NULL};
static const char *const log_sinks[] = {"stderr", "journal", NULL};
static const char *const log_forms[] = {"text", "json", NULL};
static const char *const dialbacks[] = {
    "never", "without_certificate", "always", NULL};
static const char *const proofs[] = {"pkix", "dane", "posh", "dialback", NULL};
static const char *const mechanisms[] = {
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-512-PLUS",
    "PLAIN",
    "EXTERNAL",
    NULL,
};

const struct setting server_settings[SETTINGS_COUNT + 1] = {
    {"listen.c2s.addresses", SETTING_LIST, 0, .preset = "[\"::\", 0.0.0.0]",
	.help = "Addresses to accept clients on that begin in clear "
		"and use STARTTLS."},
    {"listen.c2s.port", SETTING_INT, 0, .max = 65535, .preset = "5222",
	.help = "Their TCP port; 0 takes a free one."},
    {"listen.tls.addresses", SETTING_LIST, 0, .preset = "[\"::\", 0.0.0.0]",
	.help = "Addresses to accept clients on that speak TLS at "
		"once."},
    {"listen.tls.port", SETTING_INT, 0, .max = 65535, .preset = "5223",
	.help = "Their TCP port; 0 takes a free one."},
    {"listen.s2s.addresses", SETTING_LIST, 0, .preset = "[\"::\", 0.0.0.0]",
	.help = "Addresses to accept servers on that begin in clear "
		"and use STARTTLS."},
    {"listen.s2s.port", SETTING_INT, 0, .max = 65535, .preset = "5269",
	.help = "Their TCP port; 0 takes a free one."},
    {"listen.s2s_tls.addresses", SETTING_LIST, 0, .preset = "[\"::\", 0.0.0.0]",
	.help = "Addresses to accept servers on that speak TLS at "
		"once."},
    {"listen.s2s_tls.port", SETTING_INT, 0, .max = 65535, .preset = "5270",
	.help = "Their TCP port; 0 takes a free one."},
    {"listen.components.addresses", SETTING_LIST, 0,
	.preset = "[\"::1\", 127.0.0.1]",
	.help = "Addresses to accept components on (XEP-0114)."},
    {"listen.components.port", SETTING_INT, 0, .max = 65535, .preset = "5347",
	.help = "Their TCP port; 0 takes a free one. Nothing listens "
		"unless a domain has component.secret."},
    {"certificate", SETTING_PATH, RELOADS | PER_HOST,
	.help = "The certificate with its chain, in PEM form."},
    {"key", SETTING_PATH, RELOADS | PER_HOST,
	.help = "The private key of the certificate, in PEM form."},
    {"tls.required", SETTING_BOOL, RELOADS | PER_HOST, .preset = "true",
	.help = "Whether clients must use TLS before anything else."},
    {"tls.min_version", SETTING_CHOICE, RELOADS, .preset = "\"1.2\"",
	.choices = tls_versions,
	.help = "The oldest version of TLS that is spoken."},
    {"contact.abuse", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs to report abuse (XEP-0157)."},
    {"contact.admin", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs of the administrators (XEP-0157)."},
    {"contact.feedback", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs for praise and wishes (XEP-0157)."},
    {"contact.sales", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs for sales (XEP-0157)."},
    {"contact.security", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs to report security problems (XEP-0157)."},
    {"contact.status", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs where the state of the service is told "
		"(XEP-0157)."},
    {"contact.support", SETTING_LIST, RELOADS | PER_HOST, .preset = "[]",
	.help = "URIs for help (XEP-0157)."},
    {"auth.mechanisms", SETTING_CHOICES, RELOADS | PER_HOST,
	.preset = "[SCRAM-SHA-1, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, "
		  "SCRAM-SHA-256-PLUS, SCRAM-SHA-512, "
		  "SCRAM-SHA-512-PLUS, PLAIN, EXTERNAL]",
	.choices = mechanisms,
	.help = "How accounts may log in; PLAIN only inside TLS."},
    {"auth.anonymous", SETTING_BOOL, RELOADS | PER_HOST, .preset = "false",
	.help = "Whether anybody gets a passing account by ANONYMOUS."},
    {"auth.client_authorities", SETTING_PATH, RELOADS | PER_HOST,
	.help =
	    "Certificates, in PEM form, of those who may vouch for clients "
	    "that log in with EXTERNAL; empty: clients are not asked for one."},
    {"auth.iterations", SETTING_INT, RELOADS | PER_HOST, .min = 4096,
	.max = 10000000, .preset = "10000",
	.help = "Rounds of PBKDF2 for the keys of new passwords."},
    {"auth.password_length", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 1023, .preset = "6",
	.help = "The fewest characters of a new password."},
    {"auth.free_failures", SETTING_INT, RELOADS, .min = 1, .max = 1000,
	.preset = "5",
	.help = "Failed logins, of an address or an account, that "
		"are not slowed down."},
    {"auth.longest_delay", SETTING_TIME, RELOADS, .max = 10 * MINUTE,
	.preset = "30 s",
	.help = "How long a failed login waits for its answer at "
		"most."},
    {"auth.forget_after", SETTING_TIME, RELOADS, .min = SECOND, .max = 7 * DAY,
	.preset = "10 min", .help = "When failed logins are forgotten."},
    {"registration.open", SETTING_BOOL, RELOADS | PER_HOST, .preset = "false",
	.help = "Whether strangers may make accounts in-band "
		"(XEP-0077)."},
    {"registration.per_hour", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 1000000, .preset = "3",
	.help = "Accounts that one address may make in an hour."},
    {"sessions.per_account", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 10000, .preset = "50",
	.help = "Sessions that an account may have at a time."},
    {"sessions.conflict", SETTING_CHOICE, RELOADS | PER_HOST,
	.preset = "replace", .choices = conflicts,
	.help = "What happens when a resource is bound twice: the "
		"old session goes, the new one is refused, or it "
		"gets another name."},
    {"sessions.queue", SETTING_INT, RELOADS | PER_HOST, .min = 10,
	.max = 1000000, .preset = "1000",
	.help = "Stanzas kept for a session that does not take or "
		"acknowledge them."},
    {"sessions.resume", SETTING_TIME, RELOADS | PER_HOST, .max = 7 * DAY,
	.preset = "10 min",
	.help = "How long a session whose connection broke waits for its "
		"client (XEP-0198); 0 s: not at all."},
    {"limits.first_stanza", SETTING_SIZE, RELOADS | PER_HOST, .min = 10000,
	.max = 16 * MIB, .preset = "10 KiB",
	.help = "The largest stanza before authentication. What begins with "
		"\"first\" holds until then; where a limit for later is "
		"smaller, that one."},
    {"limits.stanza", SETTING_SIZE, RELOADS | PER_HOST, .min = 10000,
	.max = 64 * MIB, .preset = "256 KiB",
	.help = "The largest stanza after authentication."},
    {"limits.first_depth", SETTING_INT, RELOADS, .min = 5, .max = 1000,
	.preset = "16",
	.help = "How deep the elements of a first stanza may be nested."},
    {"limits.depth", SETTING_INT, RELOADS, .min = 10, .max = 1000,
	.preset = "64",
	.help = "How deep the elements of a stanza may be nested."},
    {"limits.first_attributes", SETTING_INT, RELOADS, .min = 10, .max = 10000,
	.preset = "24",
	.help = "Attributes that one element of a first stanza may have."},
    {"limits.attributes", SETTING_INT, RELOADS, .min = 10, .max = 10000,
	.preset = "64", .help = "Attributes that one element may have."},
    {"limits.first_elements", SETTING_INT, RELOADS, .min = 50, .max = 1000000,
	.preset = "128",
	.help = "Elements that a first stanza may have, and as many attributes "
		"all together."},
    {"limits.elements", SETTING_INT, RELOADS, .min = 100, .max = 1000000,
	.preset = "10000", .help = "Elements that one stanza may have."},
    {"limits.auth_time", SETTING_TIME, RELOADS, .min = SECOND, .max = HOUR,
	.preset = "30 s",
	.help = "How long a connection may take until it is "
		"authenticated."},
    {"limits.first_rate", SETTING_SIZE, RELOADS, .max = 16 * GIB,
	.preset = "16 KiB",
	.help = "Bytes a second that a connection may send for long before "
		"authentication; 0 for as many as later."},
    {"limits.rate", SETTING_SIZE, RELOADS, .max = 16 * GIB, .preset = "128 KiB",
	.help = "Bytes a second that a connection may send for long; "
		"0 for any."},
    {"limits.first_burst", SETTING_SIZE, RELOADS, .min = 1000, .max = 16 * GIB,
	.preset = "64 KiB",
	.help = "Bytes that it may then send at once before that rate holds."},
    {"limits.burst", SETTING_SIZE, RELOADS, .min = 10000, .max = 16 * GIB,
	.preset = "1 MiB",
	.help = "Bytes that it may send at once before the rate "
		"holds."},
    {"limits.connections", SETTING_INT, RELOADS, .max = 1000000,
	.preset = "1000",
	.help = "Connections that one address may have; 0 for any "
		"number."},
    {"limits.handshakes", SETTING_INT, RELOADS, .min = 1, .max = 100000,
	.preset = "100",
	.help = "TLS handshakes under way at a time on each shard. These "
		"places are shared among addresses: one that fills them keeps "
		"nobody else out."},
    {"limits.idle_ping", SETTING_TIME, RELOADS, .max = DAY, .preset = "5 min",
	.help = "When a silent connection is pinged; 0 for never."},
    {"limits.idle_timeout", SETTING_TIME, RELOADS, .min = SECOND, .max = DAY,
	.preset = "1 min",
	.help = "When it is then given up, if it stays silent; likewise "
		"another server that talks, but owes an answer for longer than "
		"both together."},
    {"quota.roster_items", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 1000000, .preset = "1000", .help = "Contacts of an account."},
    {"quota.pending_requests", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 1000000, .preset = "200",
	.help = "Subscription requests that wait for an account."},
    {"quota.vcard", SETTING_SIZE, RELOADS | PER_HOST, .min = KIB,
	.max = 16 * MIB, .preset = "128 KiB", .help = "The largest vCard."},
    {"quota.private", SETTING_SIZE, RELOADS | PER_HOST, .min = KIB, .max = GIB,
	.preset = "1 MiB",
	.help = "Private XML of an account, all together (XEP-0049)."},
    {"quota.blocked", SETTING_INT, RELOADS | PER_HOST, .min = 1, .max = 1000000,
	.preset = "1000", .help = "Addresses that an account may block."},
    {"quota.offline_messages", SETTING_INT, RELOADS | PER_HOST, .min = 1,
	.max = 1000000, .preset = "1000",
	.help =
	    "Messages kept for an account that is not online, besides those "
	    "in its archive."},
    {"s2s.enabled", SETTING_BOOL, 0, .preset = "true",
	.help = "Whether domains of other servers can be talked to."},
    {"s2s.tls_required", SETTING_BOOL, RELOADS | PER_HOST | PER_DOMAIN,
	.preset = "true",
	.help = "Whether servers must use TLS before anything else."},
    {"s2s.proofs", SETTING_CHOICES, RELOADS | PER_HOST | PER_DOMAIN,
	.preset = "[pkix, dane, posh, dialback]", .choices = proofs,
	.help = "What proves that a server is the domain's: any of these."},
    {"s2s.dialback", SETTING_CHOICE, RELOADS | PER_HOST | PER_DOMAIN,
	.preset = "without_certificate", .choices = dialbacks,
	.help = "Whether a call back proves a server: never, only if it "
		"shows no certificate, or also if its certificate is bad."},
    {"s2s.authorities", SETTING_PATH, RELOADS,
	.help = "Certificates, in PEM form, of those who may vouch for "
		"servers; empty: those the system trusts."},
    {"s2s.revoked", SETTING_PATH, RELOADS,
	.help = "Lists, in PEM form, of certificates that their authorities "
		"revoked; read again when the file changes."},
    {"s2s.allow", SETTING_DOMAINS, RELOADS | PER_HOST, .preset = "[]",
	.help = "The only domains that are talked to, if any are named; "
		"\"*.example.org\" is all below that one."},
    {"s2s.deny", SETTING_DOMAINS, RELOADS | PER_HOST, .preset = "[]",
	.help = "Domains that are not talked to, \"*\" for all."},
    {"s2s.route", SETTING_ROUTES, RELOADS | PER_DOMAIN, .preset = "[]",
	.help = "Where the domain is, instead of asking DNS: "
		"xmpp://192.0.2.1:5269 or, for TLS at once, "
		"xmpps://host.example.net:5270."},
    {"s2s.hold_messages", SETTING_TIME, RELOADS | PER_DOMAIN, .max = 30 * DAY,
	.preset = "15 min",
	.help = "How long messages wait for a domain that cannot be "
		"reached."},
    {"s2s.hold_others", SETTING_TIME, RELOADS | PER_DOMAIN, .max = DAY,
	.preset = "1 min", .help = "Likewise requests and presence."},
    {"s2s.queue", SETTING_INT, RELOADS | PER_DOMAIN, .min = 10, .max = 1000000,
	.preset = "10000",
	.help = "Stanzas that wait for a domain, from each of ours."},
    {"s2s.keep_after", SETTING_TIME, RELOADS, .max = MINUTE, .preset = "200 ms",
	.help = "When a message that its domain has not acknowledged is "
		"written to the database, sooner if that is not connected: "
		"its sender is told that we have it after the one or the "
		"other."},
    {"s2s.rate", SETTING_SIZE, RELOADS, .max = 16 * GIB, .preset = "16 MiB",
	.help = "Bytes a second that a server may send for long, once its "
		"domain is proved; 0 for any."},
    {"s2s.idle", SETTING_TIME, RELOADS, .min = SECOND, .max = DAY,
	.preset = "10 min",
	.help = "When a stream that nobody uses is closed."},
    {"s2s.connect_timeout", SETTING_TIME, RELOADS, .min = SECOND,
	.max = 10 * MINUTE, .preset = "30 s",
	.help = "How long a stream to another server may take until it "
		"can be used."},
    {"s2s.presence_lost", SETTING_TIME, RELOADS, .min = SECOND, .max = DAY,
	.preset = "5 min",
	.help = "When contacts of a domain that cannot be reached become "
		"unavailable."},
    {"component.secret", SETTING_TEXT, RELOADS | PER_DOMAIN,
	.help = "The domain is a component (XEP-0114) that knows this "
		"secret."},
    {"component.subdomains", SETTING_BOOL, RELOADS | PER_DOMAIN,
	.preset = "false",
	.help = "Whether what is below its domain is the component's too."},
    {"dns.resolvers", SETTING_RESOLVERS, RELOADS | PER_DOMAIN, .preset = "[]",
	.help = "Addresses of DNS servers to ask, like 192.0.2.53 or "
		"\"192.0.2.53@5353\"; empty: those of the system."},
    {"dns.trust_anchor", SETTING_PATH, 0,
	.help = "The key that DNSSEC begins with; empty: Debian's, where "
		"the package dns-root-data is installed."},
    {"dns.timeout", SETTING_TIME, RELOADS, .min = 100, .max = 5 * MINUTE,
	.preset = "10 s", .help = "When a question to DNS is given up."},
    {"storage.backend", SETTING_CHOICE, 0, .preset = "sqlite",
	.choices = backends, .help = "Where accounts and messages are kept."},
    {"storage.path", SETTING_PATH, 0,
	.help = "The file of SQLite; empty: jackdaw.sqlite in the "
		"state directory."},
    {"storage.conninfo", SETTING_TEXT, 0,
	.help = "How PostgreSQL is reached: host=... dbname=... "
		"user=... password=..."},
    {"storage.deadline", SETTING_TIME, 0, .min = 100, .max = 10 * MINUTE,
	.preset = "10 s",
	.help = "When a request to the database is given up."},
    {"log.level", SETTING_CHOICE, RELOADS, .preset = "info",
	.choices = log_levels,
	.help = "The least important lines that are written."},
    {"log.form", SETTING_CHOICE, RELOADS, .preset = "text",
	.choices = log_forms,
	.help = "How lines are written to a file or stderr."},
    {"log.where", SETTING_PATH, RELOADS, .preset = "stderr",
	.choices = log_sinks, .help = "Where lines go."},
    {"admin.socket", SETTING_PATH, 0, .preset = "/run/jackdaw/jackdaw.sock",
	.help = "The Unix socket that the commands talk to the "
		"server by."},
    {"shards", SETTING_INT, 0, .max = 1024, .preset = "0",
	.help = "Threads that serve; 0 for one per core."},
    {"load_modules", SETTING_LIST, 0, .preset = "[]",
	.help = "Shared objects with modules to load."},
    {"state_directory", SETTING_PATH, 0, .preset = "/var/lib/jackdaw",
	.help = "Where the server keeps what it makes."},
    {"user", SETTING_TEXT, 0,
	.help = "Who the server becomes when root starts it."},
    {"group", SETTING_TEXT, 0,
	.help = "Likewise its group; empty: the main one of the user."},
    {NULL},
};

static const struct setting *
switches(struct arena *arena, const struct module *const *modules, size_t count)
{
	struct setting *table = arena_array(arena, struct setting, count + 1);

	for (size_t i = 0; i < count; i++) {
		table[i] = (struct setting){
		    .name =
			str_format(arena, "modules.%s", modules[i]->name).text,
		    .type = SETTING_BOOL,
		    .flags = SETTING_RELOADS | SETTING_PER_HOST,
		    .preset = modules[i]->is_off ? "off" : "on",
		    .help = modules[i]->help,
		};
	}
	return table;
}

const struct setting *const *
settings_tables(
    struct arena *arena, const struct module *const *modules, size_t *count_r)
{
	size_t count = loader_count(modules), at = 0;
	const struct setting **tables =
	    arena_array(arena, const struct setting *, count + 2);

	tables[at++] = server_settings;
	for (size_t i = 0; i < count; i++) {
		if (modules[i]->settings != NULL)
			tables[at++] = modules[i]->settings;
	}
	tables[at++] = switches(arena, modules, count);
	*count_r = at;
	return tables;
}
