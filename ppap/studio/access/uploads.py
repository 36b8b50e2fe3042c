"""Where uploads lie: a folder for each user, which no other user gets a file out of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ppap.studio.access.visitor import current

# Hidden, so that no data set around it takes them for its pictures.
USERS = ".users"


def own_folder(uploads: Path) -> Path:
    """The part of the folder of all uploads that belongs to whoever asks right now.

    All of it where nobody logs in.
    """
    user = current().user
    if not user:
        return uploads
    # A name may hold what no folder's can, or differ from another in its case alone.
    return uploads / USERS / hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()[:32]
