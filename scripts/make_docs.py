"""Make the generated pages from the tables in the code: `make docs`; with --check say which are out of date."""

from __future__ import annotations

import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from huitong.access.deciding import RULES as POLICY
from huitong.access.deciding import Action
from huitong.access.deciding import Rule as PolicyRule
from huitong.app import paths
from huitong.base import metrics
from huitong.base.errors import ANSWERS, Answer, CallerFault, HuitongError, OurFault, SenderFault
from huitong.base.settings import DEFAULTS, ROWS
from huitong.cli import main as cli
from huitong.cli.options import default_text
from huitong.people.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Made by `make docs` from {source}; edit that instead. -->\n\n"


SETTINGS_INTRODUCTION = """
Every setting can be a flag (`--settle-s 30`), a variable of the environment (`HUITONG_SETTLE_S=30`) or a line of a file
(`settle_s = 30`); flags win over the environment, the environment over the file, the file over the default. The file is
what `--settings` or `HUITONG_SETTINGS` names, else `huitong.toml` in the current folder;
[`huitong.sample.toml`](../../huitong.sample.toml) has every line. A name that is no setting is refused, naming those
that are near. `huitong settings` shows what is in force and where each value comes from; secrets are shown as stars.

Sizes are written as a number of bytes or with a binary unit (`8 MiB`), networks as a list separated by commas."""
CASES_INTRODUCTION = """
Two registrations are held against the rules in this order, and the first that holds decides. **Joined** (是同一人): the
records are one person's from then on. **Asked** (待人工核对): a human says in the work list, and while a question about
one of them is open neither is joined with anybody. **Apart** (不是同一人): nothing happens. Beside the pair itself the
persons count: what a human has kept apart the machine never joins, nor two persons of whom any records prove that they
are two; and what is `likely` is asked about, not joined, where another record of either person holds `twin-or-misspelt`
against it. Certificates are compared as written by [their kind](../../src/huitong/people/identifiers.py): a wrong check
digit proves nothing. `likely` and `possible` go by the score, whose thresholds stand in
`src/huitong/catalog/matching.toml`. The tests run every case below, both ways round."""
POLICY_INTRODUCTION = """
Who asks wants to do something with somebody's record. Rules that refuse win over those that allow; of those that allow,
the first that holds gives the answer and the purpose that the audit writes; where none holds it is refused. What is
refused is answered as if it were not there. The actions are explained in
[the policy itself](../../src/huitong/access/policy.toml), of which this page is made; for how long a visit, a scanned
card and an emergency count, and what makes a study sensitive, stands in
[the catalogue](../../src/huitong/catalog/access.toml). Why it is so:
[decision 0013](../decisions/0013-access-policy.md). The tests run every case."""
DECISIONS = {"join": "joined", "ask": "asked", "apart": "apart"}
UNITS = {"s": "seconds", "ms": "milliseconds"}


def documents() -> dict[str, str]:
    """Path from the root of the checkout -> text, of every generated file."""
    return {
        "docs/reference/settings.md": "\n".join(_settings()) + "\n",
        "docs/reference/errors.md": "\n".join(_errors()) + "\n",
        "docs/reference/cli.md": "\n".join(_commands()) + "\n",
        "docs/reference/metrics.md": "\n".join(_metrics()) + "\n",
        "docs/reference/matching-cases.md": "\n".join(_cases()) + "\n",
        "docs/reference/access.md": "\n".join(_policy()) + "\n",
        "huitong.sample.toml": "\n".join(_sample()) + "\n",
    }


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield "\n" + NOTE.format(source="src/huitong/base/settings.py").strip()
    yield SETTINGS_INTRODUCTION
    for name, row in ROWS.items():
        unit = f", in {UNITS.get(row.unit, row.unit)}" if row.unit else ""
        least = f", at least {row.kind.show(int(row.minimum))}" if row.minimum is not None else ""
        yield f"\n## `{name}`\n\n{row.sentence}\n"
        yield f"{row.kind.name.capitalize().replace('Ae', 'AE')}{unit}{least}. Default: {_code(default_text(name))}."
        yield f"Flag `--{name.replace('_', '-')}`, variable `HUITONG_{name.upper()}`."


def _code(text: str) -> str:
    return text if text == "empty" else f"`{text}`"


def _sample() -> Iterator[str]:
    yield "# Every setting of Huitong with its default. Copy to huitong.toml and change what you need."
    yield "# Made by `make docs` from src/huitong/base/settings.py."
    for name, row in ROWS.items():
        yield f"\n# {row.sentence}"
        if row.unit:
            yield f"# In {UNITS.get(row.unit, row.unit)}."
        default = DEFAULTS[name]
        value = row.kind.show(default)
        if isinstance(default, bool):
            value = "true" if default else "false"
        elif row.default_text:
            yield f"# By default {row.default_text}."
            value = '""'
        elif not isinstance(default, int | float) or not value.replace(".", "").isdigit():
            value = f'"{value}"'
        yield f"# {name} = {value}"


def _errors() -> Iterator[str]:
    yield "# Errors"
    yield "\n" + NOTE.format(source="src/huitong/base/errors.py").strip()
    yield (
        "\nWhatever the door, a fault is answered from one table. `code` stands in the body of HTTP answers"
        " (`application/problem+json`, RFC 9457)\nand in the log; *DIMSE* is the status of a C-STORE-RSP and its like"
        " (PS3.7 annex C, PS3.4 table B.2-1); *FHIR* the issue type of an OperationOutcome;\n*HL7* the condition in"
        " the ERR segment of an acknowledgement (v2.5 table 0357)."
    )
    families: tuple[tuple[type[HuitongError], str], ...] = (
        (OurFault, "Ours: look at the log, mend it, senders may try again"),
        (SenderFault, "The sender's: the object cannot be kept as it is"),
        (CallerFault, "The caller's: the request cannot be answered"),
    )
    for family, heading in families:
        yield f"\n## {heading}"
        for cls, answer in ANSWERS.items():
            if issubclass(cls, family):
                about = (cls.__doc__ or "").strip().splitlines()[0]
                hint = f" What to do: {cls.hint}." if cls.hint else ""
                yield f"\n### `{cls.__name__}`\n\n{about}{hint}\n"
                yield f"code `{answer.code}` · HTTP {answer.http} · DIMSE `{answer.dimse:04X}` · {_others(answer)}"
    answer = ANSWERS[HuitongError]
    yield "\n## Anything else\n\n### `HuitongError`\n"
    yield "An exception that nobody foresaw is our fault, and is answered without its text; the log has it.\n"
    yield f"code `{answer.code}` · HTTP {answer.http} · DIMSE `{answer.dimse:04X}` · {_others(answer)}"


def _others(answer: Answer) -> str:
    return f"FHIR `{answer.fhir}` · HL7 `{answer.hl7}`"


def _metrics() -> Iterator[str]:
    yield "# Metrics"
    yield "\n" + NOTE.format(source="src/huitong/base/metrics.py").strip()
    yield "\nAt `/metrics`, in the text format of Prometheus. They name institutions, never people."
    for metric in metrics.TABLE:
        for described in metric.describe():
            suffix = "_total" if described.type == "counter" else ""
            labels = ", ".join(f"`{name}`" for name in metric._labelnames)
            yield f"\n## `{described.name}{suffix}`\n\n{described.documentation}\n"
            yield f"{described.type.capitalize()}" + (f", by {labels}." if labels else ".")


def _cases() -> Iterator[str]:
    yield "# Who is one person: the rules and their cases"
    yield "\n" + NOTE.format(source="src/huitong/people/cases.toml").strip()
    yield CASES_INTRODUCTION
    cases = tomllib.loads((ROOT / "src/huitong/people/cases.toml").read_text("utf-8"))["case"]
    for number, rule in enumerate(RULES, 1):
        yield f"\n## {number}. `{rule.name}`: {DECISIONS[rule.decision.value]}"
        for case in (each for each in cases if each["rule"] == rule.name):
            yield f"\n{case['title']}\n"
            yield "| | one | other |\n| --- | --- | --- |"
            for field in dict.fromkeys([*case["a"], *case["b"]]):
                one, other = (_cell(case[side].get(field, "")) for side in "ab")
                mark = "" if one == other else " ≠"
                yield f"| {field.replace('_', ' ')}{mark} | {one} | {other} |"


def _policy() -> Iterator[str]:
    yield "# Who may see what: the rules and their cases"
    yield "\n" + NOTE.format(source="src/huitong/access/policy.toml and cases.toml").strip()
    yield POLICY_INTRODUCTION
    cases = tomllib.loads((ROOT / "src/huitong/access/cases.toml").read_text("utf-8"))["case"]
    ordered = sorted(POLICY, key=lambda rule: rule.allows)
    for number, rule in enumerate(ordered, 1):
        yield f"\n## {number}. `{rule.name}`: {'allowed' if rule.allows else 'refused'}\n\n{rule.why}\n"
        done = ", ".join(f"`{each}`" for each in sorted(rule.does))
        yield f"**Who**: {', '.join(sorted(rule.who))}. **What**: {done}."
        yield from (f"**{word}**: {', '.join(names)}." for word, names in _conditions(rule) if names)
        yield from _of_rule(cases, rule.name)
    yield "\n## No rule holds: refused"
    yield from _of_rule(cases, "none")
    yield "\n## Before every path"
    yield "\n| path | decision |\n| --- | --- |"
    yield from (
        f"| {path} | {f'`{action.value}`' if action else 'none: no record is behind it'} |" for path, action in _paths()
    )


def _conditions(rule: PolicyRule) -> list[tuple[str, tuple[str, ...]]]:
    return [("When", rule.when), ("Unless", rule.unless)]


def _of_rule(cases: list[dict[str, object]], name: str) -> Iterator[str]:
    found = [case for case in cases if name in (case.get("says"), case.get("refused"))]
    if found:
        yield "\n| case | asker | action | facts |\n| --- | --- | --- | --- |"
    for case in found:
        facts = [f"the study is of {'the own' if case['subject'] == 'here' else 'another'} institution"]
        facts += [str(fact) for fact in case.get("facts", ())]  # type: ignore[attr-defined]
        facts += ["with an access token"] if case.get("token") else []
        facts += [f"{kind}: {', '.join(case[kind])}" for kind in ("sensitive", "consented") if kind in case]  # type: ignore[arg-type]
        yield f"| {case['title']} | {case['asker']} | `{case['action']}` | {'; '.join(facts)} |"


def _paths() -> Iterator[tuple[str, Action | None]]:
    http = ((f"{method} `{path}`", action) for path, by in paths.HTTP.items() for method, action in by.items())
    web = (
        (f"{method} `/dicom-web/{path}`", action)
        for path, by in paths.DICOMWEB.items()
        for method, action in by.items()
    )
    fhir = ((f"FHIR {name} {what}", action) for name, by in paths.FHIR.items() for what, action in by.items())
    dimse = ((name.replace("_", "-"), action) for name, action in paths.DIMSE.items())
    mllp = ((f"ADT^{event} over MLLP", action) for event, action in paths.MLLP.items())
    for each in (http, web, fhir, dimse, mllp):
        yield from each


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(" ".join(each) if isinstance(each, list) else str(each) for each in value)
    return str(value)


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield "\n" + NOTE.format(source="src/huitong/cli/commands.py").strip()
    yield (
        "\nEvery command takes every [setting](settings.md) as a flag, and `--settings FILE`. Exit status: 0 all good,"
        " 1 something was refused or is wrong,\n2 the command could not do its work (also wrong usage), 130 broken off"
        " with Ctrl-C. Tables go to standard output, progress and log to standard error."
    )
    for name, command in all_commands(cli):
        more = ["COMMAND"] if isinstance(command, click.Group) else []
        usage = " ".join(["huitong", name, *more, *(_usage(each) for each in command.params if each.name not in ROWS)])
        yield f"\n## `{name}`\n\n```\n{usage}\n```\n"
        yield inspect.cleandoc(command.help or "")
        for each in command.params:
            if isinstance(each, click.Option) and each.name not in ROWS and each.name != "settings_file":
                yield f"\n`{_written(each)}`: {each.help}"


def all_commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name, `card` and then `card issue`."""
    for name, command in sorted(group.commands.items()):
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{before}{name} ")


def _written(option: click.Parameter) -> str:
    """The option as it is typed: a switch takes no value."""
    switch = isinstance(option, click.Option) and option.is_flag
    return option.opts[0] if switch else f"{option.opts[0]} {option.metavar}"


def _usage(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return str(parameter.metavar)
    if parameter.name == "settings_file":
        return "[SETTINGS]"
    text = _written(parameter)
    return text if parameter.required else f"[{text}]"


def run(arguments: list[str]) -> int:
    """Write what has changed, or with --check name it; exit status."""
    stale = [name for name, text in documents().items() if not _is(ROOT / name, text)]
    for name in stale:
        click.echo(f"{name} is out of date: make docs" if arguments == ["--check"] else f"made {name}")
        if arguments != ["--check"]:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(documents()[name], "utf-8")
    return int(bool(stale) and arguments == ["--check"])


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
