// The figure Question: choices that answer back once the reader has marked one and pressed the
// button. Any chapter shows it, before a result or at the end of a section.

import { Controls, beginFigure, button, html, unusedName } from "./shared/controls.js";

export { PageModel } from "./shared/page_model.js";

/** @import { Place } from "./shared/page_model.js" */

/**
 * @typedef {{ text: string, answer: boolean, reply: string }} Choice
 * @typedef {{ question: string, choices: Choice[], kind: "prediction" | "check",
 *   chosen: number | null }} Traits
 */

const KINDS = {
  prediction: {
    purpose: "Predict before you read on",
    action: "Predict",
    prompt: "No answer is wrong here.",
  },
  check: { purpose: "Check yourself", action: "Check", prompt: "You may try more than once." },
};

/** @param {number} index */
const letter = (index) => String.fromCharCode("A".charCodeAt(0) + index);

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "question");
  const controls = new Controls(model);
  const group = unusedName();
  const fieldset = html("fieldset", { class: "choice" });
  const submit = button("", press);
  const result = controls.liveText();
  /** @type {HTMLInputElement[]} */
  let inputs = [];

  function ask() {
    const { purpose, action } = KINDS[model.get("kind")];
    const choices = model.get("choices");
    inputs = choices.map(() => html("input", { type: "radio", name: group }));
    fieldset.replaceChildren(
      html("legend", {}, html("span", { class: "purpose" }, purpose), model.get("question")),
      ...choices.map(({ text }, i) =>
        html("label", {}, inputs[i], html("span", {}, `${letter(i)}. ${text}`)),
      ),
    );
    submit.textContent = action;
    showReply();
  }

  function press() {
    const marked = inputs.findIndex(({ checked }) => checked);
    if (marked === -1) result.show("Mark one of the choices first.");
    else controls.set({ chosen: marked });
  }

  function showReply() {
    const [kind, chosen] = [model.get("kind"), model.get("chosen")];
    inputs.forEach((input, i) => (input.checked = i === chosen));
    if (chosen === null) return result.show(KINDS[kind].prompt);
    const { answer, reply } = model.get("choices")[chosen];
    const name = letter(chosen);
    if (kind === "prediction")
      return result.show([html("strong", {}, `You predict ${name}.`), ` ${reply}`]);
    result.show([
      html(
        "strong",
        { class: answer ? "right" : "wrong" },
        `${name} is ${answer ? "right" : "not right"}.`,
      ),
      ` ${reply}${answer ? "" : " Try another."}`,
    ]);
  }

  el.append(
    html("div", { class: "asked" }, fieldset, html("div", { class: "buttons" }, submit), result.node),
  );
  controls.onChange(["question", "choices", "kind"], ask);
  controls.onChange(["chosen"], showReply);
  ask();
  return () => controls.end();
}

export default { render };
