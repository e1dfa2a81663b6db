/*
 * modules/waiting_rig.h - what tests of messages that wait share: what nobody
 * could take waits for its reader, in a log of its own or in the archive.
 */
#pragma once

#include "modules/modules_rig.h"

/* Romeo writes "Hi" to Juliet. */
void waiting_say(struct world_peer *romeo, const char *id);
/* The same with the ids m0, m1 and so on, up to but without the last. */
void waiting_say_many(struct world_peer *romeo, unsigned from, unsigned upto);
/* That the next message is this one, and was kept. */
void waiting_expect(struct world_peer *juliet, const char *id);
/* What came next, also what is sent only when a ping is answered; NULL: no
 * more. */
const char *waiting_next(struct world *, struct world_peer *);
/* Available, with what it is then sent; the own presence is skipped. */
struct world_peer *waiting_come(
    struct world *, const char *jid, const char *presence);
/* The kernel is asked, then something arrives: proof of receipt. */
void waiting_prove(struct world *, struct world_peer *);
/* She acknowledges what she was sent since she has stream management, whenever
 * she is asked: how many messages came, from m0 on and in order. */
unsigned waiting_acknowledge_all(struct world_peer *juliet);

/* A row of that log is damaged: those before and behind it come. */
void waiting_check_damaged_row(const char *yaml, const struct store_kind *);
/* Who reads goes while the module is switched off, and the read is to be tried
 * again: with it on, the next one reads. */
void waiting_check_unseen_reader(const char *on, const char *off);

/* Tests; the state is the configuration of their worlds, or NULL. */
void waiting_kept_messages_come_in_order_and_before_new_ones(void **state);
void waiting_two_sessions_do_not_both_get_it(void **state);
void waiting_a_proof_is_of_what_came_before(void **state);
void waiting_negative_priority_gets_none(void **state);
void waiting_who_turns_negative_gets_no_more(void **state);
void waiting_who_goes_and_comes_back_has_it_once(void **state);
void waiting_what_cannot_be_kept_is_refused(void **state);
void waiting_what_may_be_kept_is_not_refused(void **state);
void waiting_what_cannot_be_read_is_read_before_what_is_new(void **state);
void waiting_nobody_waits_long_for_what_cannot_be_read(void **state);
void waiting_who_comes_later_waits_as_long(void **state);
void waiting_what_may_be_kept_comes_once(void **state);
void waiting_what_may_be_kept_comes_before_what_is_new(void **state);
void waiting_what_comes_while_others_are_read_comes_too(void **state);
void waiting_order_is_kept_over_a_restart(void **state);
void waiting_order_is_kept_by_who_turns_negative(void **state);
void waiting_what_a_blocked_contact_said_is_not_sent(void **state);
void waiting_others_come_though_most_are_blocked(void **state);
void waiting_more_than_the_queue_comes_in_parts(void **state);
void waiting_large_ones_come_in_parts(void **state);
void waiting_large_ones_come_in_parts_to_who_resumes(void **state);
void waiting_nobody_waits_for_who_does_not_read(void **state);
