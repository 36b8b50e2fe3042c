"""PPAP Studio: ``python app.py`` and open the address it prints."""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Explore progressive proxy anchor propagation in the browser.",
        epilog="Example: python app.py --images ~/photos --backbone dino_vits8",
    )
    # A Hugging Face Space sets these two; nobody else needs them.
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=port, type=int, help="port (default: %(default)s)")
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
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a folder or data set offered in the Batch panel; may be given several times. With a "
        "--host that other machines can reach, pages can look into these folders only",
    )
    args = parser.parse_args()
    for folder in args.images:
        if not folder.is_dir():
            parser.error(f"--images: there is no folder {folder}")
    return args


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

    studio = Studio(backbone=args.backbone, folders=args.images, local=is_local(args.host))
    studio.launch(host=args.host, port=args.port)


if __name__ == "__main__":
    main()
