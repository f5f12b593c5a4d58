"""Which observer serves a network: measured at its outputs, on samples that did not set the ranges.

Squared error of a tensor does not say what a range costs: what it cuts off is little of the tensor and may be what the
next layers go by, more so in samples not seen; at few bits fine steps count more. So each half of the calibration
samples sets the ranges once, and the other half judges them.
"""

from __future__ import annotations

import numpy as np

from codesign.quantize.calibrate import halves, spread
from codesign.quantize.candidates import output_errors
from codesign.quantize.insert import insert
from codesign.quantize.precision import Precision
from codesign.quantize.prepare import Prepared

MEASURED = "measured"
LEAST_SAMPLES = 16  # in each half; fewer do not judge
MOST_SAMPLES = 250  # of each half
MOST_ELEMENTS = 1 << 22  # of the widest tensor, over all samples
OTHERWISE = "mse"
TRIED = ("mse", "min-max")  # the others cut off more than either


def best_observer(found: Prepared, precision: Precision) -> str:
    """The observer with which the activations' codes alone cause least error at the outputs."""
    parts = halves(found.samples)
    if min(len(x) for part in parts for x in part.values()) < LEAST_SAMPLES:
        return OTHERWISE
    count = min(MOST_SAMPLES, max(LEAST_SAMPLES, MOST_ELEMENTS // found.real.widest))
    errors = np.zeros(len(TRIED))
    for seen, other in zip(found.halves, reversed(parts)):
        trimmed = [h.trimmed for h in seen]
        codes = [found.codes(precision, observer, trimmed) for observer in TRIED]
        graphs = [insert(found.real, (), {}, found.points, c, {}) for c in codes]
        errors += output_errors(found.real, graphs, spread(other, count))
    return TRIED[int(errors.argmin())]
