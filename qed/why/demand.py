"""What the diagnosis of a large model takes: bytes, counted before they are allocated, and seconds to the verdict.

The values of one evaluation are counted from the shapes in its graph. Where they are more than the replay may hold, no
tape is kept: what is alive at one time is all that is held, and the way back is walked in segments.
"""

from __future__ import annotations

from qed.answer import Answer, Reason, Standing
from qed.graph.size import bytes_of, in_bytes
from qed.why.finite import memory
from qed.why.prepare import Prepared


def demand(prepared: Prepared) -> dict[str, int]:
    """Bytes of the parameters, of all values of one evaluation, and of those that the replay may hold at one time."""
    return {
        "parameters": bytes_of(prepared.parameters),
        "values": prepared.values,
        "kept": memory(prepared),
    }


def told(counted: dict[str, int], seconds: float) -> Answer[None]:
    """What was counted before the replay, and how long it took from the failing step to the verdict."""
    parameters, values, kept = (in_bytes(counted[name]) for name in ("parameters", "values", "kept"))
    how = "all kept" if counted["values"] <= counted["kept"] else f"more than the {kept} that may be kept: no tape"
    text = f"the parameters take {parameters}, the values of one evaluation {values}, {how}"
    reason = Reason(
        "bytes counted from the shapes before the replay; seconds from the failing step on",
        text=f"the verdict came {seconds:.2g} s after the failing step",
        observed=round(seconds, 2),
        unpredicted="a time is measured",
        standing=Standing.MEASURED,
    )
    return Answer(text, Standing.MEASURED, reasons=(reason,))
