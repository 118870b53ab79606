"""``pytest --throttle``: a page's processor is slower by the factor that was asked for."""

import pytest
from helpers.chromium import prepared


@pytest.mark.parametrize(("throttle", "expected"), [(1, []), (20, [{"rate": 20}])])
def test_chromium_is_told_by_how_much(browser, throttle, expected):
    told = []
    with browser.new_context() as context:
        start = context.new_cdp_session

        def noted(page):
            session = start(page)
            send = session.send

            def noted_send(method, parameters):
                told.append(parameters)
                assert method == "Emulation.setCPUThrottlingRate"
                return send(method, parameters)

            session.send = noted_send
            return session

        slowed_already = context.new_page.__name__ == "slow_page"  # by --throttle
        context.new_cdp_session = noted
        page = prepared(context, throttle).new_page()
        assert page.evaluate("1 + 1") == 2
    assert told[slowed_already:] == expected
