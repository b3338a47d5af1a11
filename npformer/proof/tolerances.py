"""How exact is exact: every tolerance of the proof, named once.

An error is max |a - n| over the larger of max |n| of its own tensor and a thousandth of the largest |n| over
all the tensors of the op or model (`npformer.gradcheck.error_of`).
"""

FINITE_DIFFERENCES = 1e-10  # the 9-point stencil itself is good to about 1.5e-11 (the hardest case measured)
COMPLEX_STEP = 1e-13  # no subtraction, so rounding alone; of one op
COMPLEX_STEP_OF_A_MODEL = 1e-12  # the same after some forty ops in a row
STORED = 1e-12  # against PyTorch in float64: two orders of summation, both rounded
FLOAT32 = 2e-6  # float32 against float64 at the same inputs: about 17 times float32's half ulp
KNOWN_ZERO = 1e-14  # a gradient known to be zero, of the largest gradient of its op or model
GOLDEN = 1e-13  # the stored values against the same PyTorch program run again

TRAJECTORY_LOSS = 1e-12  # of every one of the 100 steps of a training run
TRAJECTORY_PARAMETERS = 1e-11  # after the last step
# The gradient of a key bias is exactly zero, so what reaches Adam is rounding noise, and Adam divides it by
# its own size: such a bias walks at random, in npformer as in PyTorch, each its own way.
TRAJECTORY_KEY_BIASES = 1e-9
