"""Policies are applied to conversations that are complete: once, whole, and by the rules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import event, func, select

from earwitness.store import after_call_work, audit, integrations, internal, policies, policy_applying, retention
from earwitness.store.database import Database
from earwitness.store.tables import (
    Calibration,
    Conversation,
    ConversationTeam,
    DeletionProtection,
    Division,
    Evaluation,
    EvaluationForm,
    Integration,
    PolicyDecision,
    Recording,
    RetentionPolicy,
    User,
)
from earwitness.worker import apply_policies
from earwitness.worker.apply_policies import ApplyPolicies
from earwitness.worker.bench import Bench

S = 1_000_000
DAY = 86_400 * S
NOW = 1_795_353_600_000_000
STAMP = {"created_at": 1, "modified_at": 1}
ALWAYS = {"alwaysDelete": True}
QUESTIONS = [
    {"id": "g", "name": "All", "questions": [
        {"id": "q", "type": "multipleChoiceQuestion", "text": "Polite?", "answerOptions": [
            {"id": "yes", "text": "Yes", "value": 1}, {"id": "no", "text": "No", "value": 0}]}]}
]  # fmt: skip


def days(number: int, archive: int = 0) -> dict[str, Any]:
    return {"retentionDuration": {"deleteRetention": {"days": number}, "archiveRetention": {"days": archive}}}


def evaluate(form: str = "form", evaluator: str = "eve") -> dict[str, Any]:
    return {"evaluationForm": {"id": form}, "user": {"id": evaluator}}


class House:
    """A database with people and a form; makes conversations and policies, and lets the chore run."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.now = NOW
        self.bench = Bench(self.database, None, lambda: self.now)  # type: ignore[arg-type]
        self.chore = ApplyPolicies()
        with self.database.transaction() as session:
            session.add(Division(id="home", name="Home", home=True, **STAMP))
            session.flush()
            for name in ("ann", "bob", "eve", "max", "sick", "left"):
                state = {"sick": "inactive", "left": "deleted"}.get(name, "active")
                session.add(User(id=name, name=name, email=f"{name}@x", division_id="home", state=state, **STAMP))
            for key, at in (("form", 5), ("form2", 9), ("draft", None)):
                session.add(EvaluationForm(id=key, name=key, division_id="home", context_id="ctx", published_at=at,
                                           question_groups=QUESTIONS, **STAMP))  # fmt: skip
            session.add(Integration(id="s3", name="S3", type=integrations.FOLDER, intended_state="ENABLED", **STAMP))

    def policy(self, key: str, actions: Any = None, conditions: Any = None, **fields: Any) -> None:
        values = {"name": key.title(), "enabled": True, "enabled_at": NOW - DAY, **STAMP, **fields}
        block = {"callPolicy": {"actions": actions or {}, "conditions": conditions or {}}}
        with self.database.transaction() as session:
            session.add(RetentionPolicy(id=key, document={"mediaPolicies": block}, **values))

    def call(self, key: str = "c", *, users: tuple[str, ...] = ("ann",), recordings: int = 1, **fields: Any) -> str:
        """A call that ended ten seconds ago; each user talked for ten seconds, one after the other."""
        start = fields.pop("start", NOW - 100 * S)
        end = start + 90 * S
        people: list[dict[str, Any]] = [_person("caller", "external", None, start, external=True)]
        people += [_person(f"p-{user}", "agent", user, start + n * 10 * S) for n, user in enumerate(users)]
        timeline = {
            "conversation_id": key,
            "direction": fields.pop("direction", "inbound"),
            "start": start,
            "end": end,
            "consent": fields.pop("consent", "unset"),
            "participants": people,
            "tapes": fields.pop("tapes", []),
        }
        with self.database.transaction() as session:
            session.add(Conversation(id=key, organization_id="o", started_at=start, ended_at=end, direction="inbound",
                                     timeline=timeline, finalised_at=end))  # fmt: skip
            session.flush()
            for team, user in fields.pop("teams", ()):
                session.add(ConversationTeam(conversation_id=key, team_id=team, user_id=user))
            for n in range(recordings):
                session.add(_recording(f"{key}-r{n}", key, end + S))
            session.add(_recording(f"{key}-adhoc", key, end + S, role="ADHOC", owner_user_id="ann"))
        assert not fields
        return key

    def turn(self) -> int:
        return self.chore(self.bench)

    def recordings(self, key: str = "c") -> list[Recording]:
        with self.database.reading() as session:
            return [row for row in internal.recordings_of(session, key) if row.role != "ADHOC"]

    def decision(self, key: str = "c") -> PolicyDecision:
        with self.database.reading() as session:
            found = session.get(PolicyDecision, key)
            assert found is not None
            return found

    def all(self, table: Any) -> list[Any]:
        with self.database.reading() as session:
            return list(session.scalars(select(table).order_by(table.id)))

    def done(self) -> list[tuple[str, bool, str]]:
        return [(item["action"], item["done"], item["why"]) for item in self.decision().actions]


def _person(key: str, purpose: str, user: str | None, at: int, *, external: bool = False) -> dict[str, Any]:
    return {
        "participant_id": key, "purpose": purpose, "user_id": user, "connected": at, "queue_id": None, "segments": [],
        "wrapup": None, "legs": [{"external": external, "answered": at}],
    }  # fmt: skip


def _recording(key: str, conversation_id: str, created_at: int, **fields: Any) -> Recording:
    values = {
        "kind": "trunk", "media_subtype": "Trunk", "role": "CUSTOMER_EXPERIENCE", "file_state": "AVAILABLE",
        "started_at": created_at - S, "ended_at": created_at, "duration_ms": 1000, "audio_format": "audio/opus",
        "mime_type": "audio/ogg", "channels": 2, "sample_rate": 8000, "size": 1, "modified_at": created_at,
    }  # fmt: skip
    return Recording(id=key, conversation_id=conversation_id, created_at=created_at, **{**values, **fields})


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def make_sqlite_house(migrated_sqlite: Any, tmp_path: Any) -> Iterator[Callable[[], House]]:
    made: list[House] = []

    def make() -> House:
        path = tmp_path / f"{len(made)}.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        made.append(House(f"sqlite:///{path}"))
        return made[-1]

    yield make
    for house in made:
        house.database.dispose()


@pytest.fixture
def small(make_sqlite_house: Callable[[], House]) -> House:
    return make_sqlite_house()


def test_f9_f11_dates_are_stamped_with_their_reason(house: House) -> None:
    house.policy("short", days(30, 5))
    house.policy("long", days(100, 10), order=3)
    house.policy("else", ALWAYS, {"directions": ["OUTBOUND"]})
    house.call(recordings=2)
    assert house.turn() == 1
    for row in house.recordings():
        assert row.delete_date == row.created_at + 100 * DAY
        assert row.archive_date == row.created_at + 10 * DAY
        assert (row.archive_medium, row.retention_policy_id, row.version) == ("CLOUDARCHIVE", "long", 2)
        assert row.retention_why is not None
        assert row.retention_why["says"] == "delete after 100 days, archive after 10 days"
    decision = house.decision()
    assert (decision.outcome, decision.policy_id) == ("DELETE_AFTER", "long")
    assert [(item["id"], item["won"]) for item in decision.matched] == [("short", False), ("long", True)]
    with house.database.reading() as session:
        conversation = session.get(Conversation, "c")
        assert conversation is not None
        assert conversation.completed_at == NOW
        entry = audit.listing(session, action="policies.apply").items[0]
        assert entry.detail["verdict"]["policyName"] == "Long"


def test_f3_policies_wait_for_after_call_work_and_w3_not_without_end(house: House) -> None:
    house.policy("sold", days(30), {"wrapupCodes": [{"id": "code"}]})
    house.policy("late", days(90), {"wrapupCodes": [{"id": after_call_work.TIMEOUT_CODE}]})
    for key in ("c", "d"):
        house.call(key)
        with house.database.transaction() as session:
            after_call_work.add(session, conversation_id=key, participant_id="p-ann", user_id="ann", queue_id="q",
                                started_at=NOW - 10 * S, deadline_at=NOW + 60 * S)  # fmt: skip
    assert house.turn() == 0
    with house.database.transaction() as session:
        row = after_call_work.of_participant(session, "c", "p-ann")
        assert row is not None
        after_call_work.give(session, row, at=NOW, code_id="code", code_name="Sold")
    assert house.turn() == 1
    assert house.decision("c").policy_id == "sold"
    house.now += 61 * S
    with house.database.transaction() as session:
        after_call_work.close_overdue(session, house.now)
    assert house.turn() == 1
    assert house.decision("d").policy_id == "late"


def test_f1_f2_f4_f19_only_what_was_enabled_when_the_call_began(house: House) -> None:
    house.policy("late", days(1), enabled_at=NOW - 100 * S + 1)
    house.policy("off", days(2), enabled=False)
    house.policy("gone", days(3), state="deleted")
    house.policy("just", days(4), enabled_at=NOW - 100 * S)
    house.call()
    house.turn()
    decision = house.decision()
    assert [item["id"] for item in decision.matched] == ["just"]
    assert [item["id"] for item in decision.missed] == ["late"]
    date = house.recordings()[0].delete_date
    with house.database.transaction() as session:
        row = policies.get(session, "just")
        assert row is not None
        policies.delete(row, NOW, "me")
    house.now += DAY
    assert house.turn() == 0
    assert house.recordings()[0].delete_date == date
    house.call("d")
    house.turn()
    assert house.decision("d").matched == []


def test_f10_without_a_policy_it_is_kept(house: House) -> None:
    house.call()
    assert house.turn() == 1
    row = house.recordings()[0]
    assert (row.delete_date, row.archive_date, row.retention_policy_id) == (None, None, None)
    assert house.decision().outcome == "KEEP"
    with house.database.reading() as session:
        assert audit.listing(session, action="policies.apply").total == 0


def test_f8_always_delete_deletes_at_once_and_e8_spares_the_inbox(house: House) -> None:
    house.policy("always", ALWAYS)
    house.policy("keep", days(10_000))
    house.call(recordings=2)
    house.turn()
    assert [row.file_state for row in house.recordings()] == ["DELETED", "DELETED"]
    with house.database.reading() as session:
        own = internal.recording(session, "c-adhoc")
        assert own is not None
        assert (own.file_state, own.delete_date, own.retention_why, own.version) == ("AVAILABLE", None, None, 1)


def test_i2_what_is_protected_stays_and_i3_goes_when_that_ends(house: House) -> None:
    house.policy("always", ALWAYS)
    house.call()
    with house.database.transaction() as session:
        session.add(DeletionProtection(conversation_id="c", at=1, by="user:x"))
    house.turn()
    row = house.recordings()[0]
    assert (row.file_state, row.delete_date) == ("AVAILABLE", NOW)
    with house.database.reading() as session:
        assert retention.due(session, NOW + DAY, 10) == []


@pytest.mark.parametrize("consent", ["refused", "missing"])
def test_c1_c5_without_consent_nothing_is_done(house: House, consent: str) -> None:
    house.policy("p", {**ALWAYS, "assignEvaluations": [evaluate()]})
    reasons = [{"row": "consent", "why": "this trunk requires consent, and none was given"}]
    withheld = {"kind": "trunk", "openings": [], "words": [{"captured": False, "reasons": reasons}]}
    if consent == "refused":
        house.call(consent="refused", recordings=0)
    else:
        house.call(tapes=[withheld], recordings=0)
    house.turn()
    decision = house.decision()
    assert (decision.outcome, decision.matched, decision.actions) == ("NOT_APPLIED", [], [])
    assert house.all(Evaluation) == []


def test_c2_consent_is_no_shield_unless_the_organisation_wants_it(make_sqlite_house: Callable[[], House]) -> None:
    for shields, state in ((False, "DELETED"), (True, "AVAILABLE")):
        house = make_sqlite_house()
        with house.database.transaction() as session:
            policies.settings.put(session, policies.SETTINGS, {"consentShieldsFromDeletion": shields}, 1)
        house.policy("p", ALWAYS)
        house.call(consent="granted")
        house.turn()
        assert house.recordings()[0].file_state == state


def test_dates_that_somebody_has_set_stay(small: House) -> None:
    small.policy("p", days(30))
    small.call(recordings=2)
    with small.database.transaction() as session:
        row = internal.recording(session, "c-r0")
        assert row is not None
        row.delete_date = NOW + 7
    small.turn()
    by_hand, other = small.recordings()
    assert (by_hand.delete_date, by_hand.retention_policy_id) == (NOW + 7, None)
    assert by_hand.retention_why is not None
    assert "byHand" in by_hand.retention_why
    assert other.retention_policy_id == "p"


def test_h3_what_comes_to_a_conversation_later_gets_the_same_dates(small: House) -> None:
    small.policy("p", days(30, 3))
    small.call()
    small.turn()
    small.call("none", start=NOW - 2 * DAY)
    small.turn()
    with small.database.transaction() as session:
        for key, more in (
            ("c-late", {}),
            ("c-dated", {"delete_date": 7}),
            ("c-own", {"role": "ADHOC"}),
            ("none-l", {}),
        ):
            session.add(_recording(key, key.partition("-")[0], NOW + DAY, **more))
        session.flush()
        rows = {key: session.get_one(Recording, key) for key in ("c-late", "c-dated", "c-own", "none-l")}
        told = {key: policy_applying.late(session, row, NOW + 2 * DAY) for key, row in rows.items()}
    assert told == {"c-late": True, "c-dated": False, "c-own": False, "none-l": False}
    late = rows["c-late"]
    assert (late.delete_date, late.archive_date) == (NOW + 31 * DAY, NOW + 4 * DAY)
    assert (late.retention_policy_id, rows["c-dated"].delete_date) == ("p", 7)
    assert rows["none-l"].delete_date is None


def test_f14_f15_actions_of_all_policies_add_up_in_order(house: House) -> None:
    calibration = {"calibrator": {"id": "max"}, "evaluators": [{"id": "eve"}, {"id": "left"}],
                   "evaluationForm": {"id": "form"}, "expertEvaluator": {"id": "max"}}  # fmt: skip
    export = {"integration": {"id": "s3"}}
    house.policy("b", {"assignEvaluations": [evaluate(), evaluate("form2")], "integrationExport": export}, order=2)
    house.policy("a", {"assignEvaluations": [evaluate(), evaluate(evaluator="left"), evaluate("draft")],
                       "assignSurveys": [{"sendingDomain": "x"}], "integrationExport": export}, order=3)  # fmt: skip
    house.policy("c", {"retainRecording": False, "deleteRecording": True, "assignCalibrations": [calibration]}, order=1)
    house.call(users=("bob", "ann"))
    house.turn()
    assert house.done() == [
        ("assignCalibrations", True, "assigned"),
        ("assignEvaluations", True, "assigned"),
        ("assignEvaluations", True, "assigned"),
        ("integrationExport", True, "on its way"),
        ("assignEvaluations", False, 'policy "B" has assigned the same'),
        ("assignEvaluations", False, "the evaluator is gone"),
        ("assignEvaluations", False, "the evaluation form is not published, or gone"),
        ("integrationExport", False, "the recordings go there already"),
        ("assignSurveys", False, "Earwitness sends no surveys"),
    ]
    made = [row for row in house.all(Evaluation) if row.calibration_id is None]
    assert {(row.agent_user_id, row.evaluator_user_id, row.form_id) for row in made} == {
        ("bob", "eve", "form"), ("bob", "eve", "form2"),
    }  # fmt: skip
    assert {(row.source_type, row.source_id, row.source_name, row.policy_id) for row in made} == {
        ("Policy", "b", "B", "b")
    }
    assert [(row.calibrator_user_id, row.expert_user_id) for row in house.all(Calibration)] == [("max", "max")]
    row = house.recordings()[0]
    assert (row.export_date, row.export_integration_id, row.file_state) == (NOW, "s3", "AVAILABLE")
    assert house.decision().policy_id == "b"  # it keeps, and comes before a, which keeps as well; c deletes


def test_f8_what_is_exported_first_is_deleted_a_day_later(small: House) -> None:
    small.policy("p", {**ALWAYS, "integrationExport": {"integration": {"id": "s3"}}})
    small.call()
    small.turn()
    row = small.recordings()[0]
    assert (row.file_state, row.export_date, row.delete_date) == ("AVAILABLE", NOW, NOW + DAY)


def metered(**more: Any) -> dict[str, Any]:
    return {"evaluators": [{"id": "sick"}, {"id": "eve"}, {"id": "max"}], "maxNumberEvaluations": 2,
            "evaluationForm": {"contextId": "ctx"}, "timeInterval": {"days": 1}, **more}  # fmt: skip


def test_f16_metered_by_evaluator(house: House) -> None:
    house.policy("m", {"assignMeteredEvaluations": [metered(assignToActiveUser=True)]}, enabled_at=0)
    for number in range(5):
        house.call(f"c{number}")
        house.now += S
        house.turn()
    given = [(row.conversation_id, row.evaluator_user_id, row.form_id) for row in house.all(Evaluation)]
    assert sorted(given) == [
        ("c0", "eve", "form2"), ("c1", "max", "form2"), ("c2", "eve", "form2"), ("c3", "max", "form2"),
    ]  # fmt: skip
    assert house.decision("c4").actions[0]["why"] == "there were 2 for each evaluator in the interval already"
    house.now += DAY
    house.call("later", start=house.now - 100 * S)
    house.turn()
    assert house.decision("later").actions[0]["done"]


def test_f15_f16_metered_by_agent(house: House) -> None:
    by_agent = metered(maxNumberEvaluations=1, evaluators=[{"id": "sick"}, {"id": "eve"}])
    house.policy("m", {"assignMeteredAssignmentByAgent": [by_agent]}, {"teams": [{"id": "t"}]})
    both = (("t", "ann"), ("t", "bob"))
    house.call("c0", users=("ann", "bob"), teams=both)
    house.call("c1", users=("ann", "bob"), teams=both)
    house.call("c2", users=("ann", "bob"), teams=(("t", "ann"),))
    house.call("c3", users=("ann",))
    house.turn()
    given = {row.conversation_id: (row.agent_user_id, row.evaluator_user_id) for row in house.all(Evaluation)}
    assert given == {"c0": ("bob", "sick"), "c2": ("ann", "eve")}
    assert house.decision("c1").actions[0]["why"] == "there were 1 of this agent in the interval already"
    assert house.decision("c3").matched == []


def test_a4_where_nothing_was_recorded_nothing_is_evaluated(small: House) -> None:
    small.policy("p", {**days(3), "assignEvaluations": [evaluate()]})
    small.call(recordings=0)
    small.turn()
    assert small.done() == [("assignEvaluations", False, "nothing was recorded")]
    assert small.decision().outcome == "DELETE_AFTER"


def test_applied_once_and_a_crash_anywhere_is_as_if_it_had_not_begun(
    make_sqlite_house: Callable[[], House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails at the n-th statement of the transaction, for every n: all or nothing, and then all, once."""
    monkeypatch.setattr(apply_policies, "log", Mock())  # tracebacks by the dozen take their time to print
    failures = 0
    for stop_at in range(1, 100):
        house = make_sqlite_house()
        house.policy("p", {**days(30), "assignEvaluations": [evaluate()], "assignMeteredEvaluations": [metered()]})
        house.call(recordings=2)
        seen = 0

        def count(*_arguments: Any, stop: int = stop_at) -> None:
            nonlocal seen
            seen += 1
            if seen == stop:
                raise KeyError("the machine went away")

        event.listen(house.database._writer, "before_cursor_execute", count)
        house.turn()
        event.remove(house.database._writer, "before_cursor_execute", count)
        crashed = seen >= stop_at
        with house.database.reading() as session:
            row = session.get(Conversation, "c")
            assert row is not None
            assert (row.completed_at is None) == crashed
            evaluations = session.scalar(select(func.count()).select_from(Evaluation))
        if crashed:
            failures += 1
            assert (house.all(Evaluation), house.recordings()[0].delete_date) == ([], None)
            house.now += 61 * S
            assert house.turn() == 1
        else:
            assert evaluations == 2
        assert len(house.all(Evaluation)) == 2
        house.now += 61 * S
        assert house.turn() == 0
        if not crashed:
            break
    assert failures > 10


def test_f15_who_monitors_is_not_evaluated(house: House) -> None:
    house.policy("p", {"assignEvaluations": [evaluate()]}, {"forUsers": [{"id": "bob"}]})
    house.policy("q", {"assignMeteredAssignmentByAgent": [metered()]})
    house.call(users=("ann", "bob"))
    with house.database.transaction() as session:
        row = session.get_one(Conversation, "c")
        people = row.timeline["participants"]
        silent = {**people[2], "muted": True}
        row.timeline = {**row.timeline, "participants": [*people[:2], silent]}
        data = {"participant_id": silent["participant_id"], "muted": True, "by": "bob"}
        row.events = [{"seq": 0, "at": silent["connected"], "type": "participant.muted", "data": data}]
    house.turn()
    assert [item["id"] for item in house.decision().matched] == ["q"]
    assert [row.agent_user_id for row in house.all(Evaluation)] == ["ann"]


def test_f16_several_workers_share_the_work(house: House) -> None:
    house.policy("m", {**days(9), "assignMeteredEvaluations": [metered(maxNumberEvaluations=2)]})
    for number in range(12):
        house.call(f"c{number}")
    chores = [ApplyPolicies() for _ in range(4)]
    errors: list[BaseException] = []

    def work(chore: ApplyPolicies) -> None:
        try:
            chore(house.bench)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(chore,)) for chore in chores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    house.now += 61 * S
    house.turn()
    assert len(house.all(Evaluation)) == 6
    with house.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(PolicyDecision)) == 12
        assert audit.listing(session, action="policies.apply").total == 12


def test_a_policy_that_is_deleted_while_it_is_applied(small: House) -> None:
    """The worker remembers policies between turns, and notices every change of them."""
    small.policy("p", days(30))
    small.call("c0")
    small.turn()
    with small.database.transaction() as session:
        row = policies.get(session, "p")
        assert row is not None
        policies.delete(row, NOW + 1, "me")
    small.call("c1")
    small.turn()
    small.policy("q", days(7))
    small.call("c2")
    small.turn()
    assert [small.decision(key).policy_id for key in ("c0", "c1", "c2")] == ["p", None, "q"]


def test_one_that_fails_keeps_no_other_from_its_turn(small: House, monkeypatch: pytest.MonkeyPatch) -> None:
    small.policy("p", days(30))
    small.call("a")
    small.call("b")
    real = policy_applying.verdict_document
    broken = True

    def breaks(decision: Any) -> Any:
        if broken and small.decisions_begun == "a":  # type: ignore[attr-defined]
            raise RuntimeError("broken")
        return real(decision)

    def apply(session: Any, key: str, now: int, known: Any) -> Any:
        small.decisions_begun = key  # type: ignore[attr-defined]
        return original(session, key, now, known)

    original = policy_applying.apply
    monkeypatch.setattr(policy_applying, "verdict_document", breaks)
    monkeypatch.setattr(policy_applying, "apply", apply)
    small.chore = ApplyPolicies(most=1)
    assert (small.turn(), small.turn(), small.turn()) == (0, 1, 0)
    broken = False
    small.now += 61 * S
    assert small.turn() == 1
    assert small.decision("a").policy_id == small.decision("b").policy_id == "p"


def test_ten_thousand_policies(small: House) -> None:
    with small.database.transaction() as session:
        for number in range(10_000):
            actions = days(number + 2)
            conditions = {"forUsers": [{"id": f"u{number}"}]} if number % 20 else {}
            block = {"callPolicy": {"actions": actions, "conditions": conditions}}
            session.add(RetentionPolicy(id=f"p{number:05}", name=f"P{number}", order=number, enabled=True, enabled_at=1,
                                        document={"mediaPolicies": block}, **STAMP))  # fmt: skip
    small.call("a")
    small.call("b")
    assert small.turn() == 2
    decision = small.decision("b")
    assert decision.policy_id == "p09980"
    assert (len(decision.matched), decision.verdict["matched"]) == (200, 500)
    assert decision.matched[0]["won"]
