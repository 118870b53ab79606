"""Every page of the built site, judged by axe-core: no finding that is serious or critical."""

import pytest

STILL = "* { animation: none !important; transition: none !important }"
FIND = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ["violations"]});
  return violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .flatMap(({id, nodes}) => nodes.map((node) =>
      `${id}: ${node.target}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 375])
def test_axe_finds_nothing_serious_in_light_and_in_dark(
    browser, server, page_path, node_modules, width
):
    findings = []
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{server}/{page_path}?q=posterior")  # a search page then searches
        page.wait_for_selector("html[data-theme]")  # the first page leads on to another
        page.wait_for_load_state()
        page.evaluate("() => window.MathJax?.startup?.promise")
        page.wait_for_function("!document.querySelector('.bnn-figure:not([data-ready])')")
        page.add_style_tag(content=STILL)
        page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_selector(f"html[data-theme={theme}]")
            findings += [f"{theme}: {finding}" for finding in page.evaluate(FIND)]
    assert not findings, "\n".join(findings)
