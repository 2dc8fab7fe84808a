"""Hold the docs against the tree: what a page names must exist.

    python -m tools.docs_truth [PATH...]      every falsehood as file:line: text: why; exit 1 if any

Checked in README.md, CONTRIBUTING.md, SECURITY.md and docs/*.md, in code spans and blocks: commands
with their options and arguments, make targets, paths, configuration keys, symbols with their
arguments, JSON keys, environment variables, quoted messages; in all Markdown: links and anchors; in
comments and docstrings of code and configuration: names of pages, of their sections, and of files.

Of docs/decisions only links and paths are checked, since a reader follows these: the rest is a
record of its day, which may name what a later decision removed. Not checked at all: CHANGELOG.md
(history) and findings/ (scripts about other projects). Names of other projects are in foreign.py.
"""
