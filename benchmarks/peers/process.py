"""One peer in a process of its own: says what it is, then makes one training step whenever it is asked.

Started by ../training_step.py (and ../layer_peers.py). One JSON object a line: in comes {"step": number},
out goes {"seconds", "loss", "others"}, the last of them the processor time of other processes; the first line
out says what the peer is, or {"missing": what}; the answer to {"stop": true} is the peak memory and the
norm of the weights.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # this checkout of npformer, installed or not

PEERS = {  # name: (module, keywords of its Peer)
    "npformer": ("by_npformer", {}),
    "npformer-recomputing": ("by_npformer", {"recompute": True}),
    "torch-tail": ("by_torch", {"tail": True}),
    "torch": ("by_torch", {"tail": False}),
    "torch-compiled": ("by_torch", {"tail": True, "compiled": True}),
    "jax": ("by_jax", {}),
    "huggingface": ("by_huggingface", {}),
    "products": ("by_products", {}),
}
LAYER_PEERS = {  # of one layer alone: started by ../layer_peers.py
    "layer-npformer": ("layer_by_npformer", {}),
    "layer-torch": ("layer_by_torch", {}),
    "layer-autograd": ("layer_by_autograd", {}),
    "layer-pydynet": ("layer_by_pydynet", {}),
    "layer-neuralnetlib": ("layer_by_neuralnetlib", {}),
}


def main(peer: str, sizes: str, threads: int, dropout: float) -> None:
    """Serve steps until told to stop."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes elsewhere

    def answer(**values: object) -> None:
        answers.write(json.dumps(values) + "\n")

    module, keywords = {**PEERS, **LAYER_PEERS}[peer]
    try:
        peer_module = importlib.import_module(module)
        import workload
    except ImportError as error:
        answer(missing=str(error))
        return
    s = workload.SIZES[sizes]
    worker = peer_module.Peer(s, threads, dropout, **keywords)
    answer(**worker.about())
    for line in sys.stdin:
        request = json.loads(line)
        if "stop" in request:
            break
        batch = worker.prepare(workload.make_batch(s, request["step"]))
        others, start = cpu_of_others(), time.perf_counter()
        loss = worker.step(batch)
        seconds = time.perf_counter() - start
        answer(seconds=seconds, loss=loss, others=cpu_of_others() - others)
    norm = worker.norm_of_weights()
    unit = 1 if sys.platform == "darwin" else 1024
    answer(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, norm_of_weights=norm)


def cpu_of_others() -> float:
    """Seconds of processor time everybody else has used since the start; 0 where the system is silent."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(x) for x in fields[:8])
    mine = os.times()
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - mine.user - mine.system


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
