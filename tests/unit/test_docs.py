"""The documents and the code say the same: commands, options, rules, settings and links are held to each other."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from alerts.alert import GRADES
from alerts.guidance import GUIDANCE
from engine.events import EVENT_KINDS
from engine.flags import FLAG_NAMES
from tagwatch.cli.main import app
from tagwatch.log.events import EVENTS
from tagwatch.metrics.codes import REASONS
from tagwatch.settings import Settings

HOME = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([HOME / "README.md", HOME / "CHANGELOG.md", *(HOME / "docs").rglob("*.md")])
ROOMS = ("engine", "ingest", "geofence", "alerts", "crime_match", "tagwatch")

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text_of(name: str) -> str:
    return (HOME / name).read_text("utf-8")


@cache
def commands() -> dict[str, set[str]]:
    """Every command as it is typed, with its options."""
    found: dict[str, set[str]] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[" ".join(words)] = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {
                "--help"
            }
            return
        for name, child in children.items():
            walk(child, (*words, name))

    walk(typer.main.get_command(app), ("tagwatch",))
    return found


def typed(text: str) -> list[str]:
    """The command lines that a document shows: in shell blocks and in code spans."""
    lines = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    lines += _SPAN.findall(_FENCE.sub("", text))
    return [line.partition(" # ")[0].strip() for line in lines if re.match(r"tagwatch [a-z]", line.strip())]


def command_of(line: str) -> str | None:
    words = line.split()
    return next((name for n in (3, 2) if (name := " ".join(words[:n])) in commands()), None)


def anchors_of(text: str) -> set[str]:
    """The anchors of a document's headings, as the forges make them."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_command_is_told() -> None:
    told = {command_of(line) for line in typed(text_of("docs/commands.md"))}
    assert not sorted(set(commands()) - told)


def test_every_option_is_told_with_its_command() -> None:
    rows = [line for line in text_of("docs/commands.md").splitlines() if line.startswith("| `tagwatch ")]
    for name, options in commands().items():
        grouped = len(name.split()) == 3  # the commands of a group share their options
        told = " ".join(row for row in rows if grouped or any(command_of(span) == name for span in _SPAN.findall(row)))
        missing = [o for o in options if o.startswith("--") and f"`{o}" not in told and o not in ("--help", "--config")]
        assert not missing, f"{name}: {sorted(missing)}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_every_command_line_exists_with_its_options(path: Path) -> None:
    for line in typed(path.read_text("utf-8")):
        name = command_of(line)
        group = " ".join(line.split()[:2])
        assert name or any(known.startswith(group + " ") for known in commands()), line
        unknown = set(_OPTION.findall(line)) - (commands()[name] if name else {"--help"})
        assert not unknown, f"{line}: {sorted(unknown)}"


def test_every_option_told_of_a_command_exists() -> None:
    for line in text_of("docs/commands.md").splitlines():
        names = [name for span in _SPAN.findall(line) if span.startswith("tagwatch ") and (name := command_of(span))]
        if not line.startswith("| `tagwatch ") or not names:
            continue
        known = set().union(*(commands()[name] for name in names))
        told = {option for span in _SPAN.findall(line) for option in _OPTION.findall(span)}
        assert told <= known, f"{names[0]}: {sorted(told - known)}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", path.read_text("utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there.read_text("utf-8")), target


def test_every_rule_is_in_the_glossary_with_its_grade() -> None:
    rows = text_of("docs/glossary.md").splitlines()
    for rule, grade in GRADES.items():
        assert any(row.startswith(f"| `{rule}` |") and row.endswith(f"| {grade} |") for row in rows), rule


def test_the_glossary_tells_every_flag_and_device_event() -> None:
    glossary = text_of("docs/glossary.md")
    assert not [name for name in FLAG_NAMES.values() if f"| {name} |" not in glossary]
    assert not [kind for kind in EVENT_KINDS if f"`{kind}`" not in glossary]


def test_the_settings_file_of_the_operations_is_the_default() -> None:
    blocks = [block for language, block in _FENCE.findall(text_of("docs/operations.md")) if language == "toml"]
    assert len(blocks) == 1
    shown = tomllib.loads(blocks[0])
    assert Settings.model_validate(shown) == Settings()
    for name, part in Settings.model_fields.items():
        assert isinstance(part.annotation, type)
        assert issubclass(part.annotation, BaseModel)
        for key in part.annotation.model_fields:
            assert key in shown[name] or f"# {key} = " in blocks[0], f"{name}.{key}"


def test_every_file_of_a_room_has_its_job_in_the_architecture() -> None:
    chapters = re.split(r"^### ", text_of("docs/architecture.md"), flags=re.MULTILINE)
    for room in ROOMS:
        chapter = next(chapter for chapter in chapters if chapter.startswith(f"{room}:"))
        files = {path.name for path in (HOME / room).glob("*.py") if path.name != "__init__.py"}
        folders = {f"{path.parent.name}/" for path in (HOME / room).glob("*/__init__.py")}
        assert not sorted(name for name in files | folders if f"`{name}`" not in chapter)


def test_the_readme_is_short_and_the_changelog_knows_the_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in text_of("CHANGELOG.md")
    assert len(text_of("README.md").splitlines()) <= 120


def test_the_runbook_tells_every_alarm_code_metric_reason_and_rule() -> None:
    runbook = text_of("docs/operations.md")
    rules = text_of("deploy/prometheus/tagwatch.rules.yaml")
    alarms = set(re.findall(r"alert: (\w+)", rules))
    assert alarms
    assert not [name for name in alarms if f"| `{name}` |" not in runbook]
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\btagwatch_[a-z_]+\b", rules)}
    assert not [name for name in metrics if f"| `{name}` |" not in runbook]
    assert not [words for words, event in EVENTS.items() if f"| `{event.code}` | {words} | {event.advice} |" not in runbook]
    assert not [why for why in REASONS if not why.startswith(("missing_", "bad_")) and f"`{why}`" not in runbook]
    for rule, told in GUIDANCE.items():
        assert f"| `{rule}` | {GRADES[rule]} | {told.cause} | {told.action} |" in runbook
