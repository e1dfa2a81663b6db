"""From the figures of all runs to lines of JSON or a table for people."""

import json
import statistics

UNITS = {"us": "us", "s": "1/s", "kib": "KiB"}
CORRECTNESS = ("lost", "repeated", "out_of_order", "refused", "unacked")
HIDDEN = ("before_kib", "sessions")
WIDTH = 28

# What a server is held against; None: any other.
BASES = {"floor": (), "jackdaw-2": ("floor", "jackdaw"), None: ("floor",)}


def unit_of(metric):
    if "/" in metric:
        return "ratio"
    return UNITS.get(metric.rsplit("_", 1)[-1], "count")


def ratios(runs, base_runs, base):
    """Each run's cost over that of the base's run beside it."""
    found = {}
    for metric in ("kib", "cpu_us", "p99_us"):
        values = [mine[metric] / least[metric]
                  for mine, least in zip(runs, base_runs)
                  if mine.get(metric) is not None and least.get(metric)]
        if values:
            found[f"{metric}/{base}"] = values
    return found


def collect(results):
    """(workload, server, metric) -> the values of the runs. `results` maps
    (workload, server) to the figures of each run."""
    found = {}
    for (workload, server), runs in results.items():
        values = {metric: [run[metric] for run in runs]
                  for metric in runs[0] if metric not in HIDDEN}
        for base in BASES.get(server, BASES[None]):
            values |= ratios(runs, results.get((workload, base), []), base)
        for metric, each in values.items():
            found[workload, server, metric] = each
    return found


def print_json(found):
    for (workload, server, metric), values in found.items():
        print(json.dumps({
            "workload": workload, "server": server, "metric": metric,
            "unit": unit_of(metric),
            "median": round(statistics.median(values), 3),
            "min": min(values), "max": max(values), "runs": len(values)}))


def number(value):
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cell(values):
    if values is None:
        return ""
    text = number(statistics.median(values))
    if max(values) != min(values):
        text += f" ({number(min(values))}-{number(max(values))})"
    return text


def is_shown(metric, found, workload):
    """Counts of what went wrong only where something did."""
    if metric not in CORRECTNESS:
        return True
    return any(any(values) for (w, _, m), values in found.items()
               if (w, m) == (workload, metric))


def print_workload(workload, found):
    keys = [(s, m) for w, s, m in found if w == workload]
    servers = list(dict.fromkeys(s for s, _ in keys))
    metrics = [m for m in dict.fromkeys(m for _, m in keys)
               if is_shown(m, found, workload)]
    print(f"{workload:<24}" + "".join(f"{s:<{WIDTH}}" for s in servers))
    for metric in metrics:
        cells = (cell(found.get((workload, s, metric))) for s in servers)
        row = f"  {metric:<22}" + " ".join(f"{c:<{WIDTH - 1}}" for c in cells)
        print(row.rstrip())
    if any(m in CORRECTNESS for _, m in keys) and \
            not any(m in CORRECTNESS for m in metrics):
        print("  nothing lost, repeated, out of order or refused")


def print_table(found):
    print("median (least-most) of the runs\n")
    for workload in dict.fromkeys(w for w, _, _ in found):
        print_workload(workload, found)
        print()
