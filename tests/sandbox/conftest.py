"""Datasets for the tests of the sandbox: the smallest one, and the default one of the demo."""

from __future__ import annotations

import pytest

from sandbox.dataset import MINIMUM_SESSIONS, Dataset, generate


@pytest.fixture(scope="session")
def small() -> Dataset:
    return generate(sessions=MINIMUM_SESSIONS)


@pytest.fixture(scope="session", params=["small", "default"])
def dataset(request: pytest.FixtureRequest, small: Dataset) -> Dataset:
    return small if request.param == "small" else generate()
