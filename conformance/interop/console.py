"""What Profanity's console says, as tmux shows it."""

import re

SHOWN = {"online": "available", "away": "away", "dnd": "dnd",
         "offline": "unavailable"}

SAID = (
    (re.compile(r"logged in successfully"), lambda m: ("online",)),
    (re.compile(r"logged out successfully|[Ll]ost connection"),
     lambda m: ("offline",)),
    (re.compile(r"authorization request from (\S+)"),
     lambda m: ("subscribe", m[1])),
    (re.compile(r"(?:\+\+|--|\*\*) (\S+) .*is (\w+)"),
     lambda m: ("presence", m[1], SHOWN.get(m[2], m[2]))),
)


class Console:
    """The first row is its title, the last two are its state and what one
    types. It never scrolls: the terminal has rows enough."""

    def __init__(self, rows):
        self.rows, self.lines = rows, []

    def events(self, cursor, screen):
        """Those of its new lines; none while another window is shown, or
        while it is drawn: the cursor stands where one types once it is."""
        rows = screen.split("\n")
        if int(cursor) != self.rows - 1 or not rows[0].startswith(" Profanity"):
            return []
        lines = [row for row in rows[1:self.rows - 2] if row.strip()]
        new = lines[len(self.lines):]
        self.lines += new
        return [event(match) for line in new for pattern, event in SAID
                if (match := pattern.search(line))]
