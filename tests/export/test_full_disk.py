"""An export that cannot be written: one sentence, whatever library writes the file."""

import errno
import os
import re
from pathlib import Path

from fork_server import server
from paths import REPOSITORY

RUN = REPOSITORY / "tests/stored/run_folders/finished"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """On a full disk the writer of ``torch.export.save`` aborts, and that of ``torch.save`` gives no reason."""
    with server() as forks:
        for format in ("safetensors", "state-dict", "torch-export"):
            words = ["export", "--ckpt_path", str(RUN), "--format", format, "--output", format]
            child = forks.start(words, tmp_path, FILE_SIZE="1500")
            message = f"{format}/?.*: {os.strerror(errno.EFBIG)}; name a file or folder that can be used"
            assert child.wait() == 2
            assert re.search(message, child.output.read_text()), child.output.read_text()
            assert not (tmp_path / format).exists()
