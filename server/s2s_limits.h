/*
 * server/s2s_limits.h - what servers tell each other to take: XEP-0478.
 */
#pragma once

#include "server/s2s_internal.h"

/* What the peer takes; parent: its features, or <bidi/>. What those of before
 * said counts no more (section 4). */
void s2s_limits_read(struct s2s *, const struct node *parent);
/* What we take. is_proved: what holds when the peer is proved. */
void s2s_limits_add(struct s2s *, struct node *parent, bool is_proved);
