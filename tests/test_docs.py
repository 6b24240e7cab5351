"""The documents name files and functions that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (".", "docs", "sst/models/*", "experiments/benchmarks", "tfds_builders/*")
DOCUMENTS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.md"))
DOCUMENTS.remove(ROOT / "CHANGELOG.md")  # says what was there, too
SUFFIXES = {"py", "sh", "md", "cfg", "json", "jsonl", "csv", "txt", "html", "wav"}
CODE = [path for folder in ("sst", "pipelines") for path in (ROOT / folder).rglob("*.py")]


def spans(document: Path) -> list[str]:
    """The texts in backticks, without the blocks of code."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


def quoted(document: Path) -> list[str]:
    """The single words in backticks."""
    return [span for span in spans(document) if not re.search(r"\s", span)]


def exists(name: str, document: Path) -> bool:
    folders = (ROOT, ROOT / "sst", document.parent, ROOT / "experiments/benchmarks")
    return any((folder / name).exists() for folder in folders)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document):
    words = [word for span in spans(document) for word in span.split()]
    named = [word for word in words if re.fullmatch(r"[\w./-]+\.(py|sh|md|cfg)", word)]
    named = [name for name in named if "NAME" not in name and name != "utils.py"]
    assert not [name for name in named if not exists(name, document)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", document.read_text())
    inside = [link for link in links if not link.startswith("http")]
    assert not [link for link in inside if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_that_are_named_exist(document):
    missing = []
    for word in quoted(document):
        match = re.fullmatch(r"(?:\w+\.)*(\w+)\.(\w+)(?:\(\))?", word)
        if not match or match[2] in SUFFIXES:
            continue
        modules = [path for path in CODE if path.stem == match[1]]
        text = "\n".join(path.read_text() for path in modules)
        if modules and not re.search(
            rf"\b(def |class |import |, |    ){match[2]}\b", text, re.MULTILINE
        ):
            missing.append(word)
    assert not missing
