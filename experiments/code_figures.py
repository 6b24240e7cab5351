"""Figures of the code: lengths, duplicated blocks, docstrings and annotations.

python experiments/code_figures.py [FOLDER ...]

Lengths are in lines. A function is counted without its docstring and decorators, and with the
functions inside it. Duplicated blocks are runs of six or more equal lines, indentation apart;
blank lines, comments, imports and docstrings do not count.
"""

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("sst", "pipelines", "tfds_builders")
BLOCK = 6  # lines that make a duplicate
LONGEST = 5  # functions that are named
QUESTIONS = ("What", "How", "Whether")
Definition = ast.FunctionDef | ast.AsyncFunctionDef
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


class Source(NamedTuple):
    """One parsed file."""

    name: str  # its path below the repository
    text: str
    tree: ast.Module


class Function(NamedTuple):
    """One function or method."""

    name: str  # path:line name
    lines: int
    public: bool  # at module or class level, without a leading underscore
    documented: bool
    annotated: int  # of its arguments
    arguments: int  # without self and cls


class Duplicate(NamedTuple):
    """A block of lines that stands in two places."""

    first: str  # path:line
    second: str
    lines: int


def read(folder: Path, root: Path = ROOT) -> list[Source]:
    """Parses the Python files below a folder, by path."""
    paths = sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)
    texts = [(str(path.relative_to(root)), path.read_text()) for path in paths]
    return [Source(name, text, ast.parse(text)) for name, text in texts]


def functions(source: Source) -> list[Function]:
    """Measures every function and method of a file, nested ones included."""
    classes = [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    bodies = [source.tree.body, *(node.body for node in classes)]
    visible = {id(node) for body in bodies for node in body}
    found = [node for node in ast.walk(source.tree) if isinstance(node, Definition)]
    return [_function(source, node, id(node) in visible) for node in found]


def duplicates(sources: Sequence[Source]) -> list[Duplicate]:
    """Finds the blocks of `BLOCK` or more equal lines of code, each with its first place."""
    lines = [line for source in sources for line in [*_code_lines(source), (source.name, "")]]
    texts = [text for _, text in lines]  # files end with an empty text, which is in no block
    first: dict[tuple[str, ...], int] = {}
    pairs = {}
    for row in range(len(texts) - BLOCK + 1):
        block = tuple(texts[row : row + BLOCK])
        start = first.setdefault(block, row)
        if all(block) and row >= start + BLOCK:
            pairs[row] = start
    found = []
    for row, start in pairs.items():
        if pairs.get(row - 1) != start - 1:  # where a run of equal blocks begins
            more = 0
            while pairs.get(row + more + 1) == start + more + 1:
                more += 1
            found.append(Duplicate(lines[start][0], lines[row][0], BLOCK + more))
    return found


def questions(source: Source) -> list[str]:
    """Lists the docstrings that open with What, How or Whether."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, Definition | ast.ClassDef | ast.Module):
            words = (ast.get_docstring(node) or "").split()
            if words and words[0].rstrip(":,") in QUESTIONS:
                found.append(f"{source.name}:{getattr(node, 'lineno', 1)} {' '.join(words[:8])}")
    return found


def figures(sources: Sequence[Source]) -> dict[str, str]:
    """Computes the figures of some files, as they are printed."""
    found = [function for source in sources for function in functions(source)]
    public = [function for function in found if function.public]
    of_files = [source.text.count("\n") for source in sources]
    of_functions = [function.lines for function in found]
    arguments = sum(function.arguments for function in found)
    return {
        "files": str(len(sources)),
        "lines of a file, median / max": f"{statistics.median(of_files):g} / {max(of_files)}",
        "functions": str(len(found)),
        "lines of a function, median / p90 / max": f"{statistics.median(of_functions):g} / "
        f"{percentile(of_functions, 90)} / {max(of_functions)}",
        f"duplicated blocks of {BLOCK} lines or more": str(len(duplicates(sources))),
        "docstrings that open with What, How or Whether": str(
            sum(map(len, map(questions, sources)))
        ),
        "public functions with a docstring": share(sum(f.documented for f in public), len(public)),
        "arguments with an annotation": share(sum(f.annotated for f in found), arguments),
    }


def percentile(values: Sequence[int], percent: int) -> int:
    """Returns the smallest value that `percent` % of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def share(part: int, whole: int) -> str:
    """Formats a part of a whole in per cent."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main() -> None:
    """Prints a table with a column per folder, then the places behind its worst figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", default=FOLDERS, help="default: the three packages")
    folders = {name: read(ROOT / name) for name in parser.parse_args().folders}
    every = [source for sources in folders.values() for source in sources]
    columns = {name: figures(sources) for name, sources in (folders | {"all": every}).items()}
    print(f"| | {' | '.join(columns)} |\n|{' --- |' * (1 + len(columns))}")
    for row in columns["all"]:
        print(f"| {row} | {' | '.join(column[row] for column in columns.values())} |")
    found = sorted((f for s in every for f in functions(s)), key=lambda f: -f.lines)
    print("\nLongest functions:", *(f"  {f.lines:3d} {f.name}" for f in found[:LONGEST]), sep="\n")
    print("\nDuplicated blocks:")
    for one in duplicates(every):
        print(f"  {one.lines:3d} {one.first} and {one.second}")
    print("\nDocstrings that open with What, How or Whether:")
    print(*(f"  {line}" for source in every for line in questions(source)), sep="\n")


def _function(source: Source, node: Definition, visible: bool) -> Function:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if text := _docstring(node):
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    own = [argument for argument in every if argument and argument.arg not in ("self", "cls")]
    return Function(
        f"{source.name}:{node.lineno} {node.name}",
        lines,
        visible and not node.name.startswith("_"),
        text is not None,
        sum(argument.annotation is not None for argument in own),
        len(own),
    )


def _docstring(node: ast.AST) -> ast.Expr | None:
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first if isinstance(first.value.value, str) else None
    return None


def _code_lines(source: Source) -> Iterator[tuple[str, str]]:
    """Yields (path:line, text) of the lines of code, without indentation and comments."""
    ignored: set[int] = set()
    for node in ast.walk(source.tree):
        skipped = node if isinstance(node, ast.Import | ast.ImportFrom) else _docstring(node)
        if skipped:
            ignored |= set(range(skipped.lineno, (skipped.end_lineno or skipped.lineno) + 1))
    lines = source.text.splitlines()
    ends: dict[int, int] = {}  # line -> column after its last token of code
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in LAYOUT:
            for number in range(token.start[0], token.end[0]):
                ends[number] = len(lines[number - 1])
            ends[token.end[0]] = token.end[1]
    for number in sorted(set(ends) - ignored):
        if number <= len(lines) and (text := lines[number - 1][: ends[number]].strip()):
            yield f"{source.name}:{number}", text


if __name__ == "__main__":
    main()
