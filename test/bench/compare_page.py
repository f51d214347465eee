"""The page of one run of compare.

What: the score, a table of ratios, bars of each program, what a block costs
between threads, and how long single calls take.

Invariants: (I1) nothing is computed here that the text does not show too.

Locking: none.
"""

import latency
import page
from score import BAR, FIELDS, RATIOS, SHORT, Score

UNITS = {"wall_s": "s", "cpu_s": "s", "peak_mib": "MiB", "faults": "",
         "calls": ""}
TITLES = {"wall_s": "wall time", "cpu_s": "CPU time",
          "peak_mib": "peak memory", "faults": "page faults",
          "calls": "system calls"}


def number(field, value):
    if field in ("faults", "calls"):
        return "{:,.0f}".format(value)
    return "%.*f %s" % (2 if value < 10 else 1, value, UNITS[field])


def tiles(score):
    text = []
    for field in RATIOS:
        within, of = score.counts(field)
        text.append(
            "<div class=\"card tile\"><span class=\"soft\">%s</span>"
            "<b>%.3f</b><span class=\"soft\">within %.2f on %d of %d"
            "</span></div>" % (
                page.esc(TITLES[field]), score.means[field], BAR, within, of))
    return "<div class=\"tiles\">%s</div>" % "".join(text)


def behind(score):
    rows = [[name] + [("%.2f" % ratios[f], ratios[f]) for f in RATIOS]
            for name, ratios in score.behind()]
    if not rows:
        return page.soft("No program is above %.2f in any of the three." % BAR)
    return page.table(["above %.2f" % BAR] + [SHORT[f] for f in RATIOS], rows)


def overview(report, field):
    names = report["libraries"]
    rows = []
    for program in report["programs"]:
        rows.append([program["name"]] + [
            ratio_cell(program["rows"][n][field + "_to_best"])
            for n in names])
    rows.append(["geometric mean"] + [
        ratio_cell(report["means"][n][field]) for n in names])
    return page.table(["program"] + names, rows, sums=1)


def ratio_cell(ratio):
    return ("-", None) if ratio is None else ("%.2f" % ratio, ratio)


def program_card(program, names, field):
    rows = []
    values = [program["rows"][n][field] for n in names]
    if None in values:
        return ""
    best = min(values)
    most = min(max(max(program["rows"][n][field + "_all"]) for n in names),
               6 * best)
    for index, name in enumerate(names):
        row = program["rows"][name]
        ratio = row[field + "_to_best"]
        rows.append((name, page.colour(index), row[field],
                     min(row[field + "_all"]), max(row[field + "_all"]),
                     number(field, row[field]),
                     "" if ratio is None else "%.2f" % ratio))
    return ("<div class=\"card\"><h3>%s</h3><p class=\"soft\">%s</p>%s"
            "</div>" % (page.esc(program["name"]), page.esc(program["about"]),
                        page.bars(rows, most)))


def cards(report, field):
    found = [program_card(p, report["libraries"], field)
             for p in report["programs"]]
    return "<div class=\"grid\">%s</div>" % "".join(found)


def mail(report):
    names = report["libraries"]
    rows = []
    for program in report["programs"]:
        if not program["name"].startswith("mail-"):
            continue
        each = [program["rows"][n]["wall_s"] * 1e9 / program["operations"]
                for n in names]
        rows.append([program["name"] + ": " + program["about"]] + [
            ("%.1f" % ns, ns / min(each)) for ns in each])
    if not rows:
        return []
    return ["<h2>From thread to thread</h2>",
            page.soft("Wall nanoseconds a block, from malloc in one thread to"
                      " free in another."),
            page.table(["threads"] + names, rows)]


def call_chart(report, call):
    """How many calls took at least as long: a line a library."""
    series = []
    longest = 1000
    for index, row in enumerate(report["libraries"].values()):
        total = sum(count for _, count in row[call]["steps"])
        left = total
        points = []
        for ns, count in row[call]["steps"]:
            points.append((max(ns, 10), max(left / total, 1e-6)))
            left -= count
        longest = max(longest, row[call]["most"])
        series.append((page.colour(index), False, points))
    across = page.Axis("time of a call", 10, longest, True, latency.span)
    up = page.Axis("part of the calls of %s that took as long" % call, 1e-5,
                   1, True, lambda v: "%g %%" % (100 * v))
    return page.lines(across, up, series)


def histogram(report, call):
    """The counts themselves, a line a library."""
    series = []
    longest, highest = 1000, 10
    for index, row in enumerate(report["libraries"].values()):
        points = [(max(ns, 10), count) for ns, count in row[call]["steps"]]
        longest = max(longest, points[-1][0])
        highest = max(highest, max(count for _, count in points))
        series.append((page.colour(index), False, points))
    across = page.Axis("time of a call, in eighths of a doubling", 10,
                       longest, True, latency.span)
    up = page.Axis("calls of %s" % call, 1, highest, True)
    return page.lines(across, up, series)


def calls(report):
    names = list(report["libraries"])
    head = ["allocator"] + ["p%g" % p for p in report["percents"]] + ["most"]
    parts = ["<h2>How long single calls take</h2>",
             page.soft("Two threads allocate 1 GB/s between them, what is live"
                       " swells and shrinks, dirty pages decay within %d ms"
                       " where the library has such an option. One reading of"
                       " the clock, %s, is in each figure." % (
                           latency.DECAY_MS,
                           latency.span(report["clock_ns"]))),
             page.key(names)]
    found = []
    for call in latency.CALLS:
        columns = [report["libraries"][n][call] for n in names]
        best = [min(column) for column in zip(
            *[c["percentiles"] + [c["most"]] for c in columns])]
        rows = [[n] + [(latency.span(ns), ns / low if low else None)
                       for ns, low in zip(c["percentiles"] + [c["most"]],
                                          best)]
                for n, c in zip(names, columns)]
        found.append((call, page.table(head, rows) +
                      "<div class=\"card\">%s</div>" % call_chart(
                          report, call) +
                      "<div class=\"card\">%s</div>" % histogram(
                          report, call)))
    return parts + [page.choice("call", found)]


def write(path, report):
    names = report["libraries"]
    parts = [page.place(report["machine"])]
    if report["programs"]:
        if len(names) > 1:
            score = Score(report)
            parts += [
                "<h2>Score</h2>",
                page.soft("%s over the best of %s on each program, geometric"
                          " mean. Below 1: better than the best of them." % (
                              score.name, ", ".join(score.others))),
                tiles(score), "<br>", behind(score)]
        parts += ["<h2>Ratio to the best</h2>",
                  page.choice("ratio", [(TITLES[f], overview(report, f))
                                        for f in RATIOS]),
                  "<h2>Programs</h2>",
                  page.soft("Times: the least of all turns, as other work only"
                            " adds; else the median. The bracket is the range"
                            " of all turns (%d). Bars end at six times the"
                            " best." %
                            report["repeat"]),
                  page.choice("field", [
                      (TITLES[f], cards(report, f))
                      for f in RATIOS + [f for f in FIELDS
                                         if f not in RATIOS]])]
        parts += mail(report)
    if report["latency"]:
        parts += calls(report["latency"])
    page.write(path, "Allocators compared", parts)
