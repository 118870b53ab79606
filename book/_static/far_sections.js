// Lays out what waited, one part after the other, when the page has nothing else to do, and all at once when a
// link to a place is followed or something in the text has the focus. Explained in book/_extensions/far_sections.py.
{
  const parts = [...document.querySelectorAll(".bd-article section > :is(section, dl.py, .compound)")];
  const idle = window.requestIdleCallback ?? setTimeout; // which Safari lacks
  const layOutNext = () => {
    const part = parts.shift();
    if (!part) return;
    part.style.contentVisibility = "visible";
    idle(layOutNext);
  };
  addEventListener("load", () => idle(layOutNext));
  const layOutAllFor = (places) => ({ target }) => {
    if (target.closest(places)) delete document.documentElement.dataset.far;
  };
  document.addEventListener("click", layOutAllFor("a[href*='#']"), { capture: true });
  // By keys alone: a page that moves would take a link from under a finger.
  const focus = ".bd-article :focus-visible";
  document.addEventListener("focusin", layOutAllFor(focus), { capture: true });
}
