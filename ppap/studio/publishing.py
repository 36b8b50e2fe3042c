"""Named endpoints for ``gradio_client``: what the pages' ``endpoints.py`` have in common."""

# No "from __future__ import annotations" here: see the pages' endpoints.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.context import LocalContext
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_function_description, get_upload_folder

from ppap.studio.access.uploads import own_folder
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.requests import RequestError, refusal


def publish(blocks: gr.Blocks, function: Callable[..., Any]) -> None:
    """Make an endpoint of a function, with its docstring's words on parameters and result.

    gradio itself reads those for its MCP server only, not for ``Client.view_api``.
    """
    dependency = gr.api(for_visitor(function), api_name=function.__name__)
    _, parameters, returns = get_function_description(function)
    for number, text in zip(dependency["inputs"], parameters.values(), strict=True):
        describe(blocks, number, "additional_description", text)
    describe(blocks, dependency["outputs"][0], "description", " ".join(returns))


def for_visitor(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, done for the user who asks: gradio's queue calls it in a thread of its own."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        request = LocalContext.request.get(None)
        user, session = getattr(request, "username", None), getattr(request, "session_hash", None)
        with asking(Visitor(user=user or "", page=str(session or ""))):
            return function(*arguments, **named)

    return call


def sent(data: bytes, name: str) -> gr.FileData:
    """A file for whoever asks, in gradio's own folder, where it is tidied up."""
    path = save_bytes_to_cache(data, name, str(own_folder(Path(get_upload_folder()))))
    return gr.FileData(path=path, orig_name=name)


def sent_file(file: Path, name: str) -> gr.FileData:
    """The same for what lies in a file, however large."""
    path = save_file_to_cache(file, str(own_folder(Path(get_upload_folder()))))
    return gr.FileData(path=path, orig_name=name)


def describe(blocks: gr.Blocks, number: int, key: str, text: str) -> None:
    """Put a text into the description of a parameter or result that gradio sends to clients."""
    component = blocks.blocks[number]
    assert isinstance(component, Component)
    component.api_info()[key] = text


@contextmanager
def refusing() -> Iterator[None]:
    """Whatever is raised inside reaches the script as a sentence."""
    try:
        yield
    except Exception as error:  # gradio would send the text of any other exception as it is
        raise gr.Error(refusal(error), print_exception=False) from None


def said(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply, its refusal raised."""
    with refusing():
        if "error" in reply:
            raise RequestError(reply["error"])
    return reply
