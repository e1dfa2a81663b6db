#!/usr/bin/python3
"""A component (XEP-0114), written with slixmpp: it says what it hears.

    echo.py DOMAIN SECRET HOST PORT
"""

import logging
import sys

logging.disable(logging.CRITICAL)
import slixmpp  # noqa: E402 - it logs while it is imported


class Echo(slixmpp.ComponentXMPP):
    def __init__(self, domain, secret, host, port):
        super().__init__(domain, secret, host, port)
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.heard)

    @staticmethod
    def started(_event):
        print("connected", flush=True)

    @staticmethod
    def heard(message):
        if message["type"] in ("chat", "normal") and message["body"]:
            message.reply(message["body"]).send()


def main():
    domain, secret, host, port = sys.argv[1:]
    echo = Echo(domain, secret, host, int(port))
    echo.connect()
    echo.loop.run_forever()


main()
