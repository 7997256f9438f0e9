import itertools

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from huitong.wire.dimse.states import ACTIONS, TRANSITIONS, Do, Evt, State

PAIRS = list(itertools.product(Evt, State))


def test_the_table_is_the_one_pynetdicom_has_of_ps3_8_table_9_10():
    ours = {(f"Evt{evt.value}", f"Sta{state.value}"): action.name for (evt, state), action in TRANSITIONS.items()}
    assert ours == TRANSITION_TABLE


def test_every_action_is_used_and_every_cell_names_an_action():
    assert {action.name for action in TRANSITIONS.values()} == set(ACTIONS)


@pytest.mark.parametrize("state", [s for s in State if s not in (State.IDLE, State.AWAITING_TRANSPORT)])
def test_whatever_arrives_in_an_open_state_has_an_answer(state):
    for evt in (Evt.ASSOCIATE_AC, Evt.ASSOCIATE_RJ, Evt.ASSOCIATE_RQ, Evt.P_DATA_TF, Evt.RELEASE_RQ, Evt.RELEASE_RP):
        assert (evt, state) in TRANSITIONS
    for evt in (Evt.ABORT, Evt.TRANSPORT_CLOSED, Evt.INVALID_PDU):
        assert (evt, state) in TRANSITIONS


def test_idle_knows_only_the_two_ways_to_begin():
    assert {evt for evt, state in PAIRS if state is State.IDLE and (evt, state) in TRANSITIONS} == {
        Evt.LOCAL_ASSOCIATE_REQUEST,
        Evt.TRANSPORT_INDICATED,
    }


def test_the_timer_runs_in_exactly_the_states_in_which_its_end_has_a_meaning():
    meaning = {state for evt, state in TRANSITIONS if evt is Evt.ARTIM_EXPIRED}
    started = {action.state for action in ACTIONS.values() if Do.START_ARTIM in action.do}
    assert meaning == started == {State.AWAITING_REQUEST, State.AWAITING_CLOSE}
