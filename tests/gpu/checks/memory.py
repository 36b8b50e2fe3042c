"""A GPU whose memory runs out in a step: the command ends, the run's state has the sentence."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import torch

from tests.gpu.sheet import Place, Sheet
from tests.support import small_runs
from tests.support.small_runs import state_of
from trainers import train
from trainers.command import FAILED
from trainers.runs.folder import Run
from trainers.training.errors import GPU_MEMORY

# Images of a step that cannot fit into what is left.
SHARE = 0.002


@contextlib.contextmanager
def little_memory(device: torch.device) -> Iterator[None]:
    """Meanwhile this process may use two thousandths of the GPU's memory."""
    if device.type != "cuda":
        raise ValueError("only a GPU's memory can be made smaller")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(SHARE, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


def check(place: Place, sheet: Sheet) -> None:
    """The train command with too large a step, and after it a run that fits, in this process."""
    made = small_runs.Place(place.folder, images=66)
    side = 64 if place.small else 512
    large = made.config(batch=64, epochs=1, size=side, device=str(place.device))
    said = io.StringIO()
    with little_memory(place.device), contextlib.redirect_stderr(said):
        code = train.main([*made.words("large", large), "--no-report"])
    state = state_of(Run(made.root / "large"))
    sheet.must("the command failed half way", code == FAILED, f"exit status {code}")
    sheet.must("its state has the sentence", state.get("reason") == GPU_MEMORY, str(state["state"]))
    told = said.getvalue().strip().splitlines()
    sheet.must("it said the sentence", told[-1:] == [GPU_MEMORY], " ".join(told[-1:]))
    sheet.must("it showed no traceback", "Traceback" not in said.getvalue())
    small = made.config(epochs=1, max_steps=2, validate_every=0, device=str(place.device))
    code = train.main([*made.words("small", small), "--no-report"])
    sheet.must("a smaller run goes well after it", code == 0, f"exit status {code}")
