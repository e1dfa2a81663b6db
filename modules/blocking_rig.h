/*
 * modules/blocking_rig.h - what clients ask of a block list (XEP-0191).
 */
#pragma once

#define NS "urn:xmpp:blocking"
#define BLOCK(id, jid)                                                     \
	"<iq type='set' id='" id "'><block xmlns='" NS "'><item jid='" jid \
	"'/></block></iq>"
#define UNBLOCK(id, jid)                                                     \
	"<iq type='set' id='" id "'><unblock xmlns='" NS "'><item jid='" jid \
	"'/></unblock></iq>"
#define GET "<iq type='get' id='g'><blocklist xmlns='" NS "'/></iq>"
