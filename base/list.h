/*
 * base/list.h - intrusive doubly linked lists, and container_of.
 *
 *	struct inbox { struct list letters; };
 *	struct post { struct link link; ... };
 *	list_each (post, &inbox->letters, struct post, link)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct link {
	struct link *next, *prev; /* NULL when in no list */
};

struct list {
	struct link head; /* of a ring: next is the first, prev the last */
};

void list_init(struct list *);
bool list_is_empty(const struct list *);
void list_add_last(struct list *, struct link *);
void list_add_first(struct list *, struct link *);
void list_add_before(struct link *before, struct link *);
/* Takes it out of its list; harmless when it is in none. */
void list_remove(struct link *);
bool list_holds(const struct link *); /* in any list */
/* Moves all of from to the end of to. */
void list_move(struct list *to, struct list *from);
struct link *list_first(const struct list *); /* NULL when empty */
struct link *list_last(const struct list *);
struct link *list_take_first(struct list *); /* NULL when empty */
/* NULL at the end. */
struct link *list_next(const struct list *, const struct link *);

#define list_entry(link, type, member) \
	((link) == NULL ? NULL : container_of((link), type, member))

/* item is declared by the macro; the item at hand may be removed. */
#define list_each(item, list, type, member)                                    \
	for (type *item = list_entry(list_first(list), type, member),          \
		  *item##_next = item == NULL ? NULL                           \
					      : list_entry(list_next((list),   \
							       &item->member), \
						    type, member);             \
	    item != NULL; item = item##_next,                                  \
		  item##_next = item == NULL ? NULL                            \
					     : list_entry(list_next((list),    \
							      &item->member),  \
						   type, member))
