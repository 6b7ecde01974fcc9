"""The digest of the package's own code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import timbrec

PACKAGE = Path(timbrec.__file__).parent


def digest_in(folder: Path) -> str:
    """The digest that a copy of the package computes of itself."""
    code = "from timbrec.machine.versions import code_digest; print(code_digest())"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_change_of_any_file_of_the_package_changes_the_digest(tmp_path: Path) -> None:
    copy = tmp_path / "timbrec"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    digests = [digest_in(tmp_path)]
    for file in ("metrics/ndcg.py", "audit/run.py", "recommenders/shared/saving.py", "__init__.py", "report/page.css"):
        with (copy / file).open("a") as source:
            source.write("\n# changed\n")
        digests.append(digest_in(tmp_path))
    (copy / "metrics" / "ndcg.py").rename(copy / "metrics" / "other.py")
    digests.append(digest_in(tmp_path))
    assert len(set(digests)) == len(digests)
