"""What the search page lists."""

import re

WORDS = "Kullback Leibler"


def test_a_search_lists_words_and_no_source_of_formulas(browser, server):
    page = browser.new_page()
    page.goto(f"{server}/search.html?q={WORDS.replace(' ', '+')}")
    page.wait_for_function("document.querySelectorAll('#search-results p.context').length > 2")
    found = page.locator("#search-results p.context").all_inner_texts()
    assert any(word in text for word in WORDS.split() for text in found)
    for text in found:
        assert not re.search(r"\\[a-zA-Z]{3}|\.pdf|Contents\b", text), text
    page.close()
