"""``python -m npformer.proof.make_golden``: make the numbers that the proof compares with, out of PyTorch.

Everything is computed by PyTorch's own ops and its autograd, in float64; where PyTorch has no such op, by the
formula in plain tensors. Nothing outside this folder imports PyTorch, and nothing imports this folder.
"""
