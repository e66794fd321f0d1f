"""One run at a destination at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deploy.batch import claim as claims
from deploy.batch.claim import Claim, claimed
from deploy.batch.errors import BatchError
from deploy.batch.scoring import score_chunk
from deploy.batch.storage import Folder
from tests.batch.files import job, labels, logits, visible, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def out(tmp_path: Path) -> Folder:
    """Return a destination."""
    return Folder(f"{tmp_path}/out")


def dead() -> Claim:
    """Return the claim of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    claim = Claim("a", process=process.pid, started=claims.started(process.pid))
    process.communicate(b"\n")
    return claim


@pytest.mark.parametrize(("digest", "told"), [("a", "the same command"), ("b", "another command")])
def test_a_second_run_is_refused_with_the_name_of_the_first(out: Folder, digest: str, told: str) -> None:
    with claimed(out, "a") as claim:
        with pytest.raises(BatchError, match=rf"is in use: process {os.getpid()} on {claim.host} runs {told} since"):
            claimed(out, digest).__enter__()
        claim.check(out)
    with claimed(out, digest):
        pass
    assert out.entries("_claims") == []


def test_a_dead_process_of_this_machine_loses_its_claim(out: Folder) -> None:
    other = dead()
    other.write(out)
    with claimed(out, "a"), pytest.raises(BatchError, match="Another run took"):
        other.check(out)


def test_a_later_process_with_the_same_number_is_not_the_owner(out: Folder) -> None:
    Claim("a", started="1").write(out)
    with claimed(out, "a"):
        assert len(out.entries("_claims")) == 1


@pytest.mark.parametrize(("silent", "void"), [(claims.SILENCE - 20, False), (claims.SILENCE + 20, True)])
def test_another_machine_loses_its_claim_after_a_silence(out: Folder, silent: float, *, void: bool) -> None:
    other = replace(dead(), machine="elsewhere", host="elsewhere")
    other.write(out)
    then = time.time() - silent
    os.utime(out.at(other.name), (then, then))
    if void:
        with claimed(out, "a"):
            assert len(out.entries("_claims")) == 1
    else:
        with pytest.raises(BatchError, match=r"process \d+ on elsewhere"):
            claimed(out, "a").__enter__()
        assert [entry.name for entry in out.entries("_claims")] == [other.name]


def test_a_claim_is_renewed_while_its_run_goes_on(out: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEWAL", 0.02)
    with claimed(out, "a") as claim:
        first = out.modified(claim.name)
        end = time.monotonic() + 10
        while out.modified(claim.name) == first:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_claim_that_was_taken_is_not_renewed(out: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEWAL", 0.02)
    with claimed(out, "a") as claim:
        out.remove(claim.name)
        time.sleep(0.2)
        assert out.entries("_claims") == []


def test_a_worker_without_a_claim_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", logits=logits(0, 5), targets=labels(0, 5))
    asked = job(tmp_path)
    claim = Claim(asked.digest)
    with pytest.raises(BatchError, match="Another run took"):
        score_chunk(asked, claim, tuple(asked.source.entries()))
    assert visible(tmp_path / "out") == set()
    assert not (tmp_path / "out/_receipts").exists()
