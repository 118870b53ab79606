"""Whether a page has laid out what is far below, and by how much what was in sight has moved."""

LAID_OUT = """() => [...document.querySelectorAll(".bd-article section > :is(section, dl.py)")]
  .every(({style}) => style.contentVisibility === "visible")"""
SHIFT = """() => new Promise((done) => {
  new PerformanceObserver((list) =>
    done(list.getEntries().reduce((sum, {value}) => sum + value, 0))
  ).observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(0), 500);
})"""
