"""The results as a page in Markdown."""

from collections.abc import Iterator, Sequence
from math import isnan

from benchmarks.catalogue import Page
from benchmarks.results import Results, Value, met
from benchmarks.scenarios import EVERY, Figure, Scenario, Target

SPREAD = "Each figure is the median of all rounds; the brackets show the lowest and the highest value."


def write(
    page: Page, results: Results, facts: list[tuple[str, str]], remarks: list[str], scenarios: Sequence[Scenario]
) -> str:
    """Return a whole page with the given scenarios."""
    parts = [page.opening]
    if remarks:
        parts.append("\n".join(f"**{remark}**" for remark in remarks) + "\n")
    parts.append("\n".join(("## Environment\n", "| | |", "| --- | --- |", *(_row(*fact) for fact in facts))) + "\n")
    parts.append("\n".join(("## Targets\n", *_target_rows(results, scenarios))) + "\n")
    parts.append("\n".join(("## Ledger\n", *_ledger(results))) + "\n")
    parts.append(f"## Figures\n\n{SPREAD}\n")
    parts += ["\n".join(_figure_rows(scenario, results)) + "\n" for scenario in scenarios]
    return "\n".join(parts)


def number(value: float, digits: int) -> str:
    """Return a number with separators, or a dash for NaN."""
    if isnan(value):
        return "–"
    return f"{value:,.{digits}f}"


def wanted(target: Target) -> str:
    """Return the text of a target."""
    if target.least is not None and target.least == target.most:
        return f"= {target.least:,g}"
    sign, value = ("≥", target.least) if target.least is not None else ("≤", target.most)
    if not target.of:
        return f"{sign} {value:g}"
    other = f", {target.of_figure}" if target.of_figure else ""
    where = f" ({target.scenario}{other})" if target.scenario else ""
    return f"{sign} {value:.3g} × {target.of}{where}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _target_rows(results: Results, scenarios: Sequence[Scenario]) -> Iterator[str]:
    yield _row("scenario", "figure", "target", "reached", "met")
    yield _row(*["---"] * 5)
    for scenario in scenarios:
        for target in scenario.targets:
            reached = results.reached(scenario, target)
            unit = "" if target.of else f" {_unit(scenario, target)}".rstrip()
            shown = "–" if reached is None else f"{_brief(reached)}{' ×' if target.of else unit}"
            verdict = "not measured" if reached is None else "yes" if met(target, reached) else "**no**"
            yield _row(f"`{scenario.id}`", target.figure, wanted(target) + unit, shown, verdict)


def _brief(value: float) -> str:
    """Return three digits, or all digits of a larger whole number."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _unit(scenario: Scenario, target: Target) -> str:
    return next(figure.unit for figure in scenario.figures if figure.name == target.figure)


def _ledger(results: Results) -> Iterator[str]:
    for server in EVERY:
        if not any(measured == server for _, measured in results.runs):
            continue
        broken = [line for line in results.broken if line.startswith(f"{server}, ")]
        yield from (f"- {line}" for line in broken)
        if not broken:
            yield f"- {server}: in every round of every scenario each subscriber got every event once and in order."


def _figure_rows(scenario: Scenario, results: Results) -> Iterator[str]:
    servers = [server for server in EVERY if results.runs.get((scenario.id, server))]
    yield f"### `{scenario.id}`: {scenario.title}\n"
    if not servers:
        yield "Not measured."
        return
    ours = scenario.ours
    ratios = [server for server in servers if server != ours] if ours in servers else []
    yield _row("figure", *servers, *(f"{ours} / {server}" for server in ratios))
    yield _row(*["---"] * (1 + len(servers) + len(ratios)))
    for figure in scenario.figures:
        values = {server: results.value(scenario.id, server, figure.name) for server in servers}
        cells = [_cell(figure, value) for value in values.values()]
        cells += [_ratio(values[ours], values[server]) for server in ratios]
        yield _row(f"{figure.name}, {figure.unit}" if figure.unit else figure.name, *cells)


def _cell(figure: Figure, value: Value | None) -> str:
    if value is None:
        return "–"
    shown = number(value.median, figure.digits)
    if value.least == value.most:
        return shown
    return f"{shown} ({number(value.least, figure.digits)}–{number(value.most, figure.digits)})"


def _ratio(ours: Value | None, theirs: Value | None) -> str:
    if ours is None or theirs is None or theirs.median <= 0:
        return "–"
    return f"{ours.median / theirs.median:.2f}"
