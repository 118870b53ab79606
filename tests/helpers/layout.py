"""Whether a page has laid out what is far below: until then places on it may still move."""

LAID_OUT = """() => [...document.querySelectorAll(".bd-article section > section")]
  .every(({style}) => style.contentVisibility === "visible")"""
