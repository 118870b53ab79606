"""The figure Question: choices that answer back, before a result is shown and at a section's end.

Every chapter may show it. A prediction has no wrong answer: each reply says what to look for. In a
check one choice is right, and the reader may try again.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import traitlets

from bnn_tutorial.figures.figure import Figure

PURPOSES = {"prediction": "Predict before you read on", "check": "Check yourself"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
QUESTION = "More and more data come in. Which part of a 3σ band goes on shrinking?"
CHOICES = (
    {
        "text": "The epistemic part: not knowing the weights.",
        "reply": "Each datum says something about the weights, and says it for good.",
        "answer": True,
    },
    {
        "text": "The aleatoric part: the noise of an observation.",
        "reply": "However well the weights are known, an observation keeps its noise.",
    },
    {
        "text": "Both.",
        "reply": "One of them does not depend on what was seen.",
    },
)


def _valid_choice(index: int, choice: Any) -> dict[str, Any]:
    """Return the choice with all its keys; a ``TraitError`` names what is wrong with it."""
    keys = {*choice} if isinstance(choice, Mapping) else set()
    if not {"text", "reply"} <= keys <= {"text", "reply", "answer"}:
        raise traitlets.TraitError(
            f"choices[{index}]={choice!r}: expected a dict of 'text', 'reply' and, "
            "where it is the right one, 'answer'"
        )
    for key in ("text", "reply"):
        if not isinstance(choice[key], str) or not choice[key].strip():
            raise traitlets.TraitError(
                f"choices[{index}][{key!r}]={choice[key]!r}: expected a text that is not empty"
            )
    answer = choice.get("answer", False)
    if not isinstance(answer, bool):
        raise traitlets.TraitError(f"choices[{index}]['answer']={answer!r}: expected True or False")
    return {"text": choice["text"], "answer": answer, "reply": choice["reply"]}


def _valid_choices(choices: list[Any], kind: str, chosen: int | None) -> list[dict[str, Any]]:
    """Return the choices with all their keys, valid for this kind and this answer."""
    valid = [_valid_choice(*numbered) for numbered in enumerate(choices)]
    if not 2 <= len(valid) <= len(LETTERS):
        raise traitlets.TraitError(
            f"choices has {len(valid)}: expected 2 or more, and {len(LETTERS)} or fewer"
        )
    right = [index for index, choice in enumerate(valid) if choice["answer"]]
    if kind == "check" and len(right) != 1:
        raise traitlets.TraitError(
            f"choices with 'answer': True are {right}: expected exactly one in a check"
        )
    if chosen is not None and chosen >= len(valid):
        raise traitlets.TraitError(
            f"chosen={chosen}: expected None or the index of one of {len(valid)} choices"
        )
    return valid


def _choice(answer: str) -> dict[str, Any]:
    """Return the choice that is written as ``"text | reply"``."""
    parts = answer.split(" | ")
    if len(parts) != 2:
        raise ValueError(f"answer {answer!r}: expected a choice, ' | ' and its reply")
    return {"text": parts[0], "reply": parts[1]}


class Question(Figure):
    """A question with choices that answer back, for a prediction or as a check.

    The reader marks one choice and presses a button, so that who moves through the choices by the
    arrow keys doesn't meet their replies on the way. All texts are plain: mathematics is written in
    Unicode. Where scripts are off the question stands there with its choices, and the replies are
    folded away below. An empty text, too few choices, and a check in which not exactly one is right
    are a ``traitlets.TraitError`` that names the index and the value.

    Args:
        question: what is asked.
        choices: two or more dicts, each with its ``"text"`` and its ``"reply"``; in a check exactly
            one has ``"answer": True``. A prediction does not look at ``"answer"``.
        traits: ``kind``, ``"check"`` unless ``"prediction"`` is given, and ``chosen``, the index of
            the choice that the reader answered with, or None.

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.Question(
        ...     "A fair coin fell heads five times. What comes next?",
        ...     [
        ...         {"text": "Heads, more likely.", "reply": "It is fair: nothing was learned."},
        ...         {"text": "Either alike.", "reply": "p = ½, each time.", "answer": True},
        ...     ],
        ... )
        >>> figure.chosen = 1  # or the reader's answer
        >>> figure.choices[figure.chosen]["answer"]
        True
    """

    question = traitlets.Unicode(help="what is asked, in plain text").tag(sync=True)
    choices = traitlets.List(
        help='2 to 26 dicts, each with "text", "reply" and "answer", whether it is right'
    ).tag(sync=True)
    kind = traitlets.Enum(
        [*PURPOSES],
        "check",
        help="a prediction, which has no wrong answer, or a check, in which one choice is right",
    ).tag(sync=True)
    chosen = traitlets.Int(
        None, allow_none=True, min=0, help="index of the choice answered with; None before"
    ).tag(sync=True)

    def __init__(
        self,
        question: str = QUESTION,
        choices: Sequence[Mapping[str, object]] = CHOICES,
        **traits: Any,
    ) -> None:
        super().__init__(question=question, choices=choices, **traits)

    @classmethod
    def prediction(cls, question: str, *answers: str) -> "Question":
        """Return a question to ask before a result is shown.

        Args:
            question: what is asked.
            answers: two or more, each a choice, ``" | "`` and its reply.

        Raises:
            ValueError: an answer has not exactly one ``" | "``.

        Example:
            >>> import bnn_tutorial as bt
            >>> figure = bt.figures.Question.prediction(
            ...     "Which part shrinks?", "Both | Look at the orange line.", "One | Which?"
            ... )
            >>> figure.kind, figure.choices[1]["text"]
            ('prediction', 'One')
        """
        return cls(question, [_choice(answer) for answer in answers], kind="prediction")

    @classmethod
    def check(cls, question: str, right: str, *wrong: str) -> "Question":
        """Return a check, in which the right answer stands at a place that the wording decides.

        Args:
            question: what is asked.
            right: the right choice, ``" | "`` and its reply.
            wrong: one or more others, in the same form.

        Raises:
            ValueError: an answer has not exactly one ``" | "``.

        Example:
            >>> import bnn_tutorial as bt
            >>> figure = bt.figures.Question.check("1 + 1?", "2 | Yes.", "3 | No.", "1 | No.")
            >>> [choice["text"] for choice in figure.choices if choice["answer"]]
            ['2']
        """
        choices = [_choice(answer) for answer in wrong]
        # As good as random, and the same each time the page is made.
        choices.insert(sum(question.encode()) % (len(wrong) + 1), _choice(right) | {"answer": True})
        return cls(question, choices)

    def still(self) -> str:
        """Return the question, its choices as a list, and the replies in a fold."""
        texts, replies = [], []
        for letter, choice in zip(LETTERS, self.choices, strict=False):
            texts.append(f"<li>{letter}. {escape(choice['text'])}</li>")
            right = "right" if choice["answer"] else "not right"
            verdict = f"{letter} is {right}." if self.kind == "check" else f"You predict {letter}."
            replies.append(f"<p><strong>{verdict}</strong> {escape(choice['reply'])}</p>")
        return (
            f'<div class="asked"><p class="legend"><span class="purpose">{PURPOSES[self.kind]}'
            f"</span>{escape(self.question)}</p><ul>{''.join(texts)}</ul>"
            f"<details><summary>Replies</summary>{''.join(replies)}</details></div>"
        )

    @traitlets.validate("question")
    def _question(self, proposal: traitlets.Bunch) -> str:
        if not proposal.value.strip():
            raise traitlets.TraitError(
                f"question={proposal.value!r}: expected a text that is not empty"
            )
        return proposal.value

    # Traits that are given together are validated in any order, so each looks at all of them.
    @traitlets.validate("choices")
    def _choices(self, proposal: traitlets.Bunch) -> list[dict[str, Any]]:
        return _valid_choices(proposal.value, self.kind, self.chosen)

    @traitlets.validate("kind")
    def _kind(self, proposal: traitlets.Bunch) -> str:
        _valid_choices(self.choices, proposal.value, self.chosen)
        return proposal.value

    @traitlets.validate("chosen")
    def _chosen(self, proposal: traitlets.Bunch) -> int | None:
        _valid_choices(self.choices, self.kind, proposal.value)
        return proposal.value
