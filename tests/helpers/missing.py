"""What a test does where something that it needs is not installed."""

import os

import pytest


def missing(message: str) -> None:
    """Skip the test for want of something, or fail it where CI says that everything is there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
