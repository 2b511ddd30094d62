"""``evenhand serve`` of runs and options that cannot be served, and its help."""

import subprocess
import sys
from pathlib import Path

from server_process import free_port, refused


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    port = str(free_port())
    message = refused("--ckpt_path", str(tmp_path), "--port", port)
    assert message.startswith("error: ")
    assert "without checkpoints/best.ckpt" in message
    assert len(message.splitlines()) == 1
    assert "not between 1024 and 65535" in refused("--ckpt_path", "run", "--port", "80")


def test_help_needs_no_torch() -> None:
    program = (
        "import sys; from experiments.__main__ import main; main(['serve', '-h']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "curl localhost:8000/predict" in done.stdout
