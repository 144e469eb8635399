"""Rows of the one table, as JSON and as Markdown."""

import dataclasses
import json
import pathlib

PEERS = ("nginx", "haproxy", "bare")


@dataclasses.dataclass
class Row:
    """One thing that was measured, of capgate and, where they do it too, of its peers."""

    group: str
    what: str
    unit: str
    capgate: float
    peers: dict[str, float] = dataclasses.field(default_factory=dict)
    # What capgate's value is compared with: a peer by which it is divided, or nothing.
    against: str = ""
    ratio: float | None = None
    # `at_most` or `at_least` this, of the ratio where there is one.
    at_most: float | None = None
    at_least: float | None = None
    # Of the harness: what is measured together.
    part: str = ""

    @property
    def judged(self) -> float:
        return self.capgate if self.ratio is None else self.ratio

    @property
    def goal(self) -> str:
        limit = self.at_most if self.at_most is not None else self.at_least
        if limit is None:
            return ""
        sign = "≤" if self.at_most is not None else "≥"
        return f"{sign} {limit:g} × {self.against}" if self.against else f"{sign} {number(limit)}"

    @property
    def is_met(self) -> bool | None:
        if self.at_most is not None:
            return self.judged <= self.at_most
        if self.at_least is not None:
            return self.judged >= self.at_least
        return None


def number(value: float) -> str:
    if value >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1_000 else f"{value:,.0f}"


def markdown(rows: list[Row], about: dict[str, object]) -> str:
    """The table, a part for each group."""
    machine = about["machine"]
    lines = [
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, Linux {machine['kernel']}; "
        f"{about['day']}, load average {about['load_average'][0]} to {about['load_average'][1]}; "
        f"{about['versions']}. capgate and each peer had one core for itself, load and upstream the other."
    ]
    for group in dict.fromkeys(row.group for row in rows):
        lines += ["", f"**{group}**", ""]
        of_group = [row for row in rows if row.group == group]
        peers = [peer for peer in PEERS if any(peer in row.peers for row in of_group)]
        lines.append("| " + " | ".join(["", "unit", "capgate", *peers, "goal", "reached"]) + " |")
        lines.append("| " + " | ".join(["---", "---", "---:", *["---:"] * len(peers), "---", "---:"]) + " |")
        for row in of_group:
            cells = [row.what, row.unit, number(row.capgate)]
            cells += [number(row.peers[peer]) if peer in row.peers else "" for peer in peers]
            cells += [row.goal, reached(row)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def reached(row: Row) -> str:
    if row.is_met is None:
        return ""
    value = f"{row.judged:.2f}" if row.ratio is not None else number(row.judged)
    return value if row.is_met else f"**{value}: no**"


def read(folder: pathlib.Path) -> list[Row]:
    """The rows of the last run, if there was one."""
    path = folder / "results.json"
    names = {field.name for field in dataclasses.fields(Row)}
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    return [Row(**{name: value for name, value in row.items() if name in names}) for row in kept]


def write(rows: list[Row], about: dict[str, object], folder: pathlib.Path) -> str:
    kept = [dataclasses.asdict(row) | {"goal": row.goal, "is_met": row.is_met} for row in rows]
    (folder / "results.json").write_text(json.dumps(about | {"rows": kept}, indent=1, ensure_ascii=False) + "\n")
    text = markdown(rows, about)
    (folder / "results.md").write_text(text)
    return text


def put_into_readme(readme: pathlib.Path, text: str) -> None:
    """Between the two marks that stand there."""
    begin, end = "<!-- benches: begin -->\n", "<!-- benches: end -->"
    before, rest = readme.read_text().split(begin)
    _, after = rest.split(end)
    readme.write_text(before + begin + text + end + after)
