"""What the tests share: the folder of data sets and models beside the checkout, and one cache of builds."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# Before anything asks for it: all workers and runs share one cache of builds, which `make clean` empties.
os.environ.setdefault("CODESIGN_CACHE", str(REPOSITORY / "build" / "test-cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data sets and models that tests read and that are no part of the project; skips without them."""
    folder = Path(os.environ.get("CODESIGN_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; CODESIGN_SHARED_DATA names another folder")
    return folder
