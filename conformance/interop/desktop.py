"""A desktop that nobody looks at: a display and a session bus, for programs
that will not run without."""

import os
import subprocess


class Desktop:
    """`environment` is what its programs run with; `home` is their user's."""

    def __init__(self, home):
        self.home, self.processes = home, []
        self.environment = dict(os.environ, HOME=home, XDG_RUNTIME_DIR=home,
                                LC_ALL="C.UTF-8")
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            self.environment.pop(name, None)
        os.makedirs(home, exist_ok=True)
        self.start_display()
        self.start_bus()

    def start(self, words, **more):
        process = subprocess.Popen(words, env=self.environment, **{
            "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL, **more})
        self.processes.append(process)
        return process

    def start_display(self):
        read, written = os.pipe()
        self.start(["Xvfb", "-displayfd", str(written), "-screen", "0",
                    "1000x700x24", "-nolisten", "tcp"], pass_fds=(written,))
        os.close(written)
        with os.fdopen(read) as number:
            self.environment["DISPLAY"] = ":" + number.readline().strip()

    def start_bus(self):
        bus = self.start(["dbus-daemon", "--session", "--nofork",
                          "--print-address",
                          f"--address=unix:dir={self.home}"],
                         stdout=subprocess.PIPE, text=True)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = \
            bus.stdout.readline().strip()

    def run(self, *words):
        return subprocess.run(words, env=self.environment, text=True,
                              capture_output=True, check=False)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
