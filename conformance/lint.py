#!/usr/bin/python3
"""Holds requirements/, coverage.tsv, the scenes and the tests together.

coverage.tsv has one row for each binding requirement, sorted as lint.py
--update writes it: id, kind, where, note. By kind, `where` is

    scene         the scene's path below scenes/, without .scene
    test          file::function, the file's path from the project's root
    superseded    the text that replaces the sentence
    not-server    empty; it binds somebody else, the note says whom if unclear
    declined      empty; a SHOULD that is not followed, the note says why

Several places are separated by spaces. A row of kind `scene` may name tests
too, and one of kind `test` scenes.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "federation")]

import abilities  # noqa: E402
from runner import (  # noqa: E402
    authority, component, coverage, federation, pattern, play, push, scene,
    secure)
from runner.variables import Variables  # noqa: E402

HOSTS = ("host", "host2", "anonhost", "component")
# Steps of a module need one of these.
NEEDS = {secure: {"sasl", "starttls", "direct-tls", "s2s"},
         federation: {"s2s"}, component: {"component"},
         push: {"component"}}
CAPTURE = re.compile(r"\{(?:any|number|time):(\w+)\}")
# How the note begins of a scene that proves no sentence of requirements/.
OWN_PROMISES = ("No standard says", "No sentence with an id says")
MAY_BE_DECLINED = ("SHOULD", "SHOULD NOT", "RECOMMENDED", "NOT RECOMMENDED")


def check_test(place):
    path, _, name = place.partition("::")
    source = ROOT.parent / path
    if not source.is_file():
        return f"there is no {path}"
    if not re.search(rf"\b{re.escape(name)}\b",
                     source.read_text(encoding="utf-8")):
        return f"{path} has no {name}"
    return None


def check_place(row, place, scenes):
    if "::" in place:
        return check_test(place)
    if place not in scenes:
        return f"there is no scene {place}"
    if row.id not in scenes[place].proves:
        return f"{place} does not say that it proves this"
    return None


def check_row(row, requirements, scenes):
    """What is wrong with a row."""
    wanted = requirements.get(row.id)
    if wanted is None:
        return ["no such requirement"]
    if row.kind not in coverage.KINDS:
        return [f"no such kind: {row.kind}"]
    if row.kind == "declined":
        if wanted.level not in MAY_BE_DECLINED:
            return [f"a {wanted.level} cannot be declined"]
        return [] if row.note else ["declined without a reason"]
    if row.kind == "superseded" and not row.where:
        return ["superseded by what?"]
    if row.kind not in ("scene", "test"):
        return []
    if not row.where:
        return ["nothing proves it"]
    faults = (check_place(row, place, scenes) for place in row.where.split())
    return [fault for fault in faults if fault]


def check_scenes(scenes, rows, requirements):
    for each in scenes.values():
        for proved in each.proves:
            row = rows.get(proved)
            if proved not in requirements:
                yield f"{each.name}: there is no {proved}"
            elif row and each.name not in row.where.split():
                yield f"{each.name}: coverage.tsv says otherwise of {proved}"
            elif row is None and \
                    requirements[proved].level in coverage.BINDING:
                yield f"{each.name}: coverage.tsv has no row for {proved}"


def check_purpose(each):
    """Whether it says what it is good for."""
    if not each.proves and not any(
            note.startswith(OWN_PROMISES) for note in each.notes):
        yield (f"{each.name}: neither proves a sentence nor has a note "
               f"'{OWN_PROMISES[0]}...' or '{OWN_PROMISES[1]}...'")


def check_steps(each):
    """Whether every step is one of README.md's and every pattern is XML."""
    variables = Variables()
    if each.peers and "s2s" not in each.needs:
        yield f"{each.name}: peers need s2s"
    for name in (*HOSTS, *each.accounts, *each.peers, "nobody"):
        for suffix in ("", ".user", ".password", ".ascii"):
            variables[name + suffix] = "x"
    for at in each.steps:
        words = [(rule.fullmatch(at.text), method) for rule, method
                 in play.STEPS if rule.fullmatch(at.text)]
        where = f"{each.name}:{at.line}"
        if len(words) != 1:
            yield f"{where}: no such step: {at.text}"
        elif lacks(words[0][1], each):
            yield f"{where}: such a step needs {lacks(words[0][1], each)}"
        if " receives" in at.text and at.block:
            yield from check_pattern(where, at.block, variables)
        if " " in at.text:
            for suffix in ("", ".id", ".key"):
                variables[at.text.split()[0] + suffix] = "x"


def lacks(method, each):
    """What the scene should need for that step, one of them."""
    for module, needs in NEEDS.items():
        if method.__module__ == module.__name__ and \
                method.__name__ not in secure.IN_WORLD and \
                not needs & set(each.needs):
            return " or ".join(sorted(needs))
    return ""


def check_pattern(where, block, variables):
    text = scene.join_xml(block)
    for name in CAPTURE.findall(text):
        variables[name] = "x"
    try:
        pattern.parse(variables.expand_pattern(text))
    except scene.SceneError as err:
        yield f"{where}: {err}"


def check_documents():
    """Whether they have the tables of what is played."""
    federated = (ROOT.parent / "docs/federation.md").read_text("utf-8")
    if f"\n\n{abilities.table()}\n" not in federated:
        yield ("docs/federation.md: its table of peers is not that of "
               "federation/abilities.py:\n" + abilities.table())
    readme = (ROOT / "README.md").read_text("utf-8")
    peers = readme.partition("\n## Peers\n")[2].partition("\n## ")[0]
    # They are what stands for a good certificate and for the usual way.
    for word in {*scene.WAYS, *authority.NAMES} - {"", "good"}:
        if f"`{word}`" not in peers:
            yield f"README.md: Peers do not tell what {word} is"


def faults():
    requirements = coverage.requirements(ROOT)
    scenes = {each.name: each for each in scene.load_all(ROOT / "scenes")}
    table = coverage.table(ROOT)
    rows = {row.id: row for row in table}
    if len(rows) != len(table):
        yield "coverage.tsv: an id stands there twice"
    if [row.id for row in table] != sorted(rows, key=coverage.order):
        yield "coverage.tsv: is not sorted; lint.py --update does it"
    for row in table:
        for fault in check_row(row, requirements, scenes):
            yield f"coverage.tsv: {row.id}: {fault}"
    for wanted in requirements.values():
        if wanted.level in coverage.BINDING and wanted.id not in rows:
            yield f"coverage.tsv: {wanted.id} ({wanted.level}) is missing"
    yield from check_documents()
    yield from check_scenes(scenes, rows, requirements)
    for each in scenes.values():
        yield from check_purpose(each)
        yield from check_steps(each)


def update():
    """Enters what the scenes say that they prove, and sorts."""
    requirements = coverage.requirements(ROOT)
    rows = {row.id: row for row in coverage.table(ROOT)}
    scenes = scene.load_all(ROOT / "scenes")
    claims = {(proved, each.name) for each in scenes for proved in each.proves
              if proved in rows or proved in requirements and
              requirements[proved].level in coverage.BINDING}
    for row in rows.values():
        row.where = " ".join(
            place for place in row.where.split()
            if row.kind not in ("scene", "test") or "::" in place
            or (row.id, place) in claims)
    for proved, name in sorted(claims):
        row = rows.setdefault(proved, coverage.Row(proved, "scene", "", ""))
        if row.kind == "scene" and name not in row.where.split():
            row.where = " ".join([*row.where.split(), name])
    coverage.write(ROOT, [
        row for row in rows.values()
        if row.where or row.kind not in ("scene", "test")])


def main():
    if sys.argv[1:] == ["--update"]:
        update()
        return 0
    found = list(faults())
    for fault in found:
        print(fault)
    print(f"conformance: {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
