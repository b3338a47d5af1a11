"""The structure of the package: imports point one way, and importing it costs nothing."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "npformer"

# room -> rooms it may import (DESIGN: cli -> teaching, proof, training, generation, interop -> diagnosis,
# objectives -> models -> nn -> functional; gradcheck, optim, scores and text are leaves)
ARROWS: dict[str, set[str]] = {
    "functional": set(),
    "gradcheck": set(),
    "optim": set(),
    "scores": set(),
    "text": set(),
    "nn": {"functional"},
    "models": {"nn", "functional"},
    "objectives": {"models", "nn", "functional"},
    "interop": {"models", "nn", "functional"},
    "training": {"objectives", "models", "nn", "functional", "optim", "scores", "text"},
    "finetuning": {
        "training",
        "generation",
        "objectives",
        "models",
        "nn",
        "functional",
        "optim",
        "text",
        "scores",
    },
    "generation": {"models", "nn", "functional", "text"},
    "proof": {"objectives", "models", "nn", "functional", "optim", "gradcheck"},
    "diagnosis": {"functional", "gradcheck", "optim"},
    "testing": {"diagnosis", "gradcheck", "proof", "functional"},
    "teaching": {
        "diagnosis",
        "gradcheck",
        "proof",
        "objectives",
        "models",
        "nn",
        "functional",
        "optim",
        "text",
        "training",
    },
    "cli": {
        "teaching",
        "finetuning",
        "generation",
        "diagnosis",
        "testing",
        "training",
        "proof",
        "objectives",
        "models",
        "nn",
        "functional",
        "optim",
        "scores",
        "text",
        "gradcheck",
    },
}
# formulas older than any paper on Transformers
SCHOOL_FORMULAS = {"linear", "embedding", "tanh", "sigmoid", "log_softmax", "mse_loss"}
SCHOOL_FORMULAS |= {"binary_cross_entropy_with_logits"}
# may be imported by any room but functional and gradcheck
SHARED_FILES = {"_allocator", "_files", "_threads"}
OUTSIDE = {"numpy", "scipy"}
# imported inside functions, where they are missed in one line
OPTIONAL = {"threadpoolctl", "matplotlib", "torch", "jax", "mpi4py"}
# imported by its own name by whoever has the package it is for
MADE_FOR = {("testing", "strategies.py"): "hypothesis"}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Return (dotted module, whether at module level) for each import in a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    tree = parsed(path)
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            if module == "npformer":
                found += [(f"npformer.{alias.name}", id(node) in top) for alias in node.names]
            else:
                found.append((module, id(node) in top))
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room not in ARROWS:
        assert path.parent == PACKAGE, f"{room} is a room without arrows: add it to ARROWS"
        return
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "npformer" and len(parts) > 1 and parts[1] != room:
            allowed = ARROWS[room] | (SHARED_FILES if room not in ("functional", "gradcheck") else set())
            allowed |= {"__version__"}
            assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_numpy_and_scipy_are_needed(path: Path) -> None:
    makes_golden_values = "make_golden" in path.parts
    for module, top_level in imports(path):
        name = module.split(".")[0]
        if name == "npformer" or name in sys.stdlib_module_names or name in OUTSIDE:
            continue
        if makes_golden_values and name == "torch" or MADE_FOR.get((path.parent.name, path.name)) == name:
            continue
        assert name in OPTIONAL, f"{path.relative_to(ROOT)} imports {name}"
        assert not top_level, f"{path.relative_to(ROOT)} imports {name} before it is needed"


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        tree = parsed(path)
        assert "pickle" not in {module.split(".")[0] for module, _ in imports(path)}, path
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert "allow_pickle" in {keyword.arg for keyword in node.keywords}, path


def test_every_file_is_on_one_topic_and_short() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := len(p.read_text().splitlines())) > 420}
    assert not long


def test_import_loads_neither_numpy_nor_scipy() -> None:
    code = "import sys, npformer; print('numpy' in sys.modules, 'scipy' in sys.modules, npformer.__version__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.split()[:2] == ["False", "False"]


def test_the_lazy_names_resolve() -> None:
    import npformer

    for name in npformer.__all__:
        assert getattr(npformer, name) is not None
    with pytest.raises(AttributeError, match="no_such_room"):
        npformer.no_such_room  # noqa: B018


def test_every_folder_but_the_commands_is_a_lazy_name() -> None:
    import npformer

    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli"}
    assert folders - set(npformer.__all__) == set()


def test_every_public_function_of_functional_has_its_sections() -> None:
    from npformer import functional

    for name in functional.__all__:
        function = getattr(functional, name)
        if isinstance(function, type):
            continue
        doc = function.__doc__ or ""
        for section in ("Parameters", "Returns", "Examples"):
            assert section in doc, f"{name} lacks {section}"
        if not name.endswith(("_backward", "_rows")):
            assert "Raises" in doc, f"{name} lacks Raises"
            assert "References" in doc or name in SCHOOL_FORMULAS, f"{name} lacks References"
