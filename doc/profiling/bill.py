#!/usr/bin/env python3
"""
What: draws the bills of resident memory of several programs side by side, as
SVG: one bar for each JSON file of statistics, one part for each large line.

Invariants: lines that are below a hundredth of the longest bar everywhere are
drawn together as "the rest".

Usage: bill.py FILE... >PICTURE
"""
import json
import os
import sys

COLOURS = {"blocks": "#4c78a8", "slab_free": "#e45756", "dirty": "#f2b35f",
           "metadata": "#9d8ec7", "rest": "#b9b9b9"}
NO_PARTS = {"total", "vm_rss", "huge_pages", "untouched"}
MIB = 1 << 20
LEFT, WIDTH, BAR, GAP, TOP = 70, 560, 34, 16, 8


def bill(path):
    with open(path) as file:
        text = file.read()
    lines = json.loads(text[text.index("{"):])["jemalloc"]["rss"]
    parts = {name: size for name, size in lines.items()
             if name not in NO_PARTS}
    parts["blocks"] -= lines["untouched"]
    return parts


def gather(bills):
    longest = max(sum(parts.values()) for parts in bills.values())
    shown = [name for name in next(iter(bills.values()))
             if max(parts[name] for parts in bills.values()) > longest / 100]
    for parts in bills.values():
        rest = sum(size for name, size in parts.items() if name not in shown)
        yield {**{name: parts[name] for name in shown}, "rest": rest}, longest


def text(x, y, content, anchor="start", colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'fill="{colour}">{content}</text>')


def draw(bills):
    rows = list(gather(bills))
    height = TOP + len(rows) * (BAR + GAP) + 26
    total_width = LEFT + WIDTH + 80
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width}" '
           f'height="{height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{total_width}" height="{height}" fill="#fff"/>']
    for row, (name, (parts, longest)) in enumerate(zip(bills, rows)):
        y = TOP + row * (BAR + GAP)
        x = LEFT
        out.append(text(LEFT - 8, y + BAR * .65, name, "end"))
        for part, size in parts.items():
            width = size / longest * WIDTH
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
                       f'height="{BAR}" fill="{COLOURS.get(part, "#72b7b2")}">'
                       f'<title>{part}: {size / MIB:.1f} MiB</title></rect>')
            x += width
        out.append(text(x + 6, y + BAR * .65,
                        f"{sum(parts.values()) / MIB:.0f} MiB"))
    x = LEFT
    for part in rows[0][0]:
        colour = COLOURS.get(part, "#72b7b2")
        out.append(f'<rect x="{x}" y="{height - 20}" width="12" height="12" '
                   f'fill="{colour}"/>')
        out.append(text(x + 17, height - 9, part))
        x += 30 + 8 * len(part)
    return "\n".join(out + ["</svg>"])


def main():
    bills = {os.path.basename(path).split(".")[0]: bill(path)
             for path in sys.argv[1:]}
    if not bills:
        sys.exit("usage: bill.py FILE... >PICTURE")
    print(draw(bills))


main()
