"""The code in README and CONTRIBUTING runs as it stands."""

from __future__ import annotations

import re
import sys
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


def test_the_python_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    small_world.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("README.md", "python")
    assert len(example.strip().splitlines()) < 15
    exec(compile(example, "README.md", "exec"), {})
    assert "report.html" in capsys.readouterr().out


def test_the_config_of_the_readme_is_valid(tmp_path):
    from timbrec.study.config import read_config

    (example,) = blocks("README.md", "yaml")
    (tmp_path / "config.yaml").write_text(example)
    assert read_config(tmp_path / "config.yaml").recommenders


def recipes() -> dict[str, tuple[str, str, str]]:
    """kind -> (source, name, target) of each recipe: a block with a file, then one with the line for the catalogue."""
    found = {}
    listed = blocks("CONTRIBUTING.md", "python")
    for source, line in zip(listed[::2], listed[1::2], strict=True):
        kind = re.search(r'under "(\w+)"', line)[1]
        ((name, target),) = eval(line.splitlines()[1]).items()
        assert source.startswith(f"# src/{target.split(':')[0].replace('.', '/')}.py")
        found[kind] = (source, name, target)
    return found


@pytest.fixture(params=["metrics", "recommenders", "encoders"])
def recipe(request, tmp_path, monkeypatch):
    """The recipe's file on a path of its own, its line in the catalogue."""
    source, name, target = recipes()[request.param]
    module = target.split(":")[0]
    file = tmp_path / f"{module.rpartition('.')[2]}.py"
    file.write_text(source)
    package = import_module(module.rpartition(".")[0])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setitem(catalog.CATALOG[request.param], name, target)
    yield request.param, name
    sys.modules.pop(module, None)


def test_a_part_made_by_the_recipe_works(recipe, tmp_path):
    kind, name = recipe
    if kind == "encoders":
        assert [one.name for one in check_encoder(load(name)) if not one.passed] == []
        return
    import timbrec

    changes = {"metrics": ["ndcg", name]} if kind == "metrics" else {"recommenders": ["knn", name]}
    result = timbrec.bench(small_world.write(tmp_path, **changes))
    column, label = ("metric", f"{name}@20") if kind == "metrics" else ("recommender", name)
    rows = result.summary.filter(**{column: label}, scenario="hot").drop_nulls("value")
    assert len(rows)
    assert rows["value"].is_between(0, 1).all()


def test_the_table_of_encoders_says_what_the_cards_say():
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


def test_the_encoder_in_ten_lines_is_one(tmp_path):
    source = next(block for block in blocks("docs/encoders.md", "python") if "class Loudness" in block)
    (tmp_path / "loudness.py").write_text(source)
    encoder = load(f"{tmp_path / 'loudness.py'}:Loudness")
    assert {one.name for one in check_encoder(encoder) if not one.passed} <= {"very short", "mono"}
