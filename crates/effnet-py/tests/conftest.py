"""What the tests share: the repository's photographs, and models that need no network."""

import pathlib

import effnet
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
IMAGES = sorted(path for path in (ROOT / "examples/images").iterdir() if path.suffix != ".md")


@pytest.fixture(scope="session")
def images():
    """Seven photographs, in colour and grey, PNG and JPEG."""
    assert len(IMAGES) == 7
    return IMAGES


@pytest.fixture(scope="session")
def coffee(images):
    return next(path for path in images if path.name == "coffee.png")


@pytest.fixture(scope="session")
def classifier():
    """The model inside the package."""
    return effnet.create_model(threads=2)


@pytest.fixture(scope="session")
def small():
    """A small network with generated weights, for tests of many images."""
    return effnet.create_model("test_efficientnet", weights="seeded:0", threads=2)
