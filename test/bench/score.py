"""Ratios between libraries, and the score of the first one.

What: a figure of each library over the best on that program; geometric means
over programs; and for the first library its figures over the envelope, which
is the best of the others on each program by itself.

Invariants: (I1) less is better in every field; (I2) below 1 in the score
means better than every other library on that program.

Locking: none.
"""

import common

FIELDS = ["wall_s", "cpu_s", "peak_mib", "faults", "calls"]
RATIOS = ["cpu_s", "wall_s", "peak_mib"]
SHORT = {"cpu_s": "CPU", "wall_s": "wall", "peak_mib": "peak"}
BAR = 1.10


def add_ratios(rows):
    """Ratios of one program's rows to the best of them."""
    for field in FIELDS:
        values = [row[field] for row in rows.values()]
        best = None if None in values else min(values)
        for row in rows.values():
            row[field + "_to_best"] = row[field] / best if best else None


def means(programs, library):
    """Geometric means over all programs of the ratios to the best."""
    return {field: common.geometric_mean(
        [program["rows"][library][field + "_to_best"]
         for program in programs]) for field in RATIOS}


class Score:
    """The first library of a report against the best of the others."""

    def __init__(self, report):
        self.name, *self.others = report["libraries"]
        self.ratios = {}
        for program in report["programs"]:
            rows = program["rows"]
            self.ratios[program["name"]] = {
                field: rows[self.name][field] / min(
                    rows[other][field] for other in self.others)
                for field in RATIOS}
        self.means = {field: common.geometric_mean(
            [ratios[field] for ratios in self.ratios.values()])
            for field in RATIOS}

    def behind(self):
        """Programs above the bar in any field, the worst CPU first."""
        found = [(name, ratios) for name, ratios in self.ratios.items()
                 if max(ratios.values()) > BAR]
        return sorted(found, key=lambda item: -item[1]["cpu_s"])

    def counts(self, field):
        """How many programs are within the bar, and of how many."""
        values = [ratios[field] for ratios in self.ratios.values()]
        return sum(1 for v in values if v <= BAR), len(values)

    def show(self):
        print("\n%s over the best of %s, program by program" % (
            self.name, ", ".join(self.others)))
        lines = [["", "mean", "within %.2f" % BAR]]
        for field in RATIOS:
            lines.append([SHORT[field], "%.3f" % self.means[field],
                          "%d of %d" % self.counts(field)])
        common.table(lines)
        behind = self.behind()
        if not behind:
            return
        print("\nabove %.2f" % BAR)
        lines = [["program"] + [SHORT[f] for f in RATIOS]]
        for name, ratios in behind:
            lines.append([name] + ["%.2f%s" % (
                ratios[f], " *" if ratios[f] > BAR else "  ")
                for f in RATIOS])
        common.table(lines)
