"""One peer in a process of its own: says what it is, then makes one step of its work whenever it is asked.

Started by children.py. One JSON object a line: in comes {"step": number}, out goes
{"seconds", "result", "others"}, the result a loss or some of the outputs, the last of them the processor time
of other processes; the first line out says what the peer is, or {"missing": what}; the answer to
{"stop": true} is the peak memory and, after training, the norm of the weights.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # this checkout of npformer, installed or not

PEERS = {  # work: {name: (module, keywords of its Peer)}
    "training": {
        "npformer": ("by_npformer", {}),
        "npformer-recomputing": ("by_npformer", {"recompute": True}),
        "npformer-padded": ("by_npformer", {"padded": True}),
        "torch-tail": ("by_torch", {"tail": True}),
        "torch": ("by_torch", {"tail": False}),
        "torch-compiled": ("by_torch", {"tail": True, "compiled": True}),
        "jax": ("by_jax", {}),
        "huggingface": ("by_huggingface", {}),
        "products": ("by_products", {}),
    },
    "inference": {
        "npformer": ("encoding_by_npformer", {}),
        "torch": ("encoding_by_torch", {}),
        "torch-compiled": ("encoding_by_torch", {"compiled": True}),
        "jax": ("encoding_by_jax", {}),
        "huggingface": ("encoding_by_huggingface", {}),
    },
    "decoding": {
        "npformer": ("decoding_by_npformer", {}),
        "huggingface": ("decoding_by_huggingface", {}),
        "huggingface-generate": ("decoding_by_huggingface", {"generate": True}),
    },
    "layer": {
        "npformer": ("layer_by_npformer", {}),
        "torch": ("layer_by_torch", {}),
        "autograd": ("layer_by_autograd", {}),
        "pydynet": ("layer_by_pydynet", {}),
        "neuralnetlib": ("layer_by_neuralnetlib", {}),
    },
}


def main(work: str, peer: str, sizes: str, threads: int, dropout: float, padding: bool) -> None:
    """Serve steps until told to stop."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes elsewhere

    def answer(**values: object) -> None:
        answers.write(json.dumps(values) + "\n")

    module, keywords = PEERS[work][peer]
    try:
        peer_module = importlib.import_module(module)
        import workload
    except ImportError as error:
        answer(missing=f"{error}: pip install '.[peers]'")
        return
    s = workload.SIZES[sizes]
    makers = {"inference": workload.make_sequences, "decoding": workload.make_prompt}
    of_training = functools.partial(workload.make_batch, padding=padding)
    forward_only = work in makers
    worker = peer_module.Peer(s, threads, *([] if forward_only else [dropout]), **keywords)
    make = makers.get(work, of_training)
    answer(**worker.about())
    for line in sys.stdin:
        request = json.loads(line)
        if "stop" in request:
            break
        batch = worker.prepare(make(s, request["step"]))
        others, start = cpu_of_others(), time.perf_counter()
        result = worker.step(batch)
        seconds = time.perf_counter() - start
        others = cpu_of_others() - others
        result = worker.excerpt(result, batch) if forward_only else result
        answer(seconds=seconds, result=result, others=others)
    norm = None if forward_only else worker.norm_of_weights()
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
        *names, of_threads, of_dropout, of_batch = sys.argv[1:]
        main(*names, int(of_threads), float(of_dropout), of_batch == "padding")
