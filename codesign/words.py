"""Sentences on a build that the terminal and the report share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any


def warnings_of(quantization: Mapping[str, Any]) -> list[str]:
    """What a reader of the accuracy must know: samples that were scored and calibrated with."""
    scored = quantization.get("accuracy")
    if not scored or not scored["in_calibration"]:
        return []
    return [
        f"{scored['in_calibration']} of the {scored['samples']} samples scored ({scored['evaluation']}) are among the "
        f"calibration samples ({quantization['calibration']}), too: on others the accuracy may be lower"
    ]


def calibrated_on(q: Mapping[str, Any]) -> str:
    """Which samples calibrated."""
    part = "" if q["samples"] == q["given"] else f" of {q['given']} (more positions say no more)"
    return f"{q['samples']}{part} calibration samples of {q['calibration']}"


def accuracy_compared(a: Mapping[str, Any]) -> str:
    """Accuracy before and after, with the samples that it is of."""
    return (
        f"accuracy {a['quantized']:.2%}, float {a['float']:.2%} ({100 * (a['quantized'] - a['float']):+.2f} points), "
        f"on {a['samples']} samples of {a['evaluation']}; {a['answers_changed']} answers changed"
    )


def channels_of(channels: Mapping[str, Any]) -> list[str]:
    """Which tensors have more channels in hardware; no line where none has."""
    counts = Counter((wide["of"], wide["channels"]) for wide in channels.values())
    tensors = {key: "one tensor" if n == 1 else f"{n} tensors" for key, n in counts.items()}
    return [
        f"{of} channels are {more} in hardware ({which}): folding divides them better"
        for (of, more), which in tensors.items()
    ]


def limits_of(estimated: Mapping[str, Any]) -> str:
    """What sets a design's rate: its slowest layer, and the resource that a faster one would overrun."""
    slowest, bound = f"slowest layer: {estimated['bottleneck']}", estimated.get("bound")
    if bound is None:
        return slowest
    name = bound["resource"].upper()
    return (
        f"{slowest}; {name} binds: a frame every {bound['interval_cycles']} cycles would take {bound['needs']:,.0f} "
        f"{name} of {bound['budget']:,.0f} allowed"
    )
