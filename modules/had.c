#include "modules/had.h"

#include "server/resume.h"

/* Lives in the letter. */
struct had {
	const struct had *next;
	uint64_t session; /* session->number */
};

void
had_note(struct post *letter, const struct session *session)
{
	struct had *had;

	if (letter->is_lent)
		return;
	had = arena_new(letter->arena, struct had);
	had->next = letter->had;
	had->session = session->number;
	letter->had = had;
}

/* The copies were sent no later than the letter was. */
static bool
has_it(const struct session *session, const struct post *letter)
{
	const uint64_t since_us = letter->durable.since_us;

	return session_next_held(session, NULL) == NULL &&
	       resume_has_acked(session, since_us == 0 ? UINT64_MAX : since_us);
}

bool
had_by_another(struct account *account, const struct post *letter)
{
	for (const struct had *had = letter->had; had != NULL;
	    had = had->next) {
		const struct session *session =
		    session_of_number(account, had->session);

		if (session != NULL && has_it(session, letter))
			return true;
	}
	return false;
}
