"""Documents are kept true by the tables that they describe: settings, errors, commands, metrics, recipes, links."""

from __future__ import annotations

import re
import runpy
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from huitong.base import metrics
from huitong.base.errors import ANSWERS, HuitongError
from huitong.base.settings import PREFIX, ROWS, Settings, load
from huitong.cli import main as cli
from huitong.imaging.doors.dicomweb import RESOURCES
from huitong.people.doors import card

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAKE_DOCS = runpy.run_path(str(ROOT / "scripts" / "make_docs.py"))
RECIPES = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("name", MAKE_DOCS["documents"]())
def test_a_generated_page_says_what_the_code_says(name: str) -> None:
    assert _text(name) == MAKE_DOCS["documents"]()[name], "run `make docs`"


@pytest.mark.parametrize("name", ROWS)
def test_a_setting_has_its_paragraph_and_its_line_in_the_sample(name: str) -> None:
    assert f"\n## `{name}`\n" in _text("docs/reference/settings.md")
    assert f"\n# {name} = " in _text("huitong.sample.toml")


def test_the_sample_with_its_lines_uncommented_is_the_defaults(tmp_path: Path) -> None:
    sample = re.sub(r"^# ([a-z0-9_]+ = )", r"\1", _text("huitong.sample.toml"), flags=re.MULTILINE)
    assert set(tomllib.loads(sample)) == set(ROWS)
    (tmp_path / "all.toml").write_text(re.sub(r"^ohif_path.*$", "", sample, flags=re.MULTILINE), "utf-8")
    assert load({}, {}, tmp_path / "all.toml").settings == Settings()


def _all_errors(cls: type[HuitongError] = HuitongError) -> set[type[HuitongError]]:
    return {cls}.union(*(_all_errors(each) for each in cls.__subclasses__()))


@pytest.mark.parametrize("cls", sorted(ANSWERS, key=lambda cls: cls.__name__))
def test_an_error_has_its_paragraph(cls: type[HuitongError]) -> None:
    paragraph = _text("docs/reference/errors.md").partition(f"\n### `{cls.__name__}`\n")[2].partition("\n##")[0]
    for said in (
        f"`{ANSWERS[cls].code}`",
        f"HTTP {ANSWERS[cls].http}",
        f"`{ANSWERS[cls].dimse:04X}`",
        f"HL7 `{ANSWERS[cls].hl7}`",
    ):
        assert said in paragraph


def test_every_error_of_the_base_has_its_answer() -> None:
    ours = {cls for cls in _all_errors() if cls.__module__ == "huitong.base.errors"}
    assert ours == set(ANSWERS)


def _commands(group: click.Group = cli, before: str = "") -> Iterator[str]:
    """Every command by its whole name."""
    for name, command in group.commands.items():
        yield f"{before}{name}"
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")


@pytest.mark.parametrize("name", list(_commands()))
def test_a_command_has_its_paragraph(name: str) -> None:
    assert f"# `{name}`\n\n```\nhuitong {name}" in _text("docs/reference/cli.md")


def test_every_metric_is_in_the_table_and_has_its_paragraph() -> None:
    declared = set(
        re.findall(r'^\s+"?(huitong_[a-z0-9_]+)"', _text("src/huitong/base/metrics.py"), re.MULTILINE)
    ) | set(re.findall(r'\("(huitong_[a-z0-9_]+)"', _text("src/huitong/base/metrics.py")))
    described = {each.name for metric in metrics.TABLE for each in metric.describe()}
    assert described == declared
    headings = set(
        re.findall(r"^## `(huitong_[a-z0-9_]+?)(?:_total)?`$", _text("docs/reference/metrics.md"), re.MULTILINE)
    )
    assert headings == described


@pytest.mark.parametrize("name", _names(MARKDOWN))
def test_every_recipe_that_a_page_names_is_there(name: str) -> None:
    text = _text(name)
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named <= RECIPES


def test_the_two_readmes_give_the_same_commands_and_pictures() -> None:
    def commands(name: str) -> list[str]:
        blocks = re.findall(r"```sh\n(.*?)```", _text(name), re.DOTALL)
        return [re.sub(r"<[^>]*>", "<>", block) for block in blocks]

    def pictures(name: str) -> list[str]:
        return re.findall(r"!\[[^\]]*\]\(([^)]*)\)", _text(name))

    assert commands("README.md") == commands("README.zh-CN.md")
    assert pictures("README.md") == pictures("README.zh-CN.md")
    assert "make demo" in commands("README.md")[0]


def test_help_has_a_sentence_for_every_recipe() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", _text("Makefile"), re.MULTILINE))
    assert phony == RECIPES == set(re.findall(r"^make ([a-z-]+) +\S", said, re.MULTILINE))


def test_every_dicomweb_resource_has_its_line_with_its_methods() -> None:
    lines = re.findall(r"^\| `([a-z][^`]*)` \| ([A-Z, ]+) \|", _text("docs/reference/http.md"), re.MULTILINE)
    assert dict(lines) == {pattern: ", ".join(handlers) for pattern, handlers in RESOURCES.items()}


def test_every_resource_of_the_card_door_has_its_line_and_every_refusal_too() -> None:
    text = _text("docs/reference/http.md").partition("\n## Health cards\n")[2].partition("\n## ")[0]
    for path, by_method in card.RESOURCES.items():
        for method, (fields, _, words) in by_method.items():
            said = ", ".join(f"`{name}`" for name in fields) or "–"
            assert f"| `{path}` | {method} | {said} | {words} |" in text
    for reason, (status, title, hint) in card.REFUSALS.items():
        assert f"| `{reason}` | {status} | {title} | {hint} |" in text


def _anchors(markdown: str) -> set[str]:
    """The ids that hosting sites give to headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", _names(MARKDOWN))
def test_every_link_within_the_documents_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", _text(name)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), f"{name} links to {target}"
        if anchor:
            assert anchor in _anchors(place.read_text("utf-8")), f"{name} links to {target}"


def test_every_page_is_reached_from_the_index() -> None:
    index = _text("docs/index.md")
    for path in (ROOT / "docs").rglob("*.md"):
        name = str(path.relative_to(ROOT / "docs"))
        assert name == "index.md" or f"({name})" in index, f"docs/index.md does not link {name}"


@pytest.mark.parametrize("name", ["requirements.lock", "package-lock.json"])
def test_a_lock_names_digests_and_no_hosts(name: str) -> None:
    assert "://" not in _text(name)
    assert re.search(r"sha256:[0-9a-f]{64}|sha512-", _text(name))


@pytest.mark.parametrize("name", ["deploy/compose.yaml", "deploy/kubernetes.yaml", "deploy/Containerfile"])
def test_a_deployment_sets_what_is_a_setting_to_what_it_takes(name: str) -> None:
    lines = "\n".join(line for line in _text(name).splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\$\{[^}]*\}", "x", lines)
    pairs = re.findall(r'\b(HUITONG_[A-Z0-9_]+)(?:: |=)(?:"([^"]*)"|([^\s,}]+(?: [A-Z][a-zA-Z]+B)?))', lines)
    said = {each: quoted or bare for each, quoted, bare in pairs}
    assert said
    loaded = load({}, said)
    assert {f"{PREFIX}{row}".upper() for row, source in loaded.sources.items() if source == "environment"} == set(said)


def test_every_door_that_a_deployment_opens_is_reached_from_outside() -> None:
    text = _text("deploy/kubernetes.yaml")
    doors = {door.lower(): int(port) for door, port in re.findall(r"HUITONG_(HTTP|DIMSE|MLLP): \S+:(\d+)", text)}
    listening = re.findall(r"\{name: (\w+), containerPort: (\d+)\}", text)
    served = re.findall(r"\{name: (\w+), port: (\d+), targetPort: (\w+)\}", text)
    assert sorted(doors) == ["dimse", "http", "mllp"]
    assert {name: int(port) for name, port in listening} == doors
    assert {name: int(port) for name, port, target in served if name == target} == doors
    exposed = re.search(r"^EXPOSE (.*)$", _text("deploy/Containerfile"), re.MULTILINE)
    assert exposed
    assert sorted(map(int, exposed[1].split())) == sorted(doors.values())
    composed = re.findall(r"HUITONG_([A-Z]+): \"0\.0\.0\.0:", _text("deploy/compose.yaml"))
    assert {name.lower() for name in composed} == set(doors)
