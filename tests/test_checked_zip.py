"""Archives are checked piece by piece: a member of any size takes no memory."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from experiments.checked_zip import PIECE, check, rewritten
from experiments.run.checkpoints.checkpoint_io import read
from lit_models import ConfigError

SIZE = 64 * PIECE


def big(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/small", b"x")
        archive.writestr("model/weights", bytes(SIZE))
    return path


def test_a_member_is_not_held_in_memory(tmp_path: Path) -> None:
    path = big(tmp_path / "big.zip")
    tracemalloc.start()
    check(path)
    peak = tracemalloc.get_traced_memory()[1]
    copy = rewritten(path, "model", lambda name, member: [member.read(1)])
    both = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * PIECE
    assert both < 8 * PIECE
    with zipfile.ZipFile(copy) as archive:
        assert archive.read("model/weights") == b"\0"


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_changed_byte_of_a_checkpoint_is_found_and_a_cut_one_is_refused(tmp_path: Path, place: float) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"weights": torch.zeros(3 * PIECE)}, path)
    whole = bytearray(path.read_bytes())
    whole[int(place * len(whole))] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ConfigError, match="Bad CRC-32"):
        read(path)
    path.write_bytes(whole[: int(place * len(whole))])
    with pytest.raises(ConfigError, match="no checkpoint that can be read here"):
        read(path)
