"""Pages with figures: one file, no script from elsewhere, no picture.

What: the frame of a page, tables with shades, bars with the range of their
runs, and charts of lines, as HTML and SVG.

Invariants: (I1) text from outside is escaped here, nowhere else; (I2) a
library has the same colour in all parts of a page: the place of its name in
the list decides; (I3) pages read in light and in dark.

Locking: none.
"""

import html
import math

COLOURS = ["#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#e8a013", "#0c8599",
           "#868e96", "#e64980"]

STYLE = """
:root { color-scheme: light dark; --ink: #1d2125; --soft: #667079;
  --line: #d8dde2; --back: #f6f7f9; --card: #ffffff; --bar: #e9edf1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #98a2ab;
  --line: #3a4149; --back: #15181b; --card: #1d2125; --bar: #2a3037; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 84rem;
  background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .3rem 0 .8rem; max-width: 60rem; }
.soft { color: var(--soft); font-size: .87rem; }
.card { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .9rem 1rem; overflow-x: auto; }
.grid { display: grid; gap: .9rem;
  grid-template-columns: repeat(auto-fill, minmax(23rem, 1fr)); }
.tiles { display: flex; flex-wrap: wrap; gap: .9rem; }
.tile { min-width: 11rem; }
.tile b { display: block; font-size: 2rem; line-height: 1.2; }
.fit { width: fit-content; max-width: 100%; }
.pair { display: flex; flex-wrap: wrap; gap: .9rem; align-items: start; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .87rem; }
th, td { padding: .18rem .6rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid
  var(--line); }
th:first-child, td:first-child { text-align: left; }
tr.sum td { border-top: 1px solid var(--line); font-weight: 600; }
.bar { display: grid; align-items: center; gap: .5rem; font-size: .82rem;
  grid-template-columns: 5.4rem 1fr 8.2rem; line-height: 1.45; }
.bar .track { position: relative; height: .75rem; border-radius: 3px;
  background: var(--bar); }
.bar .fill { position: absolute; inset: 0 auto 0 0; border-radius: 3px; }
.bar .range { position: absolute; top: .12rem; height: .5rem;
  border: 1.5px solid var(--ink); border-top: 0; border-bottom: 0; }
.bar .range::before { content: ""; position: absolute; left: 0; right: 0;
  top: 50%; border-top: 1.5px solid var(--ink); }
.bar .value { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.bar .value i { color: var(--soft); font-style: normal; }
.first { font-weight: 600; }
.choice > input { position: absolute; opacity: 0; }
.choice > label { display: inline-block; padding: .25rem .9rem; cursor:
  pointer; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); margin: 0 .3rem .8rem 0; }
.choice > input:checked + label { background: var(--ink); color:
  var(--card); }
.choice > input:focus-visible + label { outline: 2px solid #1971c2; }
.choice > section { display: none; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .87rem;
  margin: .2rem 0 .6rem; }
.key i { display: inline-block; width: .8rem; height: .8rem; margin-right:
  .35rem; border-radius: 3px; vertical-align: -1px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, "DejaVu Sans",
  sans-serif; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 4; }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
"""


def esc(text):
    return html.escape(str(text))


def colour(index):
    return COLOURS[index % len(COLOURS)]


def write(path, title, parts):
    text = (
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<title>%s</title><style>%s</style></head>\n<body><h1>%s</h1>\n%s"
        "\n</body></html>\n" % (esc(title), STYLE, esc(title),
                                "\n".join(parts)))
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def place(machine):
    return "<p class=\"soft\">%s; %d CPUs; Linux %s; load before: %s</p>" % (
        esc(machine["processor"]), machine["cpus"], esc(machine["kernel"]),
        esc(machine["load"]))


def soft(text):
    return "<p class=\"soft\">%s</p>" % esc(text)


def key(names):
    return "<div class=\"key\">%s</div>" % "".join(
        "<span><i style=\"background:%s\"></i>%s</span>" % (
            colour(i), esc(name)) for i, name in enumerate(names))


def shade(ratio):
    """Green at the best, red from twice that on."""
    if ratio is None:
        return ""
    far = min(max(ratio - 1, 0), 1)
    return " style=\"background:hsl(%d 65%% 50%% / %.2f)\"" % (
        130 - 125 * min(far * 2.5, 1), 0.10 + 0.35 * abs(2 * far - 0.25))


def table(head, rows, sums=0):
    """Cells are texts, or (text, ratio) with a shade; the last `sums` rows
    are set apart."""
    def cell(value):
        text, ratio = value if isinstance(value, tuple) else (value, None)
        return "<td%s>%s</td>" % (shade(ratio), esc(text))
    lines = ["<tr>%s</tr>" % "".join("<th>%s</th>" % esc(h) for h in head)]
    for number, row in enumerate(rows):
        kind = " class=\"sum\"" if number >= len(rows) - sums else ""
        lines.append("<tr%s>%s</tr>" % (kind, "".join(map(cell, row))))
    return "<div class=\"card fit\"><table>%s</table></div>" % "\n".join(lines)


def bars(rows, most):
    """Rows of (name, colour, value, low, high, text, note), 0 to `most`."""
    lines = []
    for number, (name, paint, value, low, high, text, note) in \
            enumerate(rows):
        span = [100 * min(v / most, 1) if most else 0
                for v in (value, low, high)]
        lines.append(
            "<div class=\"bar%s\"><span>%s</span><span class=\"track\">"
            "<span class=\"fill\" style=\"width:%.1f%%;background:%s\">"
            "</span><span class=\"range\" style=\"left:%.1f%%;width:%.1f%%\">"
            "</span></span><span class=\"value\">%s <i>%s</i></span></div>" % (
                " first" if number == 0 else "", esc(name), span[0], paint,
                span[1], max(span[2] - span[1], 0), esc(text), esc(note)))
    return "".join(lines)


def choice(name, parts):
    """One of several sections at a time; works without script."""
    text = ["<div class=\"choice\">"]
    rules = []
    for number, (label, _) in enumerate(parts):
        ident = "%s-%d" % (name, number)
        text.append(
            "<input type=\"radio\" name=\"%s\" id=\"%s\"%s>"
            "<label for=\"%s\">%s</label>" % (
                name, ident, " checked" if number == 0 else "", ident,
                esc(label)))
        rules.append("#%s:checked ~ .%s { display: block; }" % (ident, ident))
    for number, (_, content) in enumerate(parts):
        text.append("<section class=\"%s-%d\">%s</section>" % (
            name, number, content))
    text.append("</div><style>%s</style>" % "".join(rules))
    return "\n".join(text)


class Scale:
    """From values to pixels, even or by powers of ten."""

    def __init__(self, low, high, start, end, log):
        self.log = log
        if log:
            low, high = math.log10(low), math.log10(high)
        self.low, self.high = low, max(high, low + 1e-9)
        self.start, self.end = start, end

    def __call__(self, value):
        value = math.log10(value) if self.log else value
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0), 1) * (self.end - self.start)

    def ticks(self):
        """Round values between the ends, four or more where it can be."""
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(
                self.high + 1e-9)
            found = [10.0 ** e for e in range(first, last + 1)]
            if len(found) < 3:
                found = [m * 10.0 ** e for e in range(first - 1, last + 1)
                         for m in (1, 2, 3, 5, 7)]
            return [t for t in found
                    if self.low - 1e-9 <= math.log10(t) <= self.high + 1e-9]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        for more in (5, 2):
            if (self.high - self.low) / (step * more) >= 4:
                step *= more
                break
        first = math.ceil(self.low / step)
        return [step * i for i in range(
            first, math.floor(self.high / step + 1e-9) + 1)]


class Axis:
    """What an axis shows: its title, its ends, how a value is written."""

    def __init__(self, title, low, high, log=False, text="{:,g}".format,
                 ticks=None):
        self.title, self.low, self.high = title, low, high
        self.log, self.text, self.ticks = log, text, ticks


WIDTH, HEIGHT = 1000, 380
LEFT, RIGHT, TOP, BOTTOM = 80, 46, 26, 46
LETTER = 7  # Width of one, about.


def frame(across, up, x_axis, y_axis, height):
    text = []
    for value in across.ticks or x_axis.ticks():
        x = x_axis(value)
        text.append("<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\""
                    " y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor="
                    "\"middle\">%s</text>" % (
                        x, x, TOP, height - BOTTOM, x, height - BOTTOM + 16,
                        esc(across.text(value))))
    for value in up.ticks or y_axis.ticks():
        y = y_axis(value)
        text.append("<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\""
                    " y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" text-anchor="
                    "\"end\">%s</text>" % (
                        LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4,
                        esc(up.text(value))))
    text.append("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>"
                "<text x=\"%d\" y=\"14\">%s</text>" % (
                    WIDTH - RIGHT, height - 10, esc(across.title), LEFT - 40,
                    esc(up.title)))
    return text


def mark_lines(marks, x_axis, height):
    """Labels step down where they would stand on one another."""
    text = []
    free, step = 0, 0
    for at, label in marks:
        x = x_axis(at)
        step = (step + 1) % 4 if x < free else 0
        free = max(free if step else 0, x + 8 + LETTER * len(label))
        text.append("<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\""
                    " y2=\"%d\"/><text x=\"%.1f\" y=\"%d\">%s</text>" % (
                        x, x, TOP, height - BOTTOM, x + 4,
                        TOP + 10 + 14 * step, esc(label)))
    return text


def lines(across, up, series, marks=(), height=HEIGHT):
    """A chart; series of (colour, dots, points), marks of (x, text)."""
    x_axis = Scale(across.low, across.high, LEFT, WIDTH - RIGHT, across.log)
    y_axis = Scale(up.low, up.high, height - BOTTOM, TOP, up.log)
    text = ["<svg viewBox=\"0 0 %d %d\" role=\"img\">" % (WIDTH, height)]
    text += frame(across, up, x_axis, y_axis, height)
    text += mark_lines(marks, x_axis, height)
    for paint, dots, points in series:
        found = [(x_axis(x), y_axis(y)) for x, y in points]
        text.append("<polyline stroke=\"%s\" points=\"%s\"/>" % (
            paint, " ".join("%.1f,%.1f" % p for p in found)))
        if dots:
            text += ["<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>"
                     % (x, y, paint) for x, y in found]
    return "".join(text) + "</svg>"
