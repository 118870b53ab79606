// Runs inside a page and lists, by kind, what a reader could not see, read or reach.
() => {
  const found = {
    "wider than the page": [],
    "to be moved sideways": [],
    "too little contrast": [],
    "raw or broken mathematics": [],
    "image without alternative text": [],
    "message of the builder": [],
    "widget without its kernel": [],
  };
  const article = document.querySelector("article") ?? document.body;
  const name = (node) =>
    `<${node.tagName.toLowerCase()} class="${node.getAttribute("class") ?? ""}"> ` +
    node.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
  const visible = (node) =>
    node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    !node.closest(".katex-mathml, .visually-hidden, .onlyprint");

  // Folded parts count as well.
  document.querySelectorAll("details").forEach((node) => (node.open = true));
  document.querySelectorAll(".toggle-hidden").forEach((node) => node.classList.remove("toggle-hidden"));

  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    found["wider than the page"].push(`document: ${document.documentElement.scrollWidth} > ${width}`);
  const inScrollingBox = (node) => {
    if (node.closest(".katex .hide-tail svg")) return true; // a root's line, cut off where it ends
    for (let box = node.parentElement; box && box !== article; box = box.parentElement)
      if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return true;
    return false;
  };
  for (const node of article.querySelectorAll("*"))
    if (visible(node) && node.getBoundingClientRect().right > width + 1 && !inScrollingBox(node))
      found["wider than the page"].push(name(node));

  const boxes = "div.math, div.highlight pre, .pst-scrollable-table-container";
  // Formulas in the documentation of a function may be.
  for (const node of article.querySelectorAll(boxes))
    if (!node.matches("dl.py div.math") && visible(node) && node.scrollWidth > node.clientWidth + 1)
      found["to be moved sideways"].push(`${node.scrollWidth} > ${node.clientWidth}: ${name(node)}`);

  // Contrast as WCAG 2.1 defines it (criterion 1.4.3), colours composed through transparency.
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = (top, below) => [...[0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])), 1];
  const background = (node) => {
    if (!node) return [255, 255, 255, 1];
    const colour = rgba(getComputedStyle(node).backgroundColor);
    return colour[3] === 1 ? colour : over(colour, background(node.parentElement));
  };
  const opacity = (node) =>
    node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1;
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const node = texts.currentNode.parentElement;
    if (!text || node.closest("script, style, noscript, template") || !visible(node)) continue;
    if (!node.closest("code, pre") && /\$\$|\\\(|\\\[|\\begin\{/.test(text))
      found["raw or broken mathematics"].push(text.slice(0, 80));
    if (node.closest(":disabled")) continue; // WCAG asks for no contrast there
    const style = getComputedStyle(node);
    const behind = background(node);
    const colour = node.closest("svg") ? style.fill : style.color;
    const [r, g, b, a] = rgba(colour);
    const ratio = contrast(over([r, g, b, a * opacity(node)], behind), behind);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5))
      found["too little contrast"].push(`${ratio.toFixed(2)}: ${colour} on ${behind}: ${name(node)}`);
  }

  for (const node of document.querySelectorAll(".math:not(:has(.katex math)), .katex-error"))
    found["raw or broken mathematics"].push(name(node));
  for (const image of article.querySelectorAll("img")) {
    const words = image.alt.trim().split(/\s+/);
    if (words.length < 5 || /\.(png|svg|jpe?g|gif|webp)$/i.test(image.alt))
      found["image without alternative text"].push(`"${image.alt}": ${image.src}`);
  }
  for (const node of article.querySelectorAll(".system-message, .problematic, .output.stderr, .output.traceback"))
    found["message of the builder"].push(name(node));
  for (const node of article.querySelectorAll("script[type='application/vnd.jupyter.widget-view+json']"))
    found["widget without its kernel"].push(name(node));

  return Object.fromEntries(
    Object.entries(found).map(([kind, list]) => [kind, [...new Set(list)].slice(0, 8)]).filter(([, list]) => list.length)
  );
}
