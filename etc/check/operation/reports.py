"""What bench/compare and conformance/run print for other programs."""

import csv
import json
import os
import subprocess

from site_ import HOST, ROOT

KEYS = ["workload", "server", "metric", "unit", "median", "min", "max", "runs"]
UNITS = {"us", "1/s", "KiB", "count", "ratio"}
# The least that a workload of messages tells of a server.
METRICS = {"cpu_us", "load_cpu_us", "per_s", "p99_us", "lost", "repeated",
           "out_of_order"}


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False,
                          cwd=ROOT, **more)
    assert done.returncode == 0, f"{words[0]}: {done.stderr}{done.stdout}"
    return done.stdout


def check_figure(line):
    figure = json.loads(line)
    assert list(figure) == KEYS, line
    assert figure["workload"] == "chat" and figure["runs"] == 2, line
    assert figure["unit"] in UNITS, line
    # The median is rounded.
    assert figure["min"] - 0.001 <= figure["median"] <= \
        figure["max"] + 0.001, line
    return figure["server"], figure["metric"], figure


def compares_in_json(_make):
    """One line for each figure, as many runs as asked for."""
    if len(os.sched_getaffinity(0)) < 2:
        return
    lines = run("bench/compare", "--servers", "floor,jackdaw", "--runs", "2",
                "--sessions", "20", "--json", "chat").splitlines()
    found = {(server, metric): figure
             for server, metric, figure in map(check_figure, lines)}
    assert len(found) == len(lines), "a figure is there twice"
    for server in ("floor", "jackdaw"):
        metrics = {metric for name, metric in found if name == server}
        assert METRICS <= metrics, f"{server}: {metrics}"
        assert found[server, "lost"]["max"] == 0
        assert found[server, "per_s"]["min"] > 0
    assert found["jackdaw", "cpu_us/floor"]["unit"] == "ratio"
    assert ("floor", "cpu_us/floor") not in found


def reports_scenes_by_section(make):
    """--report: a table by section, whose last row sums the others up."""
    site = make().start()
    shown = run(
        "conformance/run", "--address", f"127.0.0.1:{site.port}", "--domain",
        HOST, "--ca", site.folder / "localhost.pem", "--adduser",
        f"{site.program} -c {site.config} adduser --password-stdin {{jid}}",
        "--report", "rfc7622/3.3").splitlines()
    assert shown[-1].endswith(" passed, 0 failed, 0 skipped"), shown[-1]
    table = list(csv.DictReader(shown[:-1], delimiter="\t"))
    sections = {row.pop("text/section"): {
        name: int(count) for name, count in row.items()} for row in table}
    total = sections.pop("all")
    assert set(total) == {
        "scene", "test", "not-server", "superseded", "declined", "missing",
        "ok", "failed", "skipped"}, total
    for name, count in total.items():
        assert count == sum(row[name] for row in sections.values()), name
    played = sections["rfc7622/3.3"]
    assert played["ok"] == played["scene"] > 0 and played["failed"] == 0
    assert sections["rfc6121/2.1.3"]["ok"] == 0
    assert total["missing"] == 0


CASES = [reports_scenes_by_section]
# Of a build that is measured.
RELEASE_CASES = [compares_in_json]
