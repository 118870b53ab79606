"""Whether a page has laid out what is far below, and by how much what was in sight has moved."""

PARTS = ".bd-article section > :is(section, dl.py, .compound)"
LAID_OUT = f"""() => [...document.querySelectorAll("{PARTS}")]
  .every(({{style}}) => style.contentVisibility === "visible")"""
SHIFT = """() => new Promise((done) => {
  new PerformanceObserver((list) =>
    done(list.getEntries().reduce((sum, {value}) => sum + value, 0))
  ).observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(0), 500);
})"""
