"""The command ``ppap-studio``: parse its arguments, build the studio, serve it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from ppap.studio.access.hosts import allowed_host, is_loopback
from ppap.studio.access.listening import CannotListen, require_free
from ppap.studio.access.passwords import AuthFileError, Passwords
from trainers.command import as_command, expanded, make_ready

ADD_USER = "add-user"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Explore progressive proxy anchor propagation in the browser.",
        epilog="Example: ppap-studio --images ~/photos --backbone dino_vits8. "
        "To add a user who may log in: ppap-studio add-user FILE NAME",
    )
    # A Hugging Face Space sets these two; nobody else needs them.
    from_space = os.environ.get("GRADIO_SERVER_NAME")
    host = from_space or "127.0.0.1"
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
        "ViT, a checkpoint file, or NAME@FILE if the file does not say which model it holds "
        "(default: %(default)s)",
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
        type=expanded,
        metavar="FOLDER",
        help="where training runs are kept (default: runs/ in the checkout, or where an installed "
        "studio is started). With a --host that "
        "other machines can reach, pages train only if this is given",
    )
    add_access(parser)
    args = parser.parse_args(given)
    args.space = bool(os.environ.get("SPACE_ID")) and args.host == from_space
    check_access(parser, args)
    return args


def add_access(parser: argparse.ArgumentParser) -> None:
    """The arguments that say who is let in."""
    group = parser.add_argument_group("access")
    group.add_argument(
        "--auth-file",
        type=expanded,
        metavar="FILE",
        help="let in only the users in this file, each with uploads, batches, studies and "
        "evaluations of their own; add users with: ppap-studio add-user FILE NAME",
    )
    group.add_argument(
        "--no-auth",
        action="store_true",
        help="let everyone in, even with a --host that other machines can reach",
    )
    group.add_argument(
        "--private-runs",
        action="store_true",
        help="with --auth-file: show users only the runs that they started",
    )
    group.add_argument(
        "--allowed-host",
        action="append",
        type=host_name,
        default=[],
        metavar="NAME",
        help="another name that the studio is reached by, such as a proxy's; may be given "
        "several times",
    )
    group.add_argument(
        "--behind-proxy",
        action="store_true",
        help="trust a proxy that all requests come through to say who asks (X-Forwarded-For, "
        "-Host, -Proto); nobody then counts as being on this machine",
    )


def check_access(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a sentence where two arguments do not go together."""
    if args.auth_file is not None and args.no_auth:
        parser.error("--auth-file and --no-auth contradict each other: give only one of them")
    if args.private_runs and args.auth_file is None:
        parser.error("--private-runs needs --auth-file FILE: without users, runs have no owner")


def require_known_visitors(args: argparse.Namespace) -> None:
    """End with a sentence where others can reach the studio and nobody said who may."""
    # Whom a Space lets in is Hugging Face's business.
    if args.space or args.no_auth or args.auth_file is not None:
        return
    if not is_local(args.host) or args.behind_proxy:
        flag = "--behind-proxy" if args.behind_proxy else f"--host {args.host}"
        sys.exit(
            f"{flag} lets other machines reach the studio. Say who may log in with --auth-file "
            f"FILE (add users with: ppap-studio {ADD_USER} FILE NAME), or let everyone in with "
            "--no-auth."
        )


def host_name(text: str) -> str:
    """A name for ``--allowed-host``."""
    try:
        return allowed_host(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port_number(text: str) -> int:
    """A port one can listen on."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 65535")
    return int(text)


def folder(text: str) -> Path:
    """A folder that exists; the shell leaves ``~`` alone in ``--images=~/photos``."""
    path = expanded(text)
    if not text or not os.path.isdir(path):  # noqa: PTH112  (no error without permission)
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


def is_local(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return is_loopback(host)


@as_command
def main() -> None:
    """Build the studio and serve it, or add a user."""
    if sys.argv[1:2] == [ADD_USER]:
        from ppap.studio.access.passwords import main as add_user

        add_user(sys.argv[2:])
        return
    args = arguments()
    require_known_visitors(args)
    make_ready([args.host])
    end_on_signals()
    try:
        # Before anything that takes seconds.
        passwords = None if args.auth_file is None else Passwords(args.auth_file)
        if not args.space:
            require_free(args.host, args.port)
        print("Starting PPAP Studio…", flush=True)
        serve(args, passwords)
    except (AuthFileError, CannotListen) as error:
        sys.exit(str(error))


def end_on_signals() -> None:
    """End in an orderly way where a service manager or a closed terminal asks for it, as Ctrl+C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Ignored: nohup wants it to go on.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends at once
    sys.exit(0)


def serve(args: argparse.Namespace, passwords: Passwords | None) -> None:
    """Build the studio and serve it until it is interrupted."""
    try:
        from ppap.studio.temporary import SAID  # before gradio
    except OSError as error:
        sys.exit(f"Temporary files cannot be created: {error.strerror or error}.")
    if SAID:
        print(SAID, flush=True)
    from ppap.backbones.naming import absolute
    from ppap.data.confining import in_environment
    from ppap.studio.access.options import Access
    from ppap.studio.page import Studio  # takes seconds: --help should not

    local = is_local(args.host) and not args.behind_proxy
    if not local:
        # Also for every run and evaluation that this process starts.
        os.environ.update(in_environment(args.images))
    studio = Studio(
        backbone=absolute(args.backbone),
        folders=args.images,
        local=local,
        runs=args.runs,
        trains=local or args.runs is not None,
        access=Access(
            passwords=passwords,
            private_runs=args.private_runs,
            behind_proxy=args.behind_proxy,
            hosts=tuple(args.allowed_host),
            space=args.space,
        ),
    )
    studio.launch(host=args.host, port=args.port)
