#include "base/list.h"

#include "base/err.h"

void
list_init(struct list *list)
{
	list->head.next = list->head.prev = &list->head;
}

bool
list_is_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

bool
list_holds(const struct link *link)
{
	return link->next != NULL;
}

void
list_add_before(struct link *before, struct link *link)
{
	must(link->next == NULL);
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

void
list_add_last(struct list *list, struct link *link)
{
	list_add_before(&list->head, link);
}

void
list_add_first(struct list *list, struct link *link)
{
	list_add_before(list->head.next, link);
}

void
list_remove(struct link *link)
{
	if (link->next == NULL)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = NULL;
}

void
list_move(struct list *to, struct list *from)
{
	struct link *first = from->head.next, *last = from->head.prev;

	if (list_is_empty(from))
		return;
	first->prev = to->head.prev;
	to->head.prev->next = first;
	last->next = &to->head;
	to->head.prev = last;
	list_init(from);
}

struct link *
list_first(const struct list *list)
{
	return list_is_empty(list) ? NULL : list->head.next;
}

struct link *
list_last(const struct list *list)
{
	return list_is_empty(list) ? NULL : list->head.prev;
}

struct link *
list_take_first(struct list *list)
{
	struct link *link = list_first(list);

	if (link != NULL)
		list_remove(link);
	return link;
}

struct link *
list_next(const struct list *list, const struct link *link)
{
	return link->next == &list->head ? NULL : link->next;
}
