"""The checker of the docs bites on each kind of falsehood, and leaves what is true alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.docs_truth.__main__ import main
from tools.docs_truth.check import falsehoods
from tools.docs_truth.commands import Commands
from tools.docs_truth.index import Index
from tools.docs_truth.markdown import parse
from tools.docs_truth.spans import Spans

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def spans() -> Spans:
    return Spans(Index(ROOT), Commands(ROOT))


@pytest.mark.parametrize(
    ("span", "why"),
    [
        # commands, options, values
        ("turnike chek", "turnike has no command chek"),
        ("turnike check --configuration x.toml", "turnike check has no option --configuration"),
        ("turnike lane now", "turnike lane takes no argument now"),
        ("sudo -u turnike turnike list shew", "turnike list has no command shew"),
        ("firmware-sim pn532 --timing fast", "firmware-sim pn532 --timing: fast is none of"),
        ("turnike-backoffice init city --devel", "turnike-backoffice init has no option --devel"),
        ("turnike-backoffice rotate stamp", "turnike-backoffice rotate"),
        ("turnike check && turnike lain", "turnike has no command lain"),
        ("publish --wach", "publish has no option --wach"),
        ("--once-more", "no command has an option --once-more"),
        ("make tests", "the Makefile has no target tests"),
        ("make demo TAP=200", "the Makefile reads no TAP"),
        ("python -m benchmark", "there is no module benchmark"),
        ("python -m benchmarks --onely wire", "benchmarks reads no option --onely"),
        ("pip install turnike[console]", "no package index has turnike"),
        ("pip install .[consoles]", "there is no extra consoles"),
        # paths
        ("validator/lane/clark.py", "there is no validator/lane/clark.py"),
        ("domain/decisions.py", "there is no domain/decisions.py"),
        ("tests/contract", "there is no tests/contract"),
        ("deploy/nginx/*.cfg", "there is no deploy/nginx/*.cfg"),
        ("docs/one-tab.md", "there is no docs/one-tab.md"),
        ("__init__.py", "files are called so: name the folder too"),
        ("acepted.json", "no program makes a acepted.json"),
        ("GET /metric", "no program serves /metric"),
        ("/v1/report", "no program serves /v1/report"),
        ("POST /v1/gates/{id}", "no program serves /v1/gates/{id}"),
        ("tests/docs/test_docs_truth.py::test_no", "tests/docs/test_docs_truth.py has no test_no"),
        ("validator/lane/clerk.py:Clark", "validator/lane/clerk.py has no Clark"),
        ("/var/lib/turnike-offices/city", "the code does not have /var/lib/turnike-offices"),
        ("turnike-line@1.service", "there is no turnike-line@1.service"),
        # keys of the configuration
        ("[uploads]", "neither configuration has a section [uploads]"),
        ("[list] recents", "[list] has no key recents"),
        ("[log] ground = true", "[log] has no key ground"),
        ("courier.uri", "[courier] has no key uri"),
        ('seal_key = "x.pub"', "no section has a key seal_key"),
        # symbols
        ("validator.domain.decision.decides", "validator.domain.decision has no decides"),
        ("validator.domains.Rule", "validator has no domains"),
        ("tests.simulation.stampedes", "tests.simulation has no stampedes"),
        ("Passage.handles(event)", "Passage has no handles"),
        ("Passage.handle(an_event)", "no handle takes an_event"),
        ("Config.reader.speed", "ReaderConfig has no speed"),
        ("ReaderConfig(speed=1)", "no ReaderConfig takes speed"),
        ("decides_all()", "no function is called decides_all"),
        ("BoardLinks", "nothing is called BoardLinks"),
        ("told_before_durably", "nothing is called told_before_durably"),
        ('{"puts_aside": n}', "nothing is called puts_aside"),
        ("turnike_lane_ups", "nothing is called turnike_lane_ups"),
        # messages
        ("the back office knows not this gate's key", "no program displays this"),
        ("something nearby, not the receiver, answered 403", "no program displays this"),
    ],
)
def test_a_name_that_does_not_exist_is_found(spans: Spans, span: str, why: str) -> None:
    fault = spans.fault(span)
    assert fault is not None
    assert fault.startswith(why) or why in fault


@pytest.mark.parametrize(
    "span",
    [
        "turnike check --config validator.toml",
        "turnike list show",
        "turnike-backoffice suspend 04112233445566 --for 10d",
        "turnike-backoffice rotate …",
        "sudo -u turnike-office turnike-backoffice publish --watch --every 30",
        "firmware-sim pn532 --timing ideal|real",
        "firmware-sim board --help",
        "publish --watch",
        "--watch",
        "make demo TAPS=2000 CHAOS=1",
        "python -m benchmarks --only wire",
        "python -m venv .venv",
        "pip install '.[console]'",
        "curl -s https://…/metadata/timestamp.json",
        "validator/domain",
        "domain/passage.py",
        "tests/contracts",
        "deploy/systemd/*.service",
        "accepted.json",
        "/var/lib/turnike-office/city",
        "/etc/turnike/validator.toml",
        "/media/stick-d",
        "turnike-lane@1.service",
        "<list_version>.manifest.json",
        "1.17.manifest.json",
        "/v1/openapi.json",
        "POST /v1/gates/{id}/status",
        "[upload]",
        "[[rules]]",
        "[log] grounds = true",
        "list.recent",
        "hold_ms",
        "Passage.handle(event)",
        "validator.domain.decision.decide",
        "Config.reader.baud",
        "tests.simulation.stampede",
        "ReaderConfig(baud=115_200)",
        "validator/lane/clerk.py::Clerk",
        '{"watching": true}',
        "the back office does not know this gate's key; turnike enroll",
        "something between, not the receiver, answered 403",
        "04 11 22 33",
        "µs",
    ],
)
def test_a_name_that_exists_is_left_alone(spans: Spans, span: str) -> None:
    assert spans.fault(span) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("    turnike check   --config validator.toml    what is wrong", None),
        ("    make demo              a city and one gate", None),
        ("    turnike-backoffice init city --development    # a back office", None),
        ("    $ turnike reports shew     what waits", "turnike reports has no command shew"),
        ("    cp deploy/nginx/none.conf /etc/nginx", "there is no deploy/nginx/none.conf"),
        ("    from validator.domain import decision, deciding", "validator.domain has no deciding"),
        ("    import validator.domains", "validator has no domains"),
        ("    from os import nothing", None),
        ("    a command was suspended for 12 s", None),
    ],
)
def test_a_line_of_a_block_is_checked_up_to_its_description(
    spans: Spans, line: str, why: str | None
) -> None:
    assert spans.fault_of_line(line) == why


@pytest.mark.parametrize(
    ("block", "faults"),
    [
        ("[curier]\nurl = 'x'", ["neither configuration has a section [curier]"]),
        ("[reports]\nreserve_mb = 1\nreserv_mb = 1  # MB", ["[reports] has no key reserv_mb"]),
        ("[[rules]]\nname = 'a'\nefect = 'refuse'", ["[rules] has no key efect"]),
        ("addresses = ['x']", []),
        ("addreses = ['x']", ["no section has a key addreses"]),
        ("turnike lane = the lane", []),
    ],
)
def test_a_block_of_configuration_has_keys_that_exist(
    spans: Spans, block: str, faults: list[str]
) -> None:
    assert list(spans.faults_of_block(block)) == faults


def test_a_whole_configuration_in_a_page_is_checked_as_the_gate_does(spans: Spans) -> None:
    example = (ROOT / "config/validator.example.toml").read_text(encoding="utf-8")
    assert list(spans.faults_of_block(example)) == []
    (fault,) = spans.faults_of_block(example.replace('missing = "deny"', 'missing = "shut"'))
    assert "list.missing" in fault


def test_a_page_is_parsed_into_spans_code_links_and_headings() -> None:
    page = parse(
        "# A *head*: one\n\nText `a\nb` and ``c`d``, [link `x`](to.md#it)\n\n    code `no`\n\n"
        "    more\n\n```sh\nfenced\n```\n## A *head*: one\n* item\n    goes on `e`\n\n"
        "[r]: other.md\n"
    )
    assert page.spans == [(3, "a b"), (4, "c`d"), (4, "x"), (15, "e")]
    assert [line for line in page.code_lines if line[1]] == [
        (6, "    code `no`"),
        (8, "    more"),
        (11, "fenced"),
    ]
    assert page.links == [(4, "to.md#it"), (17, "other.md")]
    assert page.anchors == {"a-head-one", "a-head-one-1"}


TREE = {
    "README.md": "[a](docs/a.md#one) [b](docs/b.md) [c](docs/a.md#two) [d](#no) `TURNIKE_HOUSE`\n",
    "docs/a.md": (
        "# One\n\n[up](../README.md) [out](https://example.org/x.md) `make nothing`\n"
        "`lane/x.py` `y.py`\n`y.py`\nturnike_lane_upp and turnike_lane_up\n\n"
        "By turnike\nreport, not `turnike` as ever, nor turnike check.\n\n"
        "    [list]\n    folders = 1\n"
    ),
    "docs/decisions/0001-x.md": "`turnike gone` `gone.py` [gone](gone.md) `x.py`\n",
    "findings/README.md": "`gone.py`\n",
    "CHANGELOG.md": "`gone.py`\n",
    "validator/lane/x.py": (
        '"""See docs/a.md, "One", and docs/a.md ("Two").\n\nThe loop (loops.py) is in lane/x.py.\n'
        '"""\n\n# docs/decisions/0001 and decisions/0002\nNAME = "see docs/b.md or made.py"\n'
        'HELP = f"{NAME} shows turnike chek, turnike check"\n'
    ),
    "validator/lane/y.py": "",
    "validator/y.py": "",
    "config/x.example.toml": "# `hold_msec` and list.folder, list.folders, www.example.org\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(re.sub(r"  #.*", "", project))
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_links_anchors_references_variables_and_settings_are_checked(tree: Path) -> None:
    assert [str(each) for each in falsehoods(tree)] == [
        "README.md:1: #no: README.md has no heading #no",
        "README.md:1: TURNIKE_HOUSE: no program has this variable or metric",
        "README.md:1: `TURNIKE_HOUSE`: nothing is called TURNIKE_HOUSE",
        "README.md:1: docs/a.md#two: docs/a.md has no heading #two",
        "README.md:1: docs/b.md: there is no docs/b.md",
        "config/x.example.toml:1: hold_msec: nothing is called hold_msec",
        "config/x.example.toml:1: list.folders: [list] has no key folders",
        "docs/a.md:3: `make nothing`: the Makefile has no target nothing",
        "docs/a.md:5: `y.py`: 2 files are called so: name the folder too",
        "docs/a.md:6: turnike_lane_up: no program has this variable or metric",
        "docs/a.md:6: turnike_lane_upp: no program has this variable or metric",
        "docs/a.md:8: turnike report: turnike has no such command",
        "docs/a.md:11: [list]: [list] has no key folders",
        "docs/decisions/0001-x.md:1: `gone.py`: there is no gone.py",
        "docs/decisions/0001-x.md:1: gone.md: there is no docs/decisions/gone.md",
        'validator/lane/x.py:1: docs/a.md ("Two": docs/a.md has no section "Two"',
        "validator/lane/x.py:3: loops.py: there is no loops.py",
        "validator/lane/x.py:6: decisions/0002: there is no docs/decisions/0002",
        "validator/lane/x.py:7: docs/b.md: there is no docs/b.md",
        "validator/lane/x.py:8: turnike chek: turnike has no such command",
    ]


def test_the_program_checks_the_paths_it_is_given(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    assert main(["docs/a.md"]) == 1
    assert main(["findings"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "docs/a.md:3: `make nothing`: the Makefile has no target nothing",
        "docs/a.md:5: `y.py`: 2 files are called so: name the folder too",
        "docs/a.md:6: turnike_lane_up: no program has this variable or metric",
        "docs/a.md:6: turnike_lane_upp: no program has this variable or metric",
        "docs/a.md:8: turnike report: turnike has no such command",
        "docs/a.md:11: [list]: [list] has no key folders",
        "6 false",
        "0 false",
    ]
    monkeypatch.chdir("/")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
