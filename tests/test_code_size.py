"""The size of the code: functions and files that can be read in one go."""

import statistics
import textwrap
from pathlib import Path

import pytest

from experiments import code_figures
from experiments.code_figures import ROOT


@pytest.fixture(scope="module")
def sources():
    return [source for name in code_figures.FOLDERS for source in code_figures.read(ROOT / name)]


@pytest.fixture(scope="module")
def functions(sources):
    return [function for source in sources for function in code_figures.functions(source)]


def test_a_function_has_at_most_45_lines(functions):
    assert not [function.name for function in functions if function.lines > 45]


def test_functions_are_short_as_a_rule(functions):
    lengths = [function.lines for function in functions]
    assert statistics.median(lengths) <= 8 and code_figures.percentile(lengths, 90) <= 20


def test_a_file_has_at_most_300_lines(sources):
    assert not {source.name for source in sources if source.text.count("\n") > 300}


def test_docstrings_state_and_do_not_ask(sources):
    assert not [line for source in sources for line in code_figures.questions(source)]


# ---------------------------------------------------------------------------- the counting itself

BODY = "\n".join(f"    total += {i} * x" for i in range(6))


def parsed(tmp_path: Path, **texts: str) -> list[code_figures.Source]:
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    return code_figures.read(tmp_path, tmp_path)


def test_a_function_is_measured_without_its_docstring(tmp_path):
    text = '''
    @decorator
    def f(a, b: int, *, c=1):
        """Adds.

        And more.
        """
        def inner():
            return a
        return inner() + b
    '''
    outer, inner = code_figures.functions(*parsed(tmp_path, a=text))
    assert (outer.lines, outer.documented, outer.public) == (4, True, True)
    assert (outer.annotated, outer.arguments) == (1, 3)
    assert (inner.lines, inner.documented, inner.public) == (2, False, False)


def test_equal_blocks_are_found_whatever_stands_between_their_lines(tmp_path):
    spaced = BODY.replace("\n", "  # why\n\n")
    one, other = f"def f(x, total):\n{BODY}\n", f"import os\ndef g(x, total):\n{spaced}\n"
    (found,) = code_figures.duplicates(parsed(tmp_path, a=one, b=other))
    assert found == ("a.py:2", "b.py:3", 6)


def test_five_equal_lines_and_equal_imports_are_no_duplicate(tmp_path):
    five = "\n".join(BODY.splitlines()[:5])
    imports = "\n".join(f"import module{i}" for i in range(9))
    texts = {name: f"{imports}\ndef {name}(x, total):\n{five}\n" for name in "ab"}
    assert code_figures.duplicates(parsed(tmp_path, **texts)) == []


def test_a_longer_block_and_each_further_copy_count_once(tmp_path):
    longer = "\n".join(f"value{i} = {i}" for i in range(9))
    found = code_figures.duplicates(parsed(tmp_path, **dict.fromkeys("abc", longer + "\n")))
    assert [(one.second, one.lines) for one in found] == [("b.py:1", 9), ("c.py:1", 9)]


def test_docstrings_that_ask_are_listed(tmp_path):
    text = '"""What it is."""\ndef f():\n    """How: so."""\ndef g():\n    """Shows it."""\n'
    found = code_figures.questions(*parsed(tmp_path, a=text))
    assert [line.split()[0] for line in found] == ["a.py:1", "a.py:2"]
