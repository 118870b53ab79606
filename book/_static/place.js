// Remembers, in this browser alone, where the reader is and which chapters were read to their end.
// Explained in book/_extensions/place.py.
{
  const root = new URL(document.documentElement.dataset.content_root, document.baseURI).href;
  const pathOf = (address) => address.replace(/#.*/, "").slice(root.length);
  const here = pathOf(location.href);
  const words = (heading) => {
    const copy = heading.cloneNode(true);
    for (const part of copy.querySelectorAll(".headerlink, .katex-html, annotation")) part.remove();
    return copy.textContent.trim();
  };
  const recall = (name, otherwise) => JSON.parse(localStorage.getItem(`bnn-tutorial:${name}`)) ?? otherwise;
  const keep = (name, value) => localStorage.setItem(`bnn-tutorial:${name}`, JSON.stringify(value));

  const mark = (link) => {
    if (link.querySelector(".fa-check")) return;
    const tick = '<i class="fa-solid fa-check" aria-hidden="true"></i>';
    link.insertAdjacentHTML("beforeend", `${tick}<span class="visually-hidden"> (read)</span>`);
  };
  const markAll = () => {
    const read = recall("read", []);
    for (const link of document.querySelectorAll(".bd-docs-nav a"))
      if (read.includes(pathOf(link.href))) mark(link);
  };
  markAll();

  // A heading with a number is a chapter's.
  const chapter = document.querySelector(".bd-article h1:has(.section-number)");
  if (chapter) {
    addEventListener("pagehide", () => {
      // A section begins with its heading; to measure what is in it would lay it out.
      const passed = [...document.querySelectorAll(".bd-article section > h2")].filter(
        ({ parentElement }) => parentElement.getBoundingClientRect().top < innerHeight / 4,
      );
      const heading = passed.at(-1);
      keep("place", {
        chapter: words(chapter),
        section: heading && words(heading),
        path: here + (heading ? `#${heading.parentElement.id}` : ""),
      });
    });

    const end = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      end.disconnect();
      keep("read", [...new Set(recall("read", [])).add(here)]);
      markAll();
    });
    end.observe(document.querySelector(".prev-next-footer"));
  }
}
