"""The figure Question: what it refuses, its still, and a reader's answers by mouse and by keys."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from helpers.figure_clock import pass_time
from traitlets import TraitError

from bnn_tutorial.figures import Question

PAGE_FAULTS = (
    Path(__file__).parents[1].joinpath("helpers/page_faults.js").read_text(encoding="utf-8")
)
TEXTS = ["It <b>widens</b> & σ → ∞.", "It stays.", "It narrows."]
REPLIES = ["Look at x = 0.", "The prior says p(w) ≠ q(w).", "Against what?"]


def choices(right=1, number=3):
    """Choices of which the one with this index is right, or none."""
    parts = list(zip(TEXTS, REPLIES, strict=True))[:number]
    return [{"text": t, "reply": r, "answer": i == right} for i, (t, r) in enumerate(parts)]


def question(**traits):
    return Question("What does the band do?", **{"choices": choices()} | traits)


def chosen(page):
    return page.evaluate("model.get('chosen')")


def marked(page):
    """Which of the radio buttons are marked."""
    return [radio.is_checked() for radio in page.get_by_role("radio").all()]


def wrong(index, **changes):
    found = choices()
    found[index] |= changes
    return found


def test_short_forms_are_the_same_questions():
    answers = [f"{text} | {reply}" for text, reply in zip(TEXTS, REPLIES, strict=True)]
    prediction = Question.prediction("What does the band do?", *answers)
    check = Question.check("What does the band do?", answers[1], answers[0], answers[2])
    assert check.kind == "check"
    assert [c["text"] for c in check.choices if c["answer"]] == [TEXTS[1]]
    assert [c["text"] for c in check.choices if not c["answer"]] == [TEXTS[0], TEXTS[2]]
    plain = question(kind="prediction", choices=choices(right=None))
    assert (prediction.kind, prediction.choices) == ("prediction", plain.choices)


def test_the_right_answer_has_no_place_of_its_own():
    answers = "Yes. | Right.", "No. | Wrong.", "Both. | Wrong."
    checks = [Question.check(f"Is {n} a number?", *answers) for n in range(9)]
    places = [[c["answer"] for c in check.choices].index(True) for check in checks]
    assert set(places) == {0, 1, 2}


@pytest.mark.parametrize("answer", ["It stays.", "It | may | stay."])
def test_an_answer_without_its_reply_is_an_error(answer):
    with pytest.raises(ValueError, match=r"expected a choice, ' \| ' and its reply"):
        Question.prediction("Why?", "It stays. | Look.", answer)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (wrong(1, text=" "), r"choices\[1\]\['text'\]=' ': expected a text"),
        (wrong(2, reply=""), r"choices\[2\]\['reply'\]='': expected a text"),
        (wrong(0, text=7), r"choices\[0\]\['text'\]=7: expected a text"),
        (wrong(2, answer="no"), r"choices\[2\]\['answer'\]='no': expected True or False"),
        (wrong(1, anwser=True), r"choices\[1\]=.*anwser.*: expected a dict of 'text'"),
        (["It stays.", "It narrows."], r"choices\[0\]='It stays\.': expected a dict"),
        ([{"text": "It stays."}], r"choices\[0\]=.*It stays.*: expected a dict of .*'reply'"),
        (choices(number=1, right=0), "choices has 1: expected 2 or more"),
        (choices()[:1] + choices(None)[:1] * 26, "choices has 27: expected 2 or more, and 26"),
        (choices(right=None), r"choices with 'answer': True are \[\]: expected exactly one"),
        (wrong(2, answer=True), r"choices with 'answer': True are \[1, 2\]: expected exactly one"),
    ],
)
def test_choices_that_make_no_question_are_refused_by_index_and_value(given, message):
    with pytest.raises(TraitError, match=message):
        Question("What does the band do?", given)
    figure = question()
    with pytest.raises(TraitError, match=message):
        figure.choices = given
    assert figure.choices == choices()


def test_an_empty_question_another_kind_and_a_choice_that_is_not_there_are_refused():
    with pytest.raises(TraitError, match="question=' ': expected a text that is not empty"):
        Question(" ", choices())
    with pytest.raises(TraitError, match=r"kind.*'quiz'"):
        question(kind="quiz")
    for index in (-1, 3):
        with pytest.raises(TraitError, match=f"chosen.*{index}"):
            question(chosen=index)
    figure = question(chosen=2)
    with pytest.raises(TraitError, match="chosen=2: expected None or the index of one of 2"):
        figure.choices = choices(number=2)
    prediction = Question("What does the band do?", choices(right=None), kind="prediction")
    with pytest.raises(TraitError, match=r"are \[\]: expected exactly one in a check"):
        prediction.kind = "check"


def test_what_is_left_out_of_a_choice_is_not_right():
    pairs = [{"text": text, "reply": reply} for text, reply in zip(TEXTS, REPLIES, strict=True)]
    figure = Question("What does the band do?", pairs, kind="prediction")
    assert figure.choices == choices(right=None)
    assert [*pairs[0]] == ["text", "reply"]  # the caller's own stay as they are


@pytest.mark.parametrize("kind", ["check", "prediction"])
def test_scripts_off_this_question_stands_there_with_its_replies_in_a_fold(kind, shown):
    still = BeautifulSoup(question(kind=kind).to_html(), "html.parser").select_one(".asked")
    texts = [f"{letter}. {text}" for letter, text in zip("ABC", TEXTS, strict=True)]
    assert still.select_one(".legend").get_text().endswith("What does the band do?")
    assert [choice.get_text() for choice in still.select("li")] == texts
    assert not still.select_one("details").has_attr("open")
    # It says the same as the live figure, but for the encouragement.
    page = shown(question(kind=kind))
    assert page.locator(".purpose").inner_text() == still.select_one(".purpose").get_text().strip()
    assert page.locator("fieldset label").all_inner_texts() == texts
    for index, reply in enumerate(still.select("details p")):
        page.evaluate("(index) => model.set('chosen', index)", index)
        live = page.locator(".result").inner_text()
        assert live.removesuffix(" Try another.") == reply.get_text()
        assert REPLIES[index] in live


@pytest.mark.parametrize("kind", ["check", "prediction"])
@pytest.mark.parametrize("width", [800, 390])
def test_nothing_moves_when_the_figure_takes_the_place_of_its_still(width, kind, shown):
    page = shown(question(kind=kind), width=width)
    height = "document.querySelector('.asked').getBoundingClientRect().height"
    live = page.evaluate(height)
    replace = "(still) => (document.querySelector('.bnn-figure').innerHTML = still)"
    page.evaluate(replace, question(kind=kind).still())
    assert page.evaluate(height) == pytest.approx(live, abs=1)


def test_a_check_says_right_or_wrong_in_words_and_lets_the_reader_try_again(shown):
    page = shown(question())
    press = page.get_by_role("button", name="Check")
    press.click()
    assert page.locator(".result").text_content() == "Mark one of the choices first."
    assert chosen(page) is None
    page.get_by_label("It narrows.").check()
    assert chosen(page) is None  # until it is checked
    press.click()
    assert chosen(page) == 2
    assert page.locator(".result").text_content() == "C is not right. Against what? Try another."
    page.get_by_label("It stays.").check()
    press.click()
    assert chosen(page) == 1
    assert page.locator(".result").text_content() == f"B is right. {REPLIES[1]}"


def test_a_prediction_knows_no_right_and_wrong(shown):
    page = shown(question(kind="prediction"))
    for index, letter in enumerate("ABC"):
        page.get_by_role("radio").nth(index).check()
        page.get_by_role("button", name="Predict").click()
        assert chosen(page) == index
        assert page.locator(".result").text_content() == f"You predict {letter}. {REPLIES[index]}"
    assert page.locator(".right, .wrong").count() == 0


def test_keys_alone_answer_and_meet_no_reply_on_the_way(shown):
    page = shown(question())
    prompt = page.locator(".result").inner_text()
    for key in ("Tab", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert marked(page) == [False, False, True]
    assert page.locator(".result").text_content() == prompt
    for key in ("ArrowUp", "Tab", "Enter"):
        page.keyboard.press(key)
    assert chosen(page) == 1
    assert page.evaluate("document.activeElement.textContent") == "Check"


def test_a_screen_reader_hears_question_choices_and_reply(shown):
    page = shown(question())
    group = page.get_by_role("group", name="Check yourself What does the band do?")
    names = [f"{letter}. {text}" for letter, text in zip("ABC", TEXTS, strict=True)]
    for name in names:
        assert group.get_by_role("radio", name=name, exact=True).count() == 1
    group.get_by_role("radio").nth(1).check()
    page.get_by_role("button").click()
    pass_time(page, 1100)  # it is spoken once it has been the same for a second
    assert page.get_by_role("status").text_content() == f"B is right. {REPLIES[1]}"


def test_python_answers_takes_back_and_asks_anew(shown):
    page = shown(question(chosen=1))
    assert marked(page) == [False, True, False]
    assert page.locator(".result").text_content() == f"B is right. {REPLIES[1]}"
    page.evaluate("model.set('chosen', null)")
    assert marked(page) == [False, False, False]
    assert "right" not in page.locator(".result").text_content()
    page.evaluate("model.set('question', 'And at x = 2?')")
    assert "And at x = 2?" in page.locator("legend").text_content()
    page.evaluate("(choices) => model.set('choices', choices)", choices(number=2))
    assert page.get_by_role("radio").count() == 2


def test_questions_of_one_page_are_answered_each_for_itself(shown):
    both = question().to_html() + question(kind="prediction").to_html()
    page = shown(SimpleNamespace(to_html=lambda: both))
    first, second = page.locator(".bnn-figure").all()
    second.and_(page.locator("[data-ready]")).wait_for()
    first.get_by_role("radio").nth(1).check()
    second.get_by_role("radio").nth(2).check()
    assert first.get_by_role("radio").nth(1).is_checked()
    second.get_by_role("button").click()
    assert "You predict C." in second.locator(".result").text_content()
    assert first.locator(".result").text_content() == "You may try more than once."


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("index", [0, 1])
def test_replies_are_legible_on_both_themes(shown, theme, index):
    page = shown(question(chosen=index))
    page.add_style_tag(content="html[data-theme=dark] { background: #121212 }")
    page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
    assert page.evaluate(PAGE_FAULTS).get("too little contrast", []) == []


def test_long_words_stay_on_a_phone(shown):
    long = [{"text": "p(w₁,w₂,w₃|x,y)" * 9, "reply": "q" * 90, "answer": i == 0} for i in range(2)]
    page = shown(Question("∫" * 90, long, chosen=0), width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
