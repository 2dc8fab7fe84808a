"""Whatever the docs name, the tree has: `python -m tools.docs_truth` lists what it has not."""

from pathlib import Path

from tools.docs_truth.check import falsehoods

ROOT = Path(__file__).parents[2]


def test_every_command_path_key_and_symbol_that_the_docs_name_exists() -> None:
    assert [str(falsehood) for falsehood in falsehoods(ROOT)] == []
