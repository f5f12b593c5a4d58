"""Where results that are slow to make are kept between runs."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The existing folder for one kind of result, in CODESIGN_CACHE or the user's cache folder."""
    chosen = os.environ.get("CODESIGN_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codesign"
    folder = (Path(chosen) if chosen else base) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder
