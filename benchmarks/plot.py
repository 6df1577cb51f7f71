"""A plot of the throughput of the servers, as SVG."""

from benchmarks.results import Results
from benchmarks.scenarios import EVERY, SCENARIOS

SHOWN = ("fan-out-1", "fan-out-16", "rest", "client-events", "channels")
COLORS = {"limit": "#9aa5b1", "soketpy": "#2f6fde", "soketi": "#e0883a"}
STYLE = """\
text { font: 13px sans-serif; fill: #222 } .title { font-weight: 600 } .name { text-anchor: end }
.spread { stroke: #222; stroke-width: 2; opacity: .6 }
"""
WIDTH, LEFT, BAR, GAP = 760, 90, 18, 4
FULL = 480
"""The length of the longest bar of each scenario, in pixels."""


def plot(results: Results) -> str:
    """Return the plot: a group of bars for each scenario; the longest bar of each group fills the width."""
    parts: list[str] = []
    y = 16
    for scenario in SCENARIOS:
        if scenario.id not in SHOWN:
            continue
        figure = scenario.figures[0]
        values = {server: results.value(scenario.id, server, figure.name) for server in EVERY}
        known = {server: value for server, value in values.items() if value is not None}
        if not known:
            continue
        parts.append(_text(12, y + 4, f"{scenario.title}: {figure.name}{figure.unit}", "title"))
        y += 14
        most = max(value.most for value in known.values()) or 1
        for server, value in known.items():
            parts.append(_text(LEFT - 8, y + 13, server, "name"))
            width = value.median / most * FULL
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLORS[server]}"/>')
            least, best = LEFT + value.least / most * FULL, LEFT + value.most / most * FULL
            parts.append(f'<path d="M{least:.1f} {y + BAR / 2}H{best:.1f}" class="spread"/>')
            parts.append(_text(best + 8, y + 13, f"{value.median:,.0f}", "value"))
            y += BAR + GAP
        y += 22
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        )
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{text}</text>'
