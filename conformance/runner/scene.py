"""Reads scene files; README.md specifies the format."""

import re
from dataclasses import dataclass, field
from pathlib import Path

HEADERS = ("title", "proves", "needs", "account", "peer", "note")
NEEDS = (
    "anonymous", "client-cert", "component", "direct-tls", "fake-time",
    "host2", "ibr", "limits", "restart", "s2s", "s2s-tls", "sasl",
    "scram-plus", "scram-sha-256", "scram-sha-512", "starttls", "tables",
)
# How a peer is found, README.md says what each means.
WAYS = ("", "direct", "both", "refused", "unknown", "silent", "unreachable",
        "address", "second", "no-direct", "no-service", "idn")
HEADER = re.compile(r"([a-z]+):\s+(.*\S)\s*$")


class SceneError(Exception):
    """A scene that cannot be read, or a step that says nonsense."""


@dataclass
class Step:
    line: int
    text: str
    block: list[str] = field(default_factory=list)


@dataclass
class Scene:
    path: Path
    title: str = ""
    proves: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)
    peers: dict[str, tuple] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def name(self):
        return f"{self.path.parent.name}/{self.path.stem}"


def join_xml(block):
    """One line of XML out of a block's lines."""
    text = ""
    for line in (line.strip() for line in block):
        glued = not text or text.endswith(">") or line.startswith("<")
        text += line if glued else " " + line
    return text


def join_raw(block):
    return "\n".join(line[4:] for line in block)


def take_header(scene, key, value, where):
    if key not in HEADERS:
        raise SceneError(f"{where}: unknown header '{key}'")
    if key == "title":
        scene.title = value
    elif key == "note":
        scene.notes.append(value)
    elif key == "account":
        name, _, host = value.partition(" ")
        if host not in ("", "host2"):
            raise SceneError(f"{where}: unknown host '{host}'")
        scene.accounts[name] = host or "host"
    elif key == "peer":
        take_peer(scene, value, where)
    elif key == "proves":
        scene.proves.extend(id.replace("_", " ") for id in value.split())
    else:
        scene.needs.extend(value.split())
    for need in scene.needs:
        if need not in NEEDS:
            raise SceneError(f"{where}: unknown need '{need}'")


def take_peer(scene, value, where):
    """`NAME`, `NAME HOW` or `NAME at PEER`: (how, the other peer)."""
    name, _, how = value.partition(" ")
    home = how.removeprefix("at ") if how.startswith("at ") else None
    if home not in (None, *scene.peers):
        raise SceneError(f"{where}: unknown peer '{home}'")
    if home is None and how not in WAYS:
        raise SceneError(f"{where}: unknown way '{how}'")
    scene.peers[name] = ("" if home else how, home)


def load(path):
    """The scene in that file; SceneError if it is not one."""
    scene = Scene(Path(path))
    for number, line in enumerate(
            Path(path).read_text(encoding="utf-8").split("\n"), 1):
        where = f"{path}:{number}"
        header = HEADER.match(line)
        if line.startswith("#") or not line.strip():
            continue
        if not scene.steps and header:
            take_header(scene, header[1], header[2], where)
        elif not line[0].isspace():
            scene.steps.append(Step(number, line.rstrip()))
        elif scene.steps and scene.steps[-1].text.endswith(":"):
            scene.steps[-1].block.append(line)
        else:
            raise SceneError(f"{where}: a block without a step")
    check(scene)
    return scene


def check(scene):
    if not scene.title:
        raise SceneError(f"{scene.path}: no title")
    if not scene.steps:
        raise SceneError(f"{scene.path}: no steps")
    for step in scene.steps:
        if step.text.endswith(":") and not step.block:
            raise SceneError(f"{scene.path}:{step.line}: empty block")


def load_all(root):
    return [load(path) for path in sorted(Path(root).glob("*/*.scene"))]
