"""``pytest --throttle``: a page's processor is slower by the factor that was asked for."""

from unittest.mock import MagicMock, call

import pytest
from helpers.chromium import prepared


@pytest.mark.parametrize(
    ("throttle", "told"),
    [(1, []), (20, [call("Emulation.setCPUThrottlingRate", {"rate": 20})])],
)
def test_chromium_is_told_by_how_much(throttle, told):
    context = MagicMock()
    prepared(context, throttle).new_page()
    assert context.new_cdp_session.return_value.send.mock_calls == told


def test_chromium_takes_it(browser):
    with prepared(browser.new_context(), 20) as context:
        assert context.new_page().evaluate("1 + 1") == 2
