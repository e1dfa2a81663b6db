/*
 * modules/roster_item.h - a contact as XML: on the wire and in the store.
 */
#pragma once

#include "modules/roster.h"

/* Names and groups longer than this are not acceptable. */
#define ROSTER_NAME_LEN_MAX 1023
#define ROSTER_GROUPS_MAX   64

/* What a client may ask to be stored: RFC 6121, section 2.3.3. */
enum stanza_err roster_item_check(struct arena *, const struct node *item);

/* A contact with name and groups of an item, in an arena of its own. */
struct contact *roster_item_make(const struct jid *, const struct node *item);
struct contact *roster_item_copy(const struct contact *);

/* <item/> at the end of a query, as clients see it. */
void roster_item_add(struct node *query, const struct contact *);
/* <query ver=''><item/></query> for a push; tombstones as removed. */
const struct node *roster_push_item(struct arena *, const struct contact *);

/* The stored form, and back; NULL when it is damaged. */
struct str roster_item_text(struct arena *, const struct contact *);
struct contact *roster_item_read(const struct map_row *);

/* The row that says how far back changes are known: its key is empty. */
bool roster_row_is_floor(const struct map_row *);
uint64_t roster_floor_read(const struct map_row *);
struct str roster_floor_text(struct arena *, uint64_t floor);

/* Versions on the wire: hexadecimal. */
bool roster_ver_read(struct str, uint64_t *ver_r);
