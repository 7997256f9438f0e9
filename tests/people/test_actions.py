"""Registrations become records, records become persons; joins, splits and questions."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from tests.askers import resident, staff, work_of
from tests.people.registry import DAY, LI_MING, OTHER, Registry, certified

from huitong.access import auditing
from huitong.access.deciding import Action
from huitong.access.model import Role
from huitong.base.errors import BadRequest, NotAllowed, NotFound
from huitong.people import actions, permitting
from huitong.people.model import Demographics, Registration

A, B, C = "TAIYUAN/P0001", "YUNCHENG/20260301", "YUNCHENG/P0001"
P, Q = (certified(number, kind="passport") for number in ("E12345678", "E87654321"))


def test_the_same_number_of_two_institutions_is_two_people(registry: Registry) -> None:
    registry.register(A, names=("李^明",))
    registry.register(C, names=("王^芳",))
    assert not registry.one(A, C)


def test_one_certificate_and_one_name_are_one_person(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("Li^Ming",), certificates=certified(LI_MING.lower()))
    assert registry.one(A, B)
    (event,) = registry.events(A)
    assert (event.kind, event.evidence.rule, event.by) == ("join", "same-certificate", "rules")


def test_saying_it_twice_changes_nothing(registry: Registry) -> None:
    first = registry.register(A, names=("李^明",))
    before = registry.state()
    again = registry.register(A, names=("李^明",))
    assert (first.new, again.new, again.changed, again.exchange_id) == (True, False, False, first.exchange_id)
    assert registry.state() == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_messages_the_later_is_right_in_whatever_order_they_come(
    registry: Registry, order: tuple[int, int]
) -> None:
    said = [{"hours": 0.0, "names": ("李^明",), "phones": ("1",)}, {"hours": 1.0, "names": ("李^鸣",), "sex": "M"}]
    for at in order:
        registry.register(A, **said[at])
    person = actions.person_of(registry.archive.reader, "TAIYUAN", "P0001")
    assert person is not None
    known = actions.records_of(registry.archive.reader, person)[0].known
    assert known == Demographics(names=("李^鸣",), sex="M", phones=("1",))


def test_what_is_said_to_be_forgotten_is_not_brought_back_by_an_older_message(registry: Registry) -> None:
    registry.register(A, hours=2, address="")
    registry.register(A, hours=1, address="太原市迎泽大街1号")
    page = actions.person_page(registry.archive.reader, registry.id_of(A))
    assert page.records[0].known.address == ""


def test_a_certificate_that_comes_later_joins(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("李^明",))
    assert not registry.one(A, B)
    registry.register(B, hours=1, certificates=certified(LI_MING))
    assert registry.one(A, B)


def test_the_id_of_who_was_joined_leads_to_who_stays_and_back_after_a_split(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("李^明",))
    kept, gone = registry.id_of(A), registry.id_of(B)
    registry.register(B, hours=1, certificates=certified(LI_MING))
    assert actions.person_by_exchange_id(registry.archive.reader, gone.lower()).exchange_id == kept
    actions.split(registry.registrar, registry.events(A)[0].pk)
    assert actions.person_by_exchange_id(registry.archive.reader, gone).exchange_id == gone
    assert registry.id_of(B) == gone


def test_join_split_and_join_again_give_the_same_state_byte_for_byte(registry: Registry) -> None:
    registry.register(A, names=("李^明",))
    registry.register(B, names=("李^明",))
    registry.register("YUNCHENG/2", names=("张^三",))
    apart = registry.state()
    actions.join(registry.registrar, ("YUNCHENG", "20260301"), ("TAIYUAN", "P0001"))
    joined = registry.state()
    actions.split(registry.registrar, registry.events(A)[0].pk)
    assert registry.state() == apart
    actions.join(registry.registrar, ("TAIYUAN", "P0001"), ("YUNCHENG", "20260301"))
    assert registry.state() == joined
    actions.split(registry.registrar, registry.events(A)[-1].pk)
    assert registry.state() == apart


def test_joins_can_be_undone_in_any_order(registry: Registry) -> None:
    keys = [A, B, C]
    for key in keys:
        registry.register(key, names=(key,))
    ids = [registry.id_of(key) for key in keys]
    pairs = [tuple(key.split("/")) for key in keys]
    actions.join(registry.registrar, pairs[1], pairs[2])  # type: ignore[arg-type]
    actions.join(registry.registrar, pairs[0], pairs[1])  # type: ignore[arg-type]
    first, second = registry.events(A)
    assert registry.one(*keys)
    actions.split(registry.registrar, first.pk)
    assert registry.one(A, B)
    assert registry.id_of(C) == ids[2]
    actions.split(registry.registrar, second.pk)
    assert [registry.id_of(key) for key in keys] == ids


def test_a_record_that_came_for_its_likeness_to_one_that_goes_goes_with_it(registry: Registry) -> None:
    registry.register(A, names=("李^明",))
    registry.register(B, names=("李^明",), certificates=certified(LI_MING))
    actions.join(registry.registrar, ("TAIYUAN", "P0001"), ("YUNCHENG", "20260301"))
    registry.register(C, names=("李^明",), certificates=certified(LI_MING))
    assert registry.one(A, B, C)
    actions.split(registry.registrar, registry.events(A)[0].pk)
    assert registry.one(B, C)
    assert not registry.one(A, B)


def test_the_id_of_a_record_that_goes_leads_to_where_it_goes(registry: Registry) -> None:
    """c came for its likeness to b, while b was one person with a by mistake."""
    registry.register(A, names=("李^明",), certificates=P)
    registry.register(B, names=("李^明",), certificates=Q)
    registry.register(C, names=("李^明",))
    first_of_c = registry.id_of(C)
    registry.join(A, B)
    registry.register(C, hours=1, certificates=Q)
    assert registry.one(A, B, C)
    actions.split(registry.registrar, registry.events(A)[0].pk)
    assert registry.one(B, C)
    assert actions.person_by_exchange_id(registry.archive.reader, first_of_c).exchange_id == registry.id_of(C)
    work = work_of(registry.archive, resident(first_of_c))
    assert [permitting.may_person(work, registry.id_of(key), Action.SHOW_CODE) for key in (A, C)] == [False, True]


def test_a_split_parts_who_is_two_whoever_came_first(registry: Registry) -> None:
    registry.register(C, names=("李^明",))
    registry.register(A, names=("李^明",), certificates=P)
    registry.register(B, names=("李^明",), certificates=Q)
    ids = [registry.id_of(key) for key in (A, B, C)]
    registry.join(A, B)
    wrong = registry.events(A)[0].pk
    registry.register(C, hours=1, certificates=Q)
    assert registry.one(A, B, C)
    actions.split(registry.registrar, wrong)
    assert [registry.id_of(key) for key in (A, B, C)] == [ids[0], ids[2], ids[2]]


def test_a_split_leaves_what_humans_joined_otherwise(registry: Registry) -> None:
    for key in (A, B, C):
        registry.register(key, names=(key,))
    registry.join(B, C)
    registry.join(A, B)
    of_b_and_c, of_a_and_b = (each.pk for each in registry.events(B))
    actions.split(registry.registrar, of_b_and_c)
    registry.join(A, C)
    actions.split(registry.registrar, of_a_and_b)
    assert registry.one(A, C)
    assert not registry.one(A, B)


def test_whatever_was_joined_and_split_is_as_if_only_the_joins_that_stand_had_been(registry: Registry) -> None:
    keys = [f"{issuer}/{number}" for issuer in ("TAIYUAN", "YUNCHENG") for number in range(4)]
    for key in keys:
        registry.register(key, names=(key,))
    first = {key: registry.id_of(key) for key in keys}
    standing: dict[int, tuple[str, str]] = {}
    chance = random.Random(7)
    for _ in range(60):
        one, other = chance.sample(keys, 2)
        if not registry.one(one, other):
            registry.join(one, other)
            standing[registry.events(one)[-1].pk] = (one, other)
        elif standing:
            undone = chance.choice(list(standing))
            del standing[undone]
            actions.split(registry.registrar, undone)
        oldest = _oldest(keys, standing.values())
        assert {key: registry.id_of(key) for key in keys} == {key: first[oldest[key]] for key in keys}
        for key in keys:  # so do the ids lead there that were given out once
            now = actions.person_by_exchange_id(registry.archive.reader, first[key]).exchange_id
            assert now == first[oldest[key]]


def _oldest(keys: list[str], joined: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of each the first in `keys` with which it hangs together."""
    sides = [{key} for key in keys]
    for pair in joined:
        touched = [side for side in sides if side & set(pair)]
        sides = [side for side in sides if side not in touched] + [set[str]().union(*touched)]
    return {key: min(side, key=keys.index) for side in sides for key in side}


def test_of_three_answers_a_split_takes_back_all_that_are_between_both_sides(registry: Registry) -> None:
    for key, name in ((A, "李^明"), (B, "王^芳"), (C, "张^三")):
        registry.register(key, names=(name,), certificates=certified(LI_MING))
    for pair in registry.asked():
        registry.answer("joined", *pair)
    assert registry.one(A, B, C)
    between = next(each for each in registry.events(A) if ("TAIYUAN", "P0001") in (each.kept_record, each.other_record))
    actions.split(registry.registrar, between.pk)
    alone = next(key for key in (A, B, C) if not any(registry.one(key, other) for other in {A, B, C} - {key}))
    registry.register(alone, hours=1, phones=("13800000000",))
    assert not any(registry.one(alone, other) for other in {A, B, C} - {alone})
    assert registry.asked() == []


@pytest.mark.parametrize("way", ["answer", "join"])
def test_what_waits_for_a_question_is_decided_however_a_human_says_it(registry: Registry, way: str) -> None:
    registry.register(A, names=("李^明",), certificates=(*certified(LI_MING), *P))
    registry.register(B, names=("王^芳",), certificates=P)
    registry.register(C, names=("李^明",), certificates=certified(LI_MING))
    assert registry.asked() == [{A, B}]
    assert not registry.one(A, C)
    if way == "answer":
        registry.answer("joined", A, B)
    else:
        registry.join(A, B)
    assert registry.one(A, B, C)


def test_what_a_wrong_join_kept_out_is_joined_after_the_split(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("李^明",), certificates=Q)
    registry.join(A, B)
    registry.register(C, names=("李^明",), certificates=(*certified(OTHER), *Q))
    assert not registry.one(B, C)
    actions.split(registry.registrar, registry.events(A)[0].pk)
    assert registry.one(B, C)
    assert not registry.one(A, B)


def test_what_a_human_has_split_is_neither_joined_nor_asked_again(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("李^明",), certificates=certified(LI_MING))
    actions.split(registry.registrar, registry.events(A)[0].pk)
    registry.register(B, hours=1, phones=("13800000000",))
    assert not registry.one(A, B)
    assert registry.asked() == []


def test_one_certificate_with_two_names_is_for_a_human_to_say(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
    assert registry.asked() == [{A, B}]
    assert not registry.one(A, B)
    registry.answer("joined", A, B)
    assert registry.one(A, B)
    assert registry.events(A)[0].by == "127.0.0.1"


def test_joins_and_splits_are_by_the_account_of_the_registrar_whatever_the_institution(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
    works = [
        work_of(registry.archive, staff(Role.REGISTRAR, institution="TAIYUAN", name=name)) for name in ("zhao", "qian")
    ]
    (question,) = actions.questions(works[0])
    assert actions.answer(works[0], question.pk, "joined").by == "zhao"
    assert registry.events(A)[0].by == "zhao"
    ids = {registry.id_of(A)}
    actions.split(works[1], registry.events(A)[0].pk)
    assert {each.by for each in registry.events(A)} == {"zhao", "qian"}
    ids |= {registry.id_of(A), registry.id_of(B)}
    assert len(ids) == 2
    lines = [line for line in auditing.lines(registry.archive.store) if "fact" in line.looked.detail]
    assert {(line.asker["name"], line.looked.detail["fact"], line.looked.person) for line in lines} == {
        (name, fact, person) for name, fact in (("zhao", "joined"), ("qian", "split")) for person in ids
    }


def test_who_may_not_decide_and_tries_is_in_the_audit(registry: Registry) -> None:
    with pytest.raises(NotAllowed):
        actions.split(work_of(registry.archive, staff(Role.DOCTOR)), 1)
    looked = auditing.lines(registry.archive.store)[0].looked
    assert (looked.action, looked.allowed) == ("people.decide", False)


def test_an_answer_of_apart_is_remembered(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
    registry.answer("apart", A, B)
    registry.register(B, hours=1, names=("李^明",))
    assert not registry.one(A, B)
    assert registry.asked() == []


@pytest.mark.parametrize("name", ["王^欣子", "WANG^XINZI"])
def test_whose_twin_is_known_is_not_joined_with_the_twins_mistyped_record(registry: Registry, name: str) -> None:
    """王欣子 has no certificate; a record of her twin 王欣梓 has her name, or only the sound of it."""
    same = {"sex": "F", "phones": ("15618100374",), "address": "运城市盐湖区桃园路256号28号楼4单元802"}
    twin = {"certificates": certified(LI_MING), **same}
    registry.register(A, names=("王^欣梓",), **twin)
    registry.register(B, names=(name,), **twin)
    registry.register(C, names=("王^欣子",), birth_date="19491231", **same)
    assert registry.one(A, B)
    assert not registry.one(B, C)
    ((low, high),) = registry.asked()
    assert C in (low, high)
    (question,) = actions.questions(registry.registrar)
    assert question.evidence.rule == "twin-or-misspelt"
    asked = Demographics(names=("王^欣子",), birth_date="19491231", **same)
    decisions = {each.record.key: each.decision for each in actions.match(registry.registrar, asked)}
    assert decisions == {("TAIYUAN", "P0001"): "ask", ("YUNCHENG", "20260301"): "ask", ("YUNCHENG", "P0001"): "join"}


def test_of_whom_no_twin_is_known_is_joined_by_likeness(registry: Registry) -> None:
    same = {"sex": "F", "phones": ("15618100374",), "address": "运城市盐湖区桃园路256号28号楼4单元802"}
    registry.register(B, names=("WANG^XINZI",), certificates=certified(LI_MING), **same)
    registry.register(C, names=("王^欣子",), birth_date="19491231", **same)
    assert registry.one(B, C)


def test_nothing_is_joined_while_a_question_is_open_on_either_side(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
    registry.register(C, names=("李^明",), certificates=certified(LI_MING))
    assert {A, B} in registry.asked()
    assert not registry.one(A, C)
    with pytest.raises(BadRequest):
        actions.join(registry.registrar, ("TAIYUAN", "P0001"), ("YUNCHENG", "P0001"))
    for pair in registry.asked():
        registry.answer("apart", *pair)
    assert registry.one(A, C)
    assert not registry.one(A, B)


def test_answers_that_wait_for_one_another_are_carried_out_when_the_last_is_there(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
    registry.register(C, names=("张^三",), certificates=certified(LI_MING))
    pairs = registry.asked()
    assert len(pairs) == 3
    for pair in pairs:
        assert not registry.one(A, B)
        registry.answer("joined", *pair)
    assert registry.one(A, B, C)


def test_a_certificate_that_proves_two_people_withdraws_the_question(registry: Registry) -> None:
    passport = certified("E12345678", kind="passport")
    registry.register(A, names=("李^明",), certificates=passport)
    registry.register(B, names=("王^芳",), certificates=passport)
    assert registry.asked() == [{A, B}]
    registry.register(A, hours=1, certificates=certified(LI_MING))
    registry.register(B, hours=1, certificates=certified(OTHER))
    assert registry.asked() == []
    assert not registry.one(A, B)


def test_a_newborn_is_known_by_its_mother_until_its_own_number_comes(registry: Registry) -> None:
    born = {"birth_date": "20260301", "mother_certificates": certified(LI_MING)}
    registry.register(A, names=("王芳之子",), birth_order=1, sex="M", **born)
    registry.register(B, names=("李^小明",), birth_order=1, **born)
    registry.register(C, names=("王芳之次子",), birth_order=2, **born)
    assert registry.one(A, B)
    assert not registry.one(A, C)
    own = certified("11010020171225006X")
    registry.register(B, hours=5, certificates=own, mother_certificates=(), birth_date="20171225")
    registry.register("YUNCHENG/9", names=("李^小明",), certificates=own)
    assert registry.one(B, "YUNCHENG/9", A)


def test_a_merged_number_takes_its_person_along(registry: Registry) -> None:
    registry.register(A, names=("李^明",))
    registry.register("TAIYUAN/P0002", names=("李^明",))
    actions.merge_numbers(registry.archive.sender(), "TAIYUAN", "P0002", "P0001")
    actions.merge_numbers(registry.archive.sender(), "TAIYUAN", "P0002", "P0001")
    assert registry.one(A, "TAIYUAN/P0002")
    assert [event.evidence.rule for event in registry.events(A)] == ["merged-by-issuer"]
    record = actions.person_page(registry.archive.reader, registry.id_of(A)).records[1]
    assert (record.number, record.merged_into) == ("P0002", "P0001")


def test_a_number_that_is_not_used_any_more_is_still_known(registry: Registry) -> None:
    registry.register(A)
    actions.deactivate(registry.archive.sender(), "TAIYUAN", "P0001")
    assert not actions.person_page(registry.archive.reader, registry.id_of(A)).records[0].active
    with pytest.raises(NotFound):
        actions.deactivate(registry.archive.sender(), "TAIYUAN", "P0009")


def test_an_institution_registers_its_own_numbers_and_decides_nothing(registry: Registry) -> None:
    sender = registry.archive.sender("YUNCHENG")
    with pytest.raises(NotAllowed):
        actions.register(sender, Registration("TAIYUAN", "P0001", DAY))
    with pytest.raises(BadRequest):
        actions.register(sender, Registration("YUNCHENG", " ", DAY))
    for decide in (
        lambda: actions.join(sender, ("TAIYUAN", "1"), ("TAIYUAN", "2")),
        lambda: actions.split(sender, 1),
        lambda: actions.answer(sender, 1, "joined"),
    ):
        with pytest.raises(NotAllowed):
            decide()


@pytest.mark.parametrize("text", ["王小东", "wangxiaodong", "Xiaodong Wang", "wxd", "王小", "p7", LI_MING.lower()])
def test_people_are_found_by_name_number_and_certificate(registry: Registry, text: str) -> None:
    registry.register("TAIYUAN/p7", names=("王^小东",), certificates=certified(LI_MING), birth_date="19491231")
    registry.register(B, names=("李^娜",))
    found = actions.find_people(registry.archive.reader, text)
    assert [record.number for _, records in found for record in records] == ["p7"]
    assert actions.find_people(registry.archive.reader, text, birth_date="20000101") == []


def test_people_are_found_by_exchange_id(registry: Registry) -> None:
    registry.register(A, names=("李^明",))
    assert len(actions.find_people(registry.archive.reader, registry.id_of(A).lower())) == 1
    assert actions.find_people(registry.archive.reader, " ") == []


def test_match_says_who_it_may_be_and_writes_nothing(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    before = registry.state()
    (found,) = actions.match(registry.archive.reader, Demographics(names=("李明",), certificates=certified(LI_MING)))
    assert (found.decision, found.evidence.rule, found.exchange_id) == ("join", "same-certificate", registry.id_of(A))
    assert registry.state() == before
