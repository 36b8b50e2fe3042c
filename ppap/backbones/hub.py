"""Weights from the model hub: from its local cache, else downloaded, else a clear no in seconds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones.base import BackboneError

Progress = Callable[[str, float], None]

# Importing timm takes a few seconds more; together they stay below ten.
SECONDS_TO_ANSWER = 5.0
MEGABYTE = 1e6


class HubSource(NamedTuple):
    """A repository on the model hub."""

    repository: str
    file: str | None
    """Its weights, where they do not have the usual name."""

    @property
    def files(self) -> tuple[str, ...]:
        """The names the weights may have, the best first."""
        return (self.file,) if self.file else ("model.safetensors", "pytorch_model.bin")


def fetch_weights(name: str, source: HubSource | None, progress: Progress | None = None) -> Path:
    """The file with the weights of the backbone ``name``, on this machine.

    What an earlier download left in the hub's cache is used without asking the network.

    Args:
        name: as ``load_backbone`` takes it, for the messages.
        source: where the weights are.
        progress: told what is being downloaded and the fraction done; without it the hub's own
            progress bar appears in the terminal.

    Raises:
        BackboneError: the weights are not here and cannot be downloaded; says what to do.
    """
    if source is None:
        raise BackboneError(f"timm knows no model hub repository for {name}. {advice(name)}")
    from huggingface_hub import try_to_load_from_cache

    for file in source.files:
        cached = try_to_load_from_cache(source.repository, file)
        if isinstance(cached, str):
            return Path(cached)
    file = available(name, source)
    return download(name, source, file, progress)


@contextlib.contextmanager
def of_the_cache(file: Path, name: str) -> Iterator[None]:
    """Errors about a file in the hub's cache say what to do about it: users have never seen it."""
    try:
        yield
    except BackboneError as error:
        # What it links to must go: the hub's library would only link to it again.
        raise BackboneError(
            f"the download of {name} in the model hub's cache is broken: {error}. Delete "
            f"{file.resolve()} and try again; it is then downloaded again"
        ) from error


def available(name: str, source: HubSource) -> str:
    """The first of ``source.files`` that the hub has, asked for within SECONDS_TO_ANSWER."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    for file in source.files:
        url = hf_hub_url(source.repository, file)

        def ask(url: str = url) -> None:
            get_hf_file_metadata(url, timeout=SECONDS_TO_ANSWER)

        try:
            within(SECONDS_TO_ANSWER, ask)
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            code = error.response.status_code
            raise BackboneError(
                f"the model hub refused access to {source.repository} ({code}). "
                f"{'Log in with: hf auth login. ' if code in (401, 403) else ''}"
                f"{advice(name, source)}"
            ) from error
        except Exception as error:  # no name server, no route, a proxy, a firewall, offline mode
            raise unreachable(name, source, error) from error
        return file
    raise BackboneError(
        f"{source.repository} on the model hub has none of {', '.join(source.files)}. "
        f"{advice(name, source)}"
    )


def within(seconds: float, ask: Callable[[], object]) -> None:
    """Run ``ask`` and give up waiting after ``seconds``; its errors are raised here.

    In a thread of its own, because looking a name up has no time limit that a caller could set.

    Raises:
        TimeoutError: no answer in time.
    """
    errors: list[Exception] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    if errors:
        raise errors[0]


def download(name: str, source: HubSource, file: str, progress: Progress | None) -> Path:
    """Bring one file of the hub into its cache."""
    from huggingface_hub import hf_hub_download

    bar = None if progress is None else bar_for(name, progress)
    try:
        return Path(hf_hub_download(source.repository, file, tqdm_class=bar))
    except Exception as error:  # the network can break in as many ways as before
        raise unreachable(name, source, error) from error


def bar_for(name: str, progress: Progress) -> Any:
    """A progress bar class that draws nothing and tells ``progress`` instead."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            # ``name`` is the hub's own, unknown to tqdm.
            settings.pop("name", None)
            super().__init__(*args, **{**settings, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self.total:
                share = min(self.n / self.total, 1.0)
                size = f"{self.n / MEGABYTE:.0f} of {self.total / MEGABYTE:.0f} MB"
                progress(f"Downloading {name}: {size}", share)

        # The faster of the hub's two protocols counts bytes sent apart from bytes written; the
        # latter say when it is done.
        def update_transfer(self, n: float) -> None:
            pass

        def set_transfer_postfix_str(self, *_: object, **__: object) -> None:
            pass

    return Bar


def unreachable(name: str, source: HubSource, error: Exception) -> BackboneError:
    """The error for a hub that does not answer."""
    from huggingface_hub import constants

    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return BackboneError(
        f"{name} is not on this machine yet, and {constants.ENDPOINT}/{source.repository} cannot "
        f"be reached ({reason}). Connect and try again. "
        f"{advice(name, source)}"
    )


def advice(name: str, source: HubSource | None = None) -> str:
    """What to do without the hub."""
    origin = (
        "its weights"
        if source is None
        else (f"{source.files[0]} from https://huggingface.co/{source.repository}")
    )
    return (
        f"Or use a local file: download {origin} elsewhere, copy it here, and put the name before "
        f"its path: {name}@PATH, in the studio (Features, File) or in --backbone or --set "
        "backbone=. 'embedded' needs no download (ImageNet-supervised)."
    )
