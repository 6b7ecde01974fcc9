"""Commands of the command line, run without a new process."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from timbrec.cli.main import main


def in_process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The exit code and output of a command; a new process would import everything again."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["timbrec", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess([], int(ended.value.code or 0), out.getvalue(), err.getvalue())
