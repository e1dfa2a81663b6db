/*
 * server/domains.h - which domains are ours: hosts, and those of components.
 *
 * A domain of the map `domains:` whose entry has component.secret is a
 * component's (XEP-0114); with component.subdomains, so is what is below it,
 * save for hosts and for components of their own.
 */
#pragma once

#include "server/setup.h"

/* The domain of the component that serves this (prepared) domain; empty when
 * none does. Lives as long as the setup. */
struct str domain_component(const struct setup *, struct str domain);
/* The domain that carries what is for this one: the component's that serves it,
 * else itself. */
struct str domain_carrier(const struct setup *, struct str domain);
/* The secret of a component's domain; empty when it is none. */
struct str domain_secret(const struct setup *, struct str component);
bool domain_is_ours(const struct setup *, struct str domain);
/* The host that stands for a domain of ours, with its settings and its
 * certificate: itself, or of a component's the nearest one above; else NULL. */
const struct host *domain_host(const struct setup *, struct str domain);
/* Whether there are components at all. */
bool domains_have_components(const struct config *);
