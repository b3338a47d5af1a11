"""Start-up: importing a room does not load SciPy, and the command does not load NumPy to print its help.

SciPy takes longer to load than NumPy does, and is imported where it is first needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIGHT = ("functional", "nn", "models", "objectives", "optim", "text", "training", "gradcheck")


def loaded(program: str) -> set[str]:
    """Run a program in a fresh Python; return which of NumPy and SciPy it has loaded."""
    code = f"import sys\n{program}\nprint('|', *(n for n in ('numpy', 'scipy') if n in sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stdout.rpartition("|")[2].split())


def test_no_room_loads_scipy_before_it_is_needed():
    assert loaded("\n".join(f"import npformer.{room}" for room in LIGHT)) == {"numpy"}


def test_inference_in_float32_does_without_scipy():
    sizes = "vocab_size=9, d_model=4, n_heads=2, d_ff=8, n_layers=1, max_positions=5"
    program = (
        "from npformer.models import Encoder, EncoderConfig, encode\n"
        f"model = Encoder(EncoderConfig({sizes}))\n"
        "assert encode(model, [[1, 2], [3]]).shape == (2, 4)"
    )
    assert loaded(program) == {"numpy"}


@pytest.mark.parametrize("what", ["import npformer", "import npformer.cli\nnpformer.cli.main(['--help'])"])
def test_the_package_and_the_help_load_neither(what):
    assert loaded(what) == set()
