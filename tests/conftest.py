"""What the tests share: the folder of data sets and models beside the checkout, one cache of builds, a small build."""

import os
from pathlib import Path

import pytest

from codesign.flow import Build
from tests import models
from tests.driver_rig import compiled

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


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A small convolutional network, compiled for the tests of one file."""
    folder = tmp_path_factory.mktemp("network")
    return compiled(models.cnn(folder / "cnn.onnx"), folder / "build")
