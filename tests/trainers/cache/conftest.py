"""Two small backbones and a data set that the tests of cached features share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ppap.backbones import Backbone, build_vit, load_backbone
from ppap.data import Dataset, open_dataset
from tests.support.small_cache import photos


@pytest.fixture(scope="session")
def vit() -> Backbone:
    torch.manual_seed(0)
    return build_vit("test_vit", depth=2)


@pytest.fixture(scope="session")
def embedded() -> Backbone:
    return load_backbone("embedded")


@pytest.fixture(params=["embedded", "vit"])
def backbone(request: pytest.FixtureRequest, vit: Backbone, embedded: Backbone) -> Backbone:
    return vit if request.param == "vit" else embedded


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    photos(root)
    return root


@pytest.fixture
def dataset(source: Path) -> Dataset:
    return open_dataset(source, kind="folder")


@pytest.fixture
def own(tmp_path: Path, source: Path) -> Dataset:
    """The same pictures, for a test to change."""
    shutil.copytree(source, tmp_path / "photos")
    return open_dataset(tmp_path / "photos", kind="folder")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "caches"
