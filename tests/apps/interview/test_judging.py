"""Notes, scores and evidence: whose they are, what they rest on, and who learns of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.apps.interview import challenges, figures, refusals, views
from sitting.apps.interview.commands import (
    AddNote,
    CancelEvidence,
    ChangeNote,
    End,
    ExtendTime,
    MarkIntegrity,
    Passage,
    Pause,
    ProposeEvidence,
    RecordEvidence,
    RemoveNote,
    Resume,
    RotateLink,
    SaveScores,
    Start,
    SubmitScorecard,
    Update,
)
from sitting.apps.interview.kind import KIND
from sitting.apps.interview.terms import CRITERIA
from tests.apps.interview.stage import ANN, BEN, Stage, amended, card, cited, refolded

ANNS, BENS = "interviewer:user:ann", "interviewer:user:ben"


def talked() -> tuple[Stage, int]:
    """An interview with one exchange, and the position of its reply."""
    stage = Stage().started()
    stage.say("Is a heap right here? \U0001f914 I think so.")
    stage.answer("A heap is a good choice. \U0001f44d Which operations do you need?")
    return stage, stage.session.seq


def test_notes_belong_to_one_interviewer_and_nobody_else_learns_of_them() -> None:
    stage, seq = talked()
    stage.do(AddNote(text="asks well", at_seq=seq))
    id = stage.events[-1].data["note_id"]
    assert views.notes(stage.session, ANN.id)[0] == {
        "id": id,
        "text": "asks well",
        "at_seq": seq,
        "created_at": "2026-03-01T09:00:00.000Z",
        "updated_at": "2026-03-01T09:00:00.000Z",
    }
    assert views.notes(stage.session, BEN.id) == []
    stage.later(1).do(ChangeNote(note_id=id, text="asks very well"))
    changed = views.notes(stage.session, ANN.id)[0]
    assert (changed["text"], changed["at_seq"]) == ("asks very well", seq)
    assert changed["created_at"] < changed["updated_at"]
    for command in (ChangeNote(note_id=id, text="x"), RemoveNote(note_id=id), RemoveNote(note_id="nonsense")):
        with pytest.raises(errors.NotFound, match="Note not found"):
            stage.do(command, BEN)
    with pytest.raises(errors.Invalid):
        stage.do(AddNote(text="later", at_seq=stage.session.seq + 1))
    stage.do(RemoveNote(note_id=id))
    assert views.notes(stage.session, ANN.id) == []
    mine = [told["data"] for told in stage.told(ANNS) if told["type"].startswith("NOTE")]
    assert mine == [{"note_id": id, "at_seq": seq}] * 2 + [{"note_id": id}]
    for audience in (BENS, "candidate", "visitor"):
        assert not any(told["type"].startswith("NOTE") for told in stage.told(audience))
        assert not any(views.parts(event, audience) for event in stage.events if event.type.startswith("NOTE"))


def test_no_score_without_an_exact_citation() -> None:
    stage, seq = talked()
    exact = cited(stage, seq, "\U0001f44d Which")
    assert exact["start"] == 25
    wrong: list[tuple[list[dict[str, Any]], type[errors.Invalid], str]] = [
        ([], refusals.CitationRequired, "Score 'approach' needs at least one citation."),
        ([{**exact, "start": 26, "end": 32}], refusals.CitationMismatch, f"at seq {seq}."),
        ([{**exact, "seq": 1}], refusals.CitationMismatch, "Citation does not match the transcript at seq 1."),
        ([exact, {**exact, "quote": "\U0001f44d which"}], refusals.CitationMismatch, f"at seq {seq}."),
        ([{"seq": seq, "start": 0, "end": 999, "quote": stage.events[-1].part("candidate")["content"]}],
         refusals.CitationMismatch, f"at seq {seq}."),
    ]  # fmt: skip
    for citations, error, message in wrong:
        command = SaveScores.model_validate({"scores": [{"criterion": "approach", "score": 3, "citations": citations}]})
        with pytest.raises(error) as caught:
            stage.do(command)
        assert message in caught.value.message
    stage.do(card(stage, seq, "\U0001f44d Which", "approach"))
    kept = views.scorecards(stage.session, ANN.id)["own"]
    assert kept["scores"][0]["citations"] == [exact]
    assert stage.told(ANNS)[-1]["data"] == {"scores": 1}


def test_only_criteria_of_this_interview_and_each_once() -> None:
    stage, seq = talked()
    for names in (("charm",), ("approach", "approach")):
        with pytest.raises(errors.Invalid) as caught:
            stage.do(card(stage, seq, "heap", *names))
        assert caught.value.facts["fields"][0]["field"].startswith("scores.")
    with pytest.raises(errors.WrongState, match="Cannot save scores. Session is in 'created' state."):
        Stage().created().do(SaveScores())


def test_a_card_is_handed_in_complete_and_after_the_end() -> None:
    stage, seq = talked()
    stage.do(card(stage, seq, "heap", *CRITERIA[:-1]))
    with pytest.raises(errors.WrongState, match="Cannot submit scorecard. Session is in 'active' state."):
        stage.do(SubmitScorecard())
    stage.do(End())
    with pytest.raises(refusals.ScoreMissing, match="Score missing for 'communication'."):
        stage.do(SubmitScorecard())
    with pytest.raises(refusals.ScoreMissing):
        stage.do(SubmitScorecard(), BEN)
    with pytest.raises(errors.WrongState):
        stage.do(amended("no card yet", stage, seq, "heap", *CRITERIA))
    stage.do(card(stage, seq, "heap", *CRITERIA, summary="Solid."))
    stage.do(SubmitScorecard())
    for command in (SubmitScorecard(), SaveScores()):
        with pytest.raises(errors.WrongState):
            stage.do(command)
    with pytest.raises(refusals.ScoreMissing):
        stage.do(amended("half", stage, seq, "heap", "approach"))
    stage.later(1).do(amended("misread", stage, seq, "good choice", *CRITERIA))
    own = views.scorecards(stage.session, ANN.id)["own"]
    assert own["scores"][0]["citations"][0]["quote"] == "good choice"
    assert (own["reason"], own["amended_at"] > own["submitted_at"]) == ("misread", True)


def test_others_cards_stay_hidden_until_the_own_one_is_in() -> None:
    stage, seq = talked()
    stage.do(card(stage, seq, "heap", *CRITERIA))
    stage.do(End())
    assert views.scorecards(stage.session, BEN.id) == {"own": None, "others": [], "hidden": 0}
    stage.do(SubmitScorecard())
    stage.do(card(stage, seq, "heap", "approach"), BEN)
    hidden = views.scorecards(stage.session, BEN.id)
    assert (hidden["others"], hidden["hidden"]) == ([], 1)
    told = [each for each in stage.told(BENS) if each["type"].startswith("SCORE")]
    assert [(each["type"], each["data"]) for each in told] == [
        ("SCORECARD_SUBMITTED", {"scores": 5}),
        ("SCORES_SAVED", {"scores": 1}),
    ]
    stage.do(card(stage, seq, "heap", *CRITERIA), BEN)
    stage.do(SubmitScorecard(), BEN)
    both = views.scorecards(stage.session, BEN.id)
    assert [each["interviewer"] for each in both["others"]] == [ANN.id]
    assert both["hidden"] == 0
    stage.do(amended("misread", stage, seq, "heap", *CRITERIA))
    assert views.parts(stage.events[-1], BENS) == ()
    assert set(views.parts(stage.events[-1], ANNS)) == {"user:ann", "candidate"}
    assert not any(each["type"].startswith("SCORE") for each in stage.told("candidate"))


def test_the_largest_card_is_one_event() -> None:
    stage = Stage().started(config={"criteria": [f"{number} {'c' * 90}" for number in range(10)]})
    stage.say("\x01" * 5000)
    content = stage.events[-1].part("candidate")["content"]
    citation = {"seq": stage.session.seq, "start": 0, "end": 5000, "quote": content}
    names = stage.session.data["config"]["criteria"]

    short = {**citation, "end": 1, "quote": "\x01"}

    def most(count: int) -> SaveScores:
        every = [
            {"criterion": name, "score": 1, "citations": [citation if place < count else short]}
            for place, name in enumerate(names)
        ]
        return SaveScores.model_validate({"scores": every, "summary": "s" * 2000})

    stage.do(most(6))
    with pytest.raises(ValueError, match="192 KB"):
        most(7)


def test_evidence_is_what_stands_in_the_transcript() -> None:
    stage, seq = talked()
    with pytest.raises(errors.WrongState, match="Cannot propose evidence. Session is in 'active' state."):
        stage.do(ProposeEvidence(criterion="approach"))
    stage.do(End())
    with pytest.raises(errors.Invalid):
        stage.do(ProposeEvidence(criterion="charm"))
    stage.do(ProposeEvidence(criterion="approach"))
    job = stage.events[-1].data["job"]
    request = stage.jobs["evidence:user:ann"]
    assert (request.id, request.retries, request.audiences) == (job, 1, ())
    with pytest.raises(errors.Conflict):
        stage.do(ProposeEvidence(criterion="checking"))
    said = [
        Passage(seq=seq, quote="good choice"),
        Passage(seq=seq, quote="good choice"),
        Passage(seq=seq, quote="a bad choice"),
        Passage(seq=seq + 50, quote="heap"),
        Passage(seq=seq - 1, quote="\U0001f914 I think"),
    ]
    stage.worker(RecordEvidence(job=job, items=said))
    stage.jobs.clear()
    found = views.proposals(stage.session, ANN.id)
    assert [(each["job"], each["criterion"], each["state"]) for each in found] == [(job, "approach", "proposed")]
    assert found[0]["items"] == [cited(stage, seq, "good choice"), cited(stage, seq - 1, "\U0001f914 I think")]
    assert views.proposals(stage.session, BEN.id) == []
    assert stage.told(ANNS)[-1]["data"] == {"job": job, "items": 2}
    assert not any(each["type"].startswith("EVIDENCE") for each in [*stage.told(BENS), *stage.told("candidate")])
    assert stage.view()["tokens_used"] == stage.session.data["input_tokens"] + stage.session.data["output_tokens"]
    before = stage.session
    stage.worker(RecordEvidence(job=job, items=said))
    assert stage.session == before


def test_a_search_fails_or_is_stopped_and_can_be_asked_again() -> None:
    stage, _ = talked()
    stage.do(End())
    stage.do(ProposeEvidence(criterion="approach"))
    job = stage.events[-1].data["job"]
    stage.worker(KIND.interrupted["propose_evidence"](job, "", "MODEL_FAILED"))
    stage.jobs.clear()
    assert stage.told(ANNS)[-1]["data"] == {"job": job, "reason": "MODEL_FAILED"}
    stage.do(ProposeEvidence(criterion="approach"))
    again = stage.events[-1].data["job"]
    assert [each["job"] for each in views.proposals(stage.session, ANN.id)] == [again]
    with pytest.raises(errors.NotFound):
        stage.do(CancelEvidence(job=again), BEN)
    stage.do(CancelEvidence(job=again))
    assert stage.jobs == {}
    assert views.proposals(stage.session, ANN.id)[0]["reason"] == "cancelled"
    stage.models.model = None
    with pytest.raises(errors.ModelNotConfigured):
        stage.do(ProposeEvidence(criterion="approach"))


@pytest.fixture(scope="module")
def full() -> Stage:
    stage = Stage()
    id = next(iter(challenges.BUILT_IN))
    stage.created(challenge_id=id, candidate_email="c@example.com", config={"integrity_marks": True, "helper": "full"})
    stage.do(Update(candidate_name="Dora", challenge_text="And explain.", challenge_id=list(challenges.BUILT_IN)[1]))
    stage.do(Start())
    stage.say("Is a heap right here?")
    stage.answer("A heap is a good choice.")
    seq = stage.session.seq
    stage.guest(MarkIntegrity(kind="paste", chars=9))
    stage.do(AddNote(text="asks well", at_seq=seq))
    stage.do(card(stage, seq, "heap", "approach"))
    stage.do(Pause(reason="fire drill"))
    stage.do(Resume())
    stage.do(ExtendTime(seconds=60, reason="for the drill"))
    stage.do(RotateLink())
    turn = stage.say("More?")
    stage.texts[turn] = "Yes"
    stage.do(End(reason="done"))
    stage.do(card(stage, seq, "heap", *CRITERIA, summary="Solid."))
    stage.do(SubmitScorecard())
    stage.do(amended("misread", stage, seq, "good", *CRITERIA))
    stage.do(ProposeEvidence(criterion="approach"))
    stage.worker(RecordEvidence(job=stage.events[-1].data["job"], items=[Passage(seq=seq, quote="heap")]))
    assert stage.session == refolded(stage.events, stage.session)
    return stage


@given(data=st.data())
def test_whatever_is_erased_the_session_folds_and_is_shown(full: Stage, data: st.DataObject) -> None:
    """Any set of parts may be gone: figures and states stay what they were, and nothing raises."""
    gone = data.draw(st.sets(st.sampled_from([(e.seq, owner) for e in full.events for owner in e.personal])))
    events = [
        replace(event, personal={o: None if (event.seq, o) in gone else c for o, c in event.personal.items()})
        for event in full.events
    ]
    session = refolded(events, full.session)
    assert session.state == full.session.state
    numbers = ("time_limit", "token_budget", "input_tokens", "output_tokens", "messages", "active", "paused_total")
    assert [session.data[name] for name in numbers] == [full.session.data[name] for name in numbers]
    now = full.now
    for audience in (ANNS, BENS, "candidate", "visitor"):
        KIND.view(session, audience, now)
        KIND.meters(session, audience, now)
        KIND.needs(session, audience)
        for event in events:
            KIND.tell(event, audience)
            KIND.carries(event, audience)
            KIND.final(event)
    assert figures.analytics(session, events, now) == figures.analytics(full.session, full.events, now)
    assert [line["balance"] for line in figures.ledger(session, events, now)["tokens"]]
    assert len(figures.messages(events)) == 4
    views.notes(session, ANN.id)
    views.scorecards(session, ANN.id)
    views.proposals(session, ANN.id)
    assert KIND.title(session)
    KIND.search(session)


def test_what_a_candidate_may_carry_out(full: Stage) -> None:
    """The candidate's copy holds no note, score, e-mail address, hint or mark."""
    carried: list[Mapping[str, Any]] = [
        event.personal[owner] for event in full.events for owner in KIND.carries(event, "candidate") or ()
    ]
    assert all(set(content) in ({"content"}, {"reason"}) for content in carried)
    text = str(carried) + str(full.told("candidate")) + str(full.view("candidate"))
    for hidden in ("c@example.com", "asks well", "Solid.", "misread", "room hold", "paste"):
        assert hidden not in text
    assert "fire drill" in text and "for the drill" in text


def test_the_data_of_events_holds_no_personal_text(full: Stage) -> None:
    kept = str([dict(event.data) for event in full.events])
    words = ("Carla", "Dora", "example.com", "heap", "asks well", "Solid", "misread", "drill", "explain", "Yes", "done")
    assert not [word for word in words if word in kept]
