"""What a figure's page holds: the traits of its model, and the sentence that it says."""

from typing import Any

from playwright.sync_api import Page


def trait(page: Page, name: str) -> Any:
    return page.evaluate("(name) => model.get(name)", name)


def traits(page: Page, *names: str) -> list[Any]:
    return [trait(page, name) for name in names]


def set_traits(page: Page, **values: Any) -> None:
    page.evaluate("(all) => Object.entries(all).forEach((one) => model.set(...one))", values)


def said(page: Page) -> str:
    """The result in words, with its no-break spaces as plain ones."""
    return page.locator(".result").inner_text().replace("\u00a0", " ")
