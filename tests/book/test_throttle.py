"""``pytest --throttle``: a page's processor is slower by the factor that was asked for."""

from helpers.chromium import prepared


def test_a_throttled_page_is_slower(browser):
    count = """() => {
      const end = performance.now() + 300;
      let count = 0;
      for (; performance.now() < end; count++) for (let i = 0; i < 1000; i++) Math.sin(i);
      return count;
    }"""
    counts = {}
    for throttle in (1, 20, 1, 20):
        with prepared(browser.new_context(), throttle) as context:
            counts.setdefault(throttle, []).append(context.new_page().evaluate(count))
    assert max(counts[20]) < min(counts[1]) / 2
