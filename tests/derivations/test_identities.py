import pytest

from bnn_tutorial import derivations
from bnn_tutorial.derivations.identity import CheckTable

CHECKS = [
    pytest.param(identity, check, id=f"{identity.label}: {check.statement}")
    for identity in derivations.IDENTITIES.values()
    for check in identity.checks
]


@pytest.mark.parametrize(("identity", "check"), CHECKS)
def test_check_passes(identity, check):
    outcome = check.run()
    assert outcome.passed, (identity.label, outcome)


def test_no_label_stands_twice():
    labels = [identity.label for chapter in derivations.CHAPTERS for identity in chapter.IDENTITIES]
    assert len(labels) == len(set(labels)) == len(derivations.IDENTITIES)


@pytest.mark.parametrize("identity", derivations.IDENTITIES.values(), ids=lambda i: i.label)
def test_identity_names_its_chapter_and_has_checks(identity):
    module = {m.__name__.rsplit(".", 1)[1]: m for m in derivations.CHAPTERS}[identity.chapter]
    assert identity in module.IDENTITIES
    assert identity.label.startswith("eq-")
    assert identity.checks


def test_check_takes_labels_and_names_unknown_ones():
    label = next(iter(derivations.IDENTITIES))
    assert isinstance(derivations.check(label), CheckTable)
    with pytest.raises(KeyError, match="eq-nowhere"):
        derivations.check("eq-nowhere")


def test_every_check_says_its_scope():
    missing = [
        f"{identity.label}: {check.statement}"
        for identity in derivations.IDENTITIES.values()
        for check in identity.checks
        if not check.scope
    ]
    assert missing == []


def test_only_symbols_or_a_full_count_have_a_general_scope():
    claims = [
        f"{identity.label}: {check.statement}"
        for identity in derivations.IDENTITIES.values()
        for check in identity.checks
        if check.scope == "general" and check.method in ("quadrature", "Monte Carlo")
    ]
    assert claims == []
