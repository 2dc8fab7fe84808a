"""What holds words, sizes and docs to their rules, besides ruff, mypy and import-linter.

Not installed on a gate. Each tool is run from the root: `python -m tools.words`,
`python -m tools.sizes`, `python -m tools.docs_truth`.
"""
