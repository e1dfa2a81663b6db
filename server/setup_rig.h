/*
 * server/setup_rig.h - for tests: configurations from text.
 */
#pragma once

#include "server/setup.h"

/* Of that YAML; modules NULL: none; with_certificates as in setup_new. NULL
 * with a sentence. */
struct setup *setup_rig(struct arena *, const char *yaml,
    const struct module *const *modules, bool with_certificates,
    struct str *why_r);
/* The same without modules; aborts when something is wrong with it. */
struct setup *setup_rig_plain(struct arena *, const char *yaml);
