"""Who a studio lets in, as the command line says it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ppap.studio.access.hosts import Hosts
from ppap.studio.access.owners import Ownership
from ppap.studio.access.passwords import Passwords
from ppap.studio.access.policy import Policy
from ppap.studio.access.prefix import root_path


@dataclass(frozen=True)
class Access:
    """Who is let in."""

    passwords: Passwords | None = None
    """None: nobody has to log in."""
    private_runs: bool = False
    """Whether users see only the runs that they started."""
    behind_proxy: bool = False
    """Whether all requests come through a proxy, whose word on who asks is taken."""
    hosts: tuple[str, ...] = ()
    """Further names that the studio is known by."""
    space: bool = False
    """Whether Hugging Face runs it, and lets in whom it wants."""

    frame: str = ""
    """A page that knows this may show the studio in a frame; empty: none may."""

    @property
    def ownership(self) -> Ownership:
        """Whose what on disk is."""
        return Ownership(logins=self.passwords is not None, private_runs=self.private_runs)

    def policy(self, host: str) -> Policy:
        """For a studio that listens on ``host``."""
        root = root_path(os.environ.get("GRADIO_ROOT_PATH", ""))
        outside = urlsplit(root).hostname
        named = [*self.hosts, *([outside] if outside else [])]
        return Policy(
            hosts=None if self.space else Hosts(host, named),
            origins=not self.space or self.passwords is not None,
            behind_proxy=self.behind_proxy or self.space,
            proxies=self.space and self.passwords is None,
            root=root,
            passwords=self.passwords,
            frame=self.frame,
        )
