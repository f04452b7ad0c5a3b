"""`fleet run --engine dask` before anything is handed out, and what a worker refuses."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import __version__
from gt_conformance.engines import _dask
from tests.commands import in_process

SOMEWHERE = "tcp://127.0.0.1:9"
"""Nobody listens there."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a fleet file."""
    (tmp_path / "fleet.yaml").write_text("tenants: {acme: {file: acme.yaml}}")
    (tmp_path / "acme.yaml").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--engine", "dask"), "--engine dask and --scheduler go together"),
        (("--scheduler", SOMEWHERE), "--engine dask and --scheduler go together"),
        (("--engine", "dask", "--scheduler", SOMEWHERE, "--shard", "1/2"), "Dask shares the tenants out by itself"),
        (("--engine", "dask", "--scheduler", SOMEWHERE, "--tls-ca", "fleet.yaml"), "tcp:// none of them"),
        (("--engine", "dask", "--scheduler", "tls://127.0.0.1:9"), "tls:// takes --tls-ca, --tls-cert and --tls-key"),
        (("--engine", "dask", "--scheduler", SOMEWHERE), f"--scheduler {SOMEWHERE}"),
        (("--engine", "dask", "--scheduler", "what"), "--scheduler what"),
    ],
)
def test_a_scheduler_that_cannot_be_used_is_refused(
    words: tuple[str, ...], says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sentence, and nothing is written."""
    monkeypatch.setattr(_dask, "_PATIENCE_S", 0.5)
    refused = in_process("fleet", "run", "fleet.yaml", "--out", "out", *words, cwd=folder)
    assert (refused.code, refused.stdout, (folder / "out").exists()) == (4, "", False)
    assert says in refused.said
    assert "Traceback" not in refused.said


def test_what_is_not_installed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base install has no Dask: one line says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ("--engine", "dask", "--scheduler", SOMEWHERE)
    refused = in_process("fleet", "run", "fleet.yaml", "--out", "out", *words, cwd=folder)
    assert (refused.code, "Install gt-conformance[fleet]." in refused.said) == (4, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "0.0.9"}, f"it has gt-conformance {__version__}, and the command 0.0.9"),
        ({"directory": "/nowhere"}, "it has no folder /nowhere: all workers have to share it"),
        ({"digest": "0" * 64}, "is not the file that the command read"),
        ({"fleet": "/nowhere/fleet.yaml"}, "/nowhere/fleet.yaml cannot be read"),
        ({"tenants": ("emca",)}, "there is no tenant 'emca'"),
    ],
)
def test_a_worker_that_differs_refuses_its_batch(change: dict[str, Any], says: str, folder: Path) -> None:
    """Another version, another fleet file, or no such folder: what it would record is worth nothing."""
    file = folder / "fleet.yaml"
    mine = _dask.Batch(
        fleet=str(file),
        digest=_dask.digest_of(file),
        version=__version__,
        directory=str(folder),
        night="2026-11-27",
        at_once=1,
        shards=1,
        part="00000-of-00001",
        tenants=("acme",),
    )
    with pytest.raises(_dask.BatchFailed, match="the worker on ") as refused:
        _dask.judge_batch(replace(mine, **change))
    assert says in str(refused.value)
    assert refused.value.__context__ is None
