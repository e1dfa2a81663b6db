"""Steps: sessions and subscriptions come and go."""

from .steps import Failed, step


class Sessions:
    @step("WHO connects")
    def connects(self, who):
        name, _, resource = who.partition("/")
        account = self.account_of(name)
        log = self.log_for(who)
        stream = self.dialer.login(log, account, resource)
        log.clear()
        self.streams[who] = stream
        self.variables[who] = stream.jid

    @step("WHO comes online")
    def comes_online(self, who):
        if who not in self.streams or self.streams[who].ended:
            self.connects(who)
        self.announce(self.streams[who])

    def announce(self, stream):
        stream.ask("roster-1", "<iq type='get' id='roster-1'>"
                   "<query xmlns='jabber:iq:roster'/></iq>")
        stream.send("<presence/>")
        own = stream.take(
            lambda event: event[0] == "element" and
            event[1].tag == "{jabber:client}presence" and
            event[1].get("from") == stream.jid)
        if own is None:
            raise Failed("its own presence did not come back")

    @step(r"(\w+) and (\w+) are friends")
    def are_friends(self, one, other):
        self.subscribe(one, other)
        self.subscribe(other, one)

    @step(r"(\w+) is subscribed to (\w+)")
    def subscribe(self, one, other):
        """The dance of RFC 6121 section 3.1, in sessions of its own."""
        asker = self.dialer.login([], self.account_of(one), "setup")
        giver = self.dialer.login([], self.account_of(other), "setup")
        try:
            self.announce(asker)
            self.announce(giver)
            self.hand_over(asker, giver, "subscribe")
            self.hand_over(giver, asker, "subscribed")
            for stream in (asker, giver):
                stream.fence(self.accounts_host(stream))
                self.leave(stream)
        finally:
            asker.close()
            giver.close()

    @staticmethod
    def hand_over(sender, taker, kind):
        to = taker.jid.partition("/")[0]
        sender.send(f"<presence type='{kind}' to='{to}'/>")
        if taker.take(lambda event: event[0] == "element" and
                      event[1].get("type") == kind) is None:
            raise Failed(f"{to} got no {kind}")

    def leave(self, stream):
        stream.send("<presence type='unavailable'/>")
        stream.fence(self.accounts_host(stream))
        stream.send("</stream:stream>")
        stream.take(lambda event: event[0] in ("close", "eof"))

    @step("WHO disconnects")
    def disconnects(self, who):
        stream = self.stream(who)
        stream.send("</stream:stream>")
        if stream.take(lambda event: event[0] in ("close", "eof")) is None:
            raise Failed("the server's </stream:stream> did not come")
        stream.close()

    @step("WHO drops")
    def drops(self, who):
        self.stream(who).drop()

    @step("WHO closes stream")
    def closes_stream(self, who):
        self.stream(who).send("</stream:stream>")
