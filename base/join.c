#include "base/join.h"

void
join_init(struct join *join, void (*done)(struct join *))
{
	*join = (struct join){.left = 1, .first = ERR_NONE, .done = done};
}

void
join_wait(struct join *join)
{
	must(join->left > 0);
	join->left++;
}

void
join_wait_done(struct join *join, enum err err)
{
	must(join->left > 0);
	if (join->first == ERR_NONE)
		join->first = err;
	if (--join->left == 0)
		join->done(join);
}
