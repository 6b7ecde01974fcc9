"""The code in README and CONTRIBUTING runs as it stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import small_world
from timbrec import catalog
from timbrec.audit.contract import check_encoder
from timbrec.encoders import find, load

ROOT = Path(__file__).parent.parent


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_world.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("README.md", "python")
    assert len(example.strip().splitlines()) < 15
    exec(compile(example, "README.md", "exec"), {})
    assert "report.html" in capsys.readouterr().out


def test_the_config_of_the_readme_is_valid(tmp_path: Path) -> None:
    from timbrec.study.config import read_config

    (example,) = blocks("README.md", "yaml")
    (tmp_path / "config.yaml").write_text(example)
    assert read_config(tmp_path / "config.yaml").recommenders


def recipes() -> dict[str, tuple[str, str, catalog.Part]]:
    """kind -> (source, name, part) of each recipe: a block with a file, then one with the line for the catalogue."""
    parts = {}
    recipe_blocks = blocks("CONTRIBUTING.md", "python")
    for source, line in zip(recipe_blocks[::2], recipe_blocks[1::2], strict=True):
        (kind,) = re.findall(r'under "(\w+)"', line)
        ((name, part),) = eval(line.splitlines()[1], {"Part": catalog.Part}).items()
        assert source.startswith(f"# src/{part.target.split(':')[0].replace('.', '/')}.py")
        parts[kind] = (source, name, part)
    return parts


@pytest.fixture(
    params=[*(pytest.param(kind, marks=pytest.mark.slow) for kind in ("metrics", "recommenders")), "encoders"]
)
def recipe(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """The recipe's file in a folder of its own and its line in the catalogue; gives kind and name."""
    source, name, part = recipes()[request.param]
    module = part.target.split(":")[0]
    file = tmp_path / f"{module.rpartition('.')[2]}.py"
    file.write_text(source)
    package = import_module(module.rpartition(".")[0])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setitem(catalog.CATALOG[request.param], name, part)
    yield request.param, name
    sys.modules.pop(module, None)


def test_a_part_made_by_the_recipe_works(recipe: tuple[str, str], tmp_path: Path) -> None:
    kind, name = recipe
    if kind == "encoders":
        assert [finding.name for finding in check_encoder(load(name)) if not finding.passed] == []
        return
    import timbrec

    changes = {"metrics": ["ndcg", name]} if kind == "metrics" else {"recommenders": ["knn", name]}
    result = timbrec.bench(small_world.write(tmp_path, **changes))
    column, label = ("metric", f"{name}@20") if kind == "metrics" else ("recommender", name)
    rows = result.summary.filter(**{column: label}, scenario="hot").drop_nulls("value")
    assert len(rows)
    assert rows["value"].is_between(0, 1).all()


def test_the_table_of_encoders_agrees_with_the_cards() -> None:
    text = (ROOT / "docs/encoders.md").read_text(encoding="utf-8")
    table = text.split("| name | rate |")[1].split("\n\n")[0]
    rows = {row.split("|")[1].strip(" `"): row.split("|") for row in table.splitlines() if row.startswith("| `")}
    for name in catalog.CATALOG["encoders"]:
        card, row = find(name).card, [cell.strip() for cell in rows[name]]
        assert row[2:5] == [
            f"{card.rate / 1000:g} kHz" if card.rate else "–",
            f"{card.window:g} s" if card.window else "–",
            f"{card.dim:,}",
        ]
        assert row[-2] == ("yes" if card.commercial else "no")


def test_the_encoder_in_ten_lines_is_one(tmp_path: Path) -> None:
    source = next(block for block in blocks("docs/encoders.md", "python") if "class Loudness" in block)
    (tmp_path / "loudness.py").write_text(source)
    encoder = load(f"{tmp_path / 'loudness.py'}:Loudness")
    assert {finding.name for finding in check_encoder(encoder) if not finding.passed} <= {"very short", "mono"}
