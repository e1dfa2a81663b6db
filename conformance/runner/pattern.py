"""Compares what a server sent with the patterns of a scene."""

import copy
import re
import xml.etree.ElementTree as ET

from .scene import SceneError
from .variables import OPEN, SHUT

STREAMS = "http://etherx.jabber.org/streams"
DIALBACK = "jabber:server:dialback"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z"
KINDS = {"any": r".+", "number": r"[0-9]+", "time": TIME}
MARK = re.compile(f"{OPEN}([a-z]+)(?::([A-Za-z0-9_]+))?{SHUT}")
NONE, ONLY, NOT = (f"{OPEN}{word}{SHUT}" for word in ("none", "only", "not"))


def parse(text):
    """The elements of a block whose variables have been replaced."""
    if text.startswith("<stream:stream"):
        text = text.rstrip("/>") + "/>"
    try:
        root = ET.fromstring(
            f"<p xmlns='jabber:client' xmlns:stream='{STREAMS}' "
            f"xmlns:db='{DIALBACK}'>{text}</p>")
    except ET.ParseError as err:
        raise SceneError(f"pattern is not XML ({err}): {text}") from err
    return list(root)


def match_text(pattern, value, found):
    """One value against one literal with at most one wildcard in it."""
    mark = MARK.search(pattern)
    if mark is None:
        return pattern == value
    rule = (re.escape(pattern[:mark.start()]) + f"({KINDS[mark[1]]})" +
            re.escape(pattern[mark.end():]))
    hit = re.fullmatch(rule, value, re.DOTALL)
    if hit and mark[2]:
        found[mark[2]] = hit[1]
    return hit is not None


def match_attributes(pattern, element, found):
    for name, wanted in pattern.attrib.items():
        value = element.get(name)
        if wanted == NONE:
            if value is not None:
                return f"has {name}='{value}'"
        elif value is None:
            return f"lacks {name}"
        elif not match_text(wanted, value, found):
            return f"has {name}='{value}'"
    return None


def words_of(element):
    """The element's own text, and where it stands matters not."""
    parts = [element.text or ""] + [child.tail or "" for child in element]
    return "".join(parts).strip()


def first_match(pattern, elements, found):
    for element in elements:
        trial = {}
        if why_not(pattern, element, trial) is None:
            found.update(trial)
            return element
    return None


def match_children(pattern, element, found):
    left = list(element)
    for child in pattern:
        words = words_of(child)
        if NOT in words:
            if first_match(without(child, NOT), left, {}) is not None:
                return f"has <{local(child)}/>"
            continue
        hit = first_match(child, left, found)
        if hit is None:
            return closest(child, left)
        left.remove(hit)
    if ONLY in words_of(pattern):
        return extras(pattern, element, left)
    return None


def closest(child, candidates):
    """Says what the best candidate for a missing child lacks."""
    for candidate in candidates:
        if candidate.tag == child.tag:
            return f"<{local(child)}/> {why_not(child, candidate, {})}"
    return f"lacks <{local(child)}/>"


def extras(pattern, element, left):
    unlisted = set(element.attrib) - set(pattern.attrib) - {XML_LANG}
    if unlisted:
        return f"has also {', '.join(sorted(unlisted))}"
    if left:
        return f"has also <{local(left[0])}/>"
    if words_of(without(pattern, ONLY)) != words_of(element):
        return f"has the text '{words_of(element)}'"
    return None


def without(pattern, mark):
    """A copy of the pattern that lacks that mark."""
    twin = copy.deepcopy(pattern)
    twin.text = (twin.text or "").replace(mark, "")
    for child in twin:
        child.tail = (child.tail or "").replace(mark, "")
    return twin


def local(element):
    return element.tag.rpartition("}")[2]


def why_not(pattern, element, found):
    """None if it matches (captures are in `found`), else the reason."""
    if pattern.tag != element.tag:
        return f"is not <{local(pattern)}/> of its namespace"
    reason = match_attributes(pattern, element, found)
    if reason:
        return reason
    words = words_of(without(pattern, ONLY))
    if words and not match_text(words, words_of(element), found):
        return f"has the text '{words_of(element)}'"
    return match_children(pattern, element, found)


def assign(patterns, elements, found):
    """Pairs every pattern with another element; the unmatched pattern."""
    left = list(elements)
    for pattern in patterns:
        hit = first_match(pattern, left, found)
        if hit is None:
            return pattern
        left.remove(hit)
    return None
