"""What must hold of all that was acknowledged."""

import collections
import time

from runner import client
from runner.stream import CLIENT

MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
FORWARD = "{urn:xmpp:forward:0}"
PAGE = 250


class Unread(Exception):
    """An archive could not be read."""


def quiet_login(dialer, account):
    """Without presence: nothing is delivered to such a session."""
    return dialer.login([], account, "reader")


def read_page(stream, after, number):
    stream.send(
        f"<iq type='set' id='page-{number}'><query xmlns='{MAM}'>"
        f"<set xmlns='{RSM}'><max>{PAGE}</max><after>{after}</after></set>"
        "</query></iq>" if after else
        f"<iq type='set' id='page-{number}'><query xmlns='{MAM}'>"
        f"<set xmlns='{RSM}'><max>{PAGE}</max></set></query></iq>")
    rows = []
    while True:
        event = stream.next()
        if event is None or event[0] != "element":
            raise Unread(client.say(event))
        element = event[1]
        result = element.find(f"{{{MAM}}}result")
        if result is not None:
            message = result.find(f"{FORWARD}forwarded/{{{CLIENT}}}message")
            rows.append((result.get("id"), message.get("id")))
        elif element.get("id") == f"page-{number}":
            fin = element.find(f"{{{MAM}}}fin")
            if fin is None:
                raise Unread(client.show(element))
            return rows, fin.get("complete") == "true"


class Archive:
    """What one account's archive holds; read on from where it was."""

    def __init__(self, dialer, account):
        self.dialer, self.account = dialer, account
        self.last, self.pages, self.ids = "", 0, []

    def read(self, anew=False):
        if anew:
            self.last, self.ids = "", []
        stream = quiet_login(self.dialer, self.account)
        try:
            is_all = False
            while not is_all:
                self.pages += 1
                rows, is_all = read_page(stream, self.last, self.pages)
                self.ids += [message_id for _, message_id in rows]
                self.last = rows[-1][0] if rows else self.last
        finally:
            stream.close()
        return set(self.ids)


def read_offline(dialer, account, wanted, patience_s):
    """What an account is sent when it comes at last: until nothing more comes
    and all that is wanted has come, or patience ends."""
    stream = dialer.login([], account, "late")
    deadline = time.monotonic() + patience_s
    try:
        stream.send("<presence/>")
        ids, quiet = set(), 0
        while quiet < 3 or wanted - ids and time.monotonic() < deadline:
            event = stream.next(0.5)
            if event is None:
                quiet += 1
                stream.fence(account.host)
            elif event[0] != "element":
                raise Unread(client.say(event))
            elif event[1].tag == f"{{{CLIENT}}}message":
                ids.add(event[1].get("id"))
                quiet = 0
            elif event[1].get("type") == "get":
                # It sends on when it is answered.
                stream.send(f"<iq type='result' id='{event[1].get('id')}' "
                            f"to='{account.host}'/>")
        return ids
    finally:
        stream.close()


def doubled(ids):
    return [each for each, count in collections.Counter(ids).items()
            if count > 1]


def out_of_order(ids, sender, unsure=()):
    """Messages of one sender that do not stand in the order sent, but for those
    that may come late."""
    numbers = [int(each.rpartition("-")[2]) for each in ids
               if each.startswith(sender + "-") and each not in unsure]
    return sum(a > b for a, b in zip(numbers, numbers[1:]))
