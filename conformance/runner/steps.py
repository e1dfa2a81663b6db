"""What all the step modules share."""

import re


class Failed(Exception):
    """The server did not play its part."""


def step(rule):
    """Marks a method as the meaning of the steps that match the rule."""
    def mark(method):
        method.rule = re.compile(rule.replace("WHO", r"([\w/.-]+)"))
        return method
    return mark


def steps_of(*classes):
    """(rule, method) of every step that the classes define."""
    return [(method.rule, method) for each in classes
            for method in vars(each).values() if hasattr(method, "rule")]
