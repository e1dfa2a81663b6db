"""A disk that is full at will: a small file system of its own, mounted where
only this program and its children see it."""

import os
import subprocess
import sys

INSIDE = "CRASH_DISK"
ROOM = 4 << 30
PAGE = 4096
FULL = 8 * PAGE  # no more than this is left


def is_possible(*words):
    return subprocess.run(words, check=False, stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0


def enter(program, words, hows):
    """Runs the program again where it may mount, if it may: as it is, or as
    who is root only to itself. Returns whether it is there."""
    if INSIDE in os.environ:
        return True
    for how in hows:
        unshare = ["unshare", "--mount", *how]
        if is_possible(*unshare, "mount", "-t", "tmpfs", "none", "/mnt"):
            os.environ[INSIDE] = "1"
            os.execvp(unshare[0], [*unshare, sys.executable, program, *words])
    return False


class Disk:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.mount(ROOM)

    def mount(self, size, *how):
        options = ",".join((*how, f"size={size}", "mode=711"))
        return is_possible("mount", "-t", "tmpfs", "-o", options, "none",
                           self.folder)

    def left(self):
        there = os.statvfs(self.folder)
        return there.f_bavail * there.f_frsize

    def fill(self, margin=0):
        """All but so much; what is taken meanwhile makes it try again."""
        for more in range(100):
            there = os.statvfs(self.folder)
            used = (there.f_blocks - there.f_bfree) * there.f_frsize
            if self.mount(used + margin + more * PAGE, "remount"):
                return

    def is_full(self):
        return self.left() <= FULL

    def free(self):
        self.mount(ROOM, "remount")

    def close(self):
        is_possible("umount", "--lazy", self.folder)
