"""Tells that a client is logged in which cannot say so itself: a letter waits
for it that it reads when it comes online."""

import secrets

from slix import Slixmpp


class Herald:
    def __init__(self, stage):
        self.friend = Slixmpp(stage, stage.account("herald"), stage.server)
        self.jid = self.friend.account.jid

    def announce(self, account):
        """Before the account logs in; a message from `jid` is the sign."""
        self.friend.login()
        self.friend.inbox.expect("online")
        self.friend.send(account.jid, "a letter " + secrets.token_hex(4))
        self.friend.logout()

    def close(self):
        self.friend.close()
