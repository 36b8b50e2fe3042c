"""The command ``ppap-studio``: parse its arguments, build the studio, serve it."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Explore progressive proxy anchor propagation in the browser.",
        epilog="Example: ppap-studio --images ~/photos --backbone dino_vits8",
    )
    # A Hugging Face Space sets these two; nobody else needs them.
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", default=port, type=port_number, help="1 to 65535 (default: %(default)s)"
    )
    parser.add_argument(
        "--backbone",
        default="embedded",
        metavar="NAME",
        help="embedded (works offline), dino_vits16, dino_vits8, dino_vitb16, dino_vitb8, any timm "
        "ViT, or a checkpoint file (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        action="append",
        type=folder,
        default=[],
        metavar="FOLDER",
        help="a folder or data set offered in the Batch panel; may be given several times. With a "
        "--host that other machines can reach, pages can look into these folders only",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="FOLDER",
        help="where training runs are kept (default: runs/ in the checkout, or where an installed "
        "studio is started). With a --host that "
        "other machines can reach, pages train only if this is given",
    )
    return parser.parse_args(given)


def port_number(text: str) -> int:
    """A port one can listen on."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 65535")
    return int(text)


def folder(text: str) -> Path:
    """A folder that exists; the shell leaves ``~`` alone in ``--images=~/photos``."""
    path = Path(os.path.expanduser(text))  # noqa: PTH111  (leaves an unknown user's as it is)
    if not text or not os.path.isdir(path):  # noqa: PTH112  (no error without permission)
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


def is_local(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main() -> None:
    """Build the studio and serve it."""
    args = arguments()
    print("Starting PPAP Studio…", flush=True)
    from ppap.studio.page import Studio  # takes seconds: --help should not

    local = is_local(args.host)
    studio = Studio(
        backbone=args.backbone,
        folders=args.images,
        local=local,
        runs=args.runs,
        trains=local or args.runs is not None,
    )
    try:
        studio.launch(host=args.host, port=args.port)
    except OSError:
        sys.exit(
            f"Cannot listen on {args.host}, port {args.port}: another program does, or the address "
            "is not this machine's. Choose others with --port and --host."
        )
