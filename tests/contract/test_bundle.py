"""A session out of the house and back, and what a changed byte does."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sitting import bundle, errors
from sitting.bundle import Verdict, bring_in, export, verify
from sitting.core import chain
from sitting.core.actor import Actor
from sitting.core.session import Session
from sitting.engine import Where
from sitting.store import Store
from tests.support import workshop
from tests.support.engines import ADA, ADMIN, BOB, Bench, bench, opened

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NAMES = ["manifest.json", "journal.jsonl", "signature"]


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Bench]:
    """Another house."""
    (tmp_path / "elsewhere").mkdir()
    store = opened(tmp_path / "elsewhere")
    with bench(store) as made:
        yield made
    store.close()


def told(run: Bench) -> str:
    """A workshop with seven events: two owners, one whispered, one erased."""
    session = run.workshop(name="Knots")
    run(run.engine.do(session, workshop.Let(grantee="user:bob", role="member"), ADA))
    run.say(session, "żółw 🐢", about="user:bob")
    run.say(session, "a secret", whispered=True)
    run.say(session, "mine", actor=BOB)
    run(run.engine.do(session, workshop.Put(id="x", label="knot"), ADA))
    run(run.engine.do(session, workshop.Forget(owner="user:bob"), ADA))
    return session


def exported(run: Bench, session: str, actor: Actor = ADA) -> bytes:
    return export(run.engine, session, actor, KEY)


def unzipped(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, bytes], packed_as: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed_as) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def signed(manifest: dict[str, Any], lines: bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    """A bundle as somebody with a key of their own would make it."""
    head = json.dumps({**manifest, "public_key": bundle.public(key)}).encode()
    return zipped(dict(zip(NAMES, (head, lines, key.sign(bundle._digest(head, lines))), strict=True)))


def resealed(raw: bytes, change: Callable[[list[dict[str, Any]]], object]) -> bytes:
    """The bundle with its records changed, chained anew and signed with another key: a forgery from end to end."""
    files = unzipped(raw)
    manifest = json.loads(files["manifest.json"])
    lines = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
    change(lines)
    prev = chain.GENESIS
    for line in lines:
        names = {name: str(line[name]) for name in ("type", "actor", "role", "at")}
        content = chain.body_text(**names, data=chain.canonical(line["data"]))
        body = chain.salted(bytes.fromhex(line["salt"]), content)
        parts = [_committed(part) for part in line["parts"]]
        prev = chain.link(prev, session=manifest["session"], seq=line["seq"], body=body, parts=parts)
        line.update(body=body.hex(), hash=prev.hex())
    made = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return signed({**manifest, "head": prev.hex(), "seq": len(lines)}, made, OTHER_KEY)


def _committed(part: dict[str, Any]) -> bytes:
    if "content" in part:
        made = chain.salted(bytes.fromhex(part["salt"]), chain.canonical(part["content"]))
        part["commitment"] = made.hex()
    return bytes.fromhex(part["commitment"])


def test_a_session_goes_out_and_comes_back(run: Bench, elsewhere: Bench) -> None:
    session = told(run)
    raw = exported(run, session)
    manifest, records, verdict = bundle.read(raw)
    assert verdict == Verdict(session, True, 7, records[-1].hash.hex(), erased=2)
    assert {name: manifest[name] for name in ("format", "kind", "session", "seq", "state")} == {
        "format": "sitting.bundle/1",
        "kind": "workshop",
        "session": session,
        "seq": 7,
        "state": "open",
    }
    assert bundle.verify_file(raw) == replace(verdict, signed_by=bundle.public(KEY))
    brought = elsewhere(bring_in(elsewhere.engine, raw, ADMIN, KEY))
    assert (brought.id, brought.space, brought.seq) == (session, "s1", 7)
    before, after = (made(made.engine.at(session, actor, 7)) for made, actor in ((run, ADA), (elsewhere, ADMIN)))
    assert {**before.view, "audience": ""} == {**after.view, "audience": ""}
    assert after.session.items == before.session.items
    again = unzipped(export(elsewhere.engine, session, ADMIN, KEY))
    assert again == unzipped(raw)
    assert elsewhere(verify(elsewhere.store, elsewhere.engine.kinds, session, epoch=3)).ok
    with pytest.raises(errors.KeyTaken):
        elsewhere(bring_in(elsewhere.engine, raw, ADMIN, KEY))


def test_what_is_withheld_still_verifies_and_says_nothing(run: Bench, elsewhere: Bench) -> None:
    session = told(run)
    raw = exported(run, session, BOB)
    files = unzipped(raw)
    lines = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
    assert set(lines[3]) == {"seq", "body", "hash", "parts"}
    assert set(lines[3]["parts"][0]) == {"commitment"}
    assert [set(part) for part in lines[2]["parts"]] == [{"owner", "content", "salt", "commitment"}, {"commitment"}]
    assert b"secret" not in files["journal.jsonl"]
    verdict = bundle.read(raw)[2]
    assert (verdict.ok, verdict.checked, verdict.withheld, verdict.erased) == (True, 7, 1, 1)
    assert ", 1 withheld, 1 part erased" in verdict.said
    with pytest.raises(errors.Invalid, match="can be verified, but not brought in"):
        bring_in(elsewhere.engine, raw, ADMIN, KEY)


def test_nobody_takes_out_what_they_may_not_see(run: Bench) -> None:
    with pytest.raises(errors.NotFound):
        exported(run, told(run), Actor("user:eve", "s2"))


def test_every_changed_byte_of_the_content_is_found(run: Bench, dice: Random) -> None:
    files = unzipped(exported(run, told(run)))
    places = [(name, place) for name in NAMES for place in range(len(files[name]))]
    everywhere = [place for place in places if place[0] != "journal.jsonl"]
    everywhere += dice.sample([place for place in places if place[0] == "journal.jsonl"], 400)
    for name, place in everywhere:
        changed = bytearray(files[name])
        changed[place] ^= 1 << dice.randrange(8)
        assert refused(zipped({**files, name: bytes(changed)})), (name, place, bytes(changed[place - 9 : place + 9]))
    for name in NAMES:
        for content in (files[name][:-1], files[name] + b" ", b"", b"\n" + files[name]):
            assert refused(zipped({**files, name: content})), (name, content)


def test_a_changed_byte_of_the_archive_changes_nothing_or_is_found(run: Bench, dice: Random) -> None:
    """An archive holds bytes that mean nothing (dates, flags); all others are found, and none is a surprise."""
    raw = exported(run, told(run))
    whole = unzipped(raw)
    for place in [*range(40), *range(len(raw) - 200, len(raw)), *dice.sample(range(len(raw)), 300)]:
        changed = bytearray(raw)
        changed[place] ^= 1 << dice.randrange(8)
        assert refused(bytes(changed)) or unzipped(bytes(changed)) == whole
    for length in dice.sample(range(len(raw)), 50):
        assert refused(raw[:length])


def refused(raw: bytes) -> bool:
    """Whether a bundle is refused, or does not verify; anything else than that is raised."""
    try:
        return not bundle.read(raw)[2].ok
    except errors.Invalid:
        return True


FOREIGN: dict[str, bytes] = {
    "nothing": b"",
    "no archive": b"PK\x03\x04 and so on",
    "no members": zipped({}),
    "a member too many": zipped({**dict.fromkeys(NAMES, b"{}"), "more": b""}),
    "another format": zipped(dict.fromkeys(NAMES, b'{"format":"other"}')),
    "a manifest that is no object": zipped(dict.fromkeys(NAMES, b"[]")),
    "a manifest that is no JSON": zipped(dict.fromkeys(NAMES, b"{")),
}
LINES: tuple[Any, ...] = (
    1,
    [],
    "data",
    {},
    {"seq": "x"},
    {"seq": 1, "body": "zz", "hash": "", "parts": []},
    {"seq": 1, "body": 5, "hash": "", "parts": []},
    {"seq": 1, "body": "", "hash": "", "parts": 7},
    {"seq": 1, "body": "", "hash": "", "parts": [1]},
    {"seq": 1, "body": "", "hash": "", "parts": [{"commitment": "", "content": {}}]},
    {"seq": 1, "body": "", "hash": "", "parts": [], "data": {}},
    {"seq": [], "body": "", "hash": "", "parts": []},
)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_bundle_is_refused(name: str) -> None:
    with pytest.raises(errors.Invalid):
        bundle.read(FOREIGN[name])


@pytest.mark.parametrize("line", LINES, ids=str)
def test_what_is_no_record_is_refused(line: Any) -> None:
    with pytest.raises(errors.Invalid, match="not a journal record"):
        bundle.unpacked(line)
    with pytest.raises(errors.Invalid, match="not a journal record"):
        bundle.read(signed({"format": bundle.FORMAT}, json.dumps(line).encode()))


def test_an_archive_that_lies_about_its_size_is_refused(run: Bench) -> None:
    files = unzipped(exported(run, told(run)))
    raw = zipped({**files, "journal.jsonl": files["journal.jsonl"] + b" " * 10_000_000})
    assert refused(raw)
    huge = zipped(files).replace(len(files["signature"]).to_bytes(4, "little") * 2, b"\xff\xff\xff\x7f" * 2)
    with pytest.raises(errors.Invalid):
        bundle.read(huge)


HUGE = 64 * 1024 * 1024
PERHAPS: dict[str, tuple[Ed25519PrivateKey, type[Exception]]] = {
    "signed by others": (OTHER_KEY, errors.NotAllowed),
    "with our key in the manifest and no signature of ours": (KEY, errors.Tampered),
}


@pytest.mark.parametrize("case", PERHAPS)
def test_what_a_member_may_not_bring_in_is_refused_before_it_is_unpacked(run: Bench, case: str) -> None:
    named, refusal = PERHAPS[case]
    manifest = json.dumps({"format": bundle.FORMAT, "public_key": bundle.public(named)}).encode()
    files = dict(zip(NAMES, (manifest, b"\n" * HUGE, bytes(64)), strict=True))
    raw = zipped(files, zipfile.ZIP_DEFLATED)
    del files
    tracemalloc.start()
    try:
        with pytest.raises(refusal):
            bring_in(run.engine, raw, ADA, KEY)
        assert tracemalloc.get_traced_memory()[1] < HUGE // 32
    finally:
        tracemalloc.stop()
    with pytest.raises(errors.Invalid, match="too large"):
        bring_in(run.engine, raw, ADMIN, KEY)


@pytest.mark.parametrize("lines", [b"\n" * (bundle.MAX_LINES + 1), b" " * bundle.MAX_LINE_BYTES + b"\n"])
def test_a_journal_of_too_many_or_too_long_lines_is_refused(lines: bytes) -> None:
    with pytest.raises(errors.Invalid, match="The journal in this bundle is too large"):
        bundle.read(signed({"format": bundle.FORMAT}, lines))


def test_records_are_read_up_to_the_first_fault(run: Bench) -> None:
    files = unzipped(exported(run, told(run)))
    first = files["journal.jsonl"].splitlines(keepends=True)[0]
    broken = zipped({**files, "journal.jsonl": first + first + b"no record"})
    _, records, verdict = bundle.read(broken)
    assert (verdict.ok, verdict.checked, verdict.seq, len(records)) == (False, 1, 2, 2)


def test_an_archive_packed_in_another_way_or_listing_many_is_refused(run: Bench) -> None:
    files = unzipped(exported(run, told(run)))
    assert bundle.read(zipped(files, zipfile.ZIP_DEFLATED))[2].ok
    for packed_as in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(errors.Invalid, match="not a bundle"):
            bundle.read(zipped(files, packed_as))
    for name in ("manifest.json", "signature"):
        with pytest.raises(errors.Invalid, match="not a bundle"):
            bundle.read(zipped({**files, name: files[name] + b" " * 65536}))
    with pytest.raises(errors.Invalid, match="not a bundle"):
        bundle.read(zipped({**files, "signature": b"PK\x01\x02" * 65}))


FORGED: dict[str, tuple[Callable[[list[dict[str, Any]]], object], type[Exception]]] = {
    "a time that is none": (lambda lines: lines[0].update(at="yesterday"), errors.Invalid),
    "a time beyond time": (lambda lines: lines[0].update(at="0001-01-01T00:00:00.000+14:00"), errors.Invalid),
    "a time without a zone": (lambda lines: lines[0].update(at="2026-01-31T12:00:00.000"), errors.Invalid),
    "a time that goes back": (lambda lines: lines[1].update(at="2020-01-31T12:00:00.000Z"), errors.Invalid),
    "a type that is none": (lambda lines: lines[0].update(type="a b"), errors.Invalid),
    "an actor that is none": (lambda lines: lines[0].update(actor="root"), errors.Invalid),
    "a role that is none": (lambda lines: lines[0].update(role='x"'), errors.Invalid),
    "an owner that is none": (lambda lines: lines[0]["parts"][0].update(owner="a b"), errors.Invalid),
    "an owner twice": (lambda lines: lines[0]["parts"].append(lines[0]["parts"][0]), errors.Invalid),
    "an event too large": (lambda lines: lines[1]["data"].update(x="x" * 300_000), errors.Invalid),
    "an event of no kind": (lambda lines: lines[0].update(data={}), errors.Invalid),
    "no event": (lambda lines: lines.clear(), errors.Invalid),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_no_engine_writes_is_not_brought_in(run: Bench, elsewhere: Bench, name: str) -> None:
    change, sort = FORGED[name]
    forged = resealed(exported(run, told(run)), change)
    assert bundle.read(forged)[2].ok, "a chain alone does not know better"
    with pytest.raises(sort):
        elsewhere(bring_in(elsewhere.engine, forged, ADMIN, KEY))


def test_a_session_that_cannot_be_shown_is_not_brought_in(run: Bench, tmp_path: Path) -> None:
    """It folds without a fault; only who looks at it would fail, and every list with it."""

    def loud(session: Session, audience: str, now: datetime) -> dict[str, Any]:
        labels = [thing["label"].upper() for thing in session.collection("things").values()]
        return {**workshop.view(session, audience, now), "labels": labels}

    raw = exported(run, told(run))
    forged = resealed(raw, lambda lines: lines[5]["data"].update(label=7))
    (tmp_path / "elsewhere").mkdir()
    store = opened(tmp_path / "elsewhere")
    with bench(store, kinds={**workshop.KINDS, "workshop": replace(workshop.KIND, view=loud)}) as elsewhere:
        with pytest.raises(errors.Invalid, match="not the journal of a session of the kind 'workshop'"):
            elsewhere(bring_in(elsewhere.engine, forged, ADMIN, KEY))
        assert not elsewhere(elsewhere.engine.list("workshop", ADMIN, Where())).items
        brought = elsewhere(bring_in(elsewhere.engine, raw, ADMIN, KEY))
        assert elsewhere(elsewhere.engine.view(brought.id, ADMIN)).view["labels"] == ["KNOT"]
    store.close()


def test_a_forgery_that_is_whole_verifies_under_its_own_key_only(run: Bench) -> None:
    """The manifest names the key. Whoever relies on a bundle compares that key with the house's."""
    raw = exported(run, told(run))
    forged = resealed(raw, lambda lines: lines[3]["parts"][0].update(content={"text": "never said"}))
    manifest, _, verdict = bundle.read(forged)
    assert verdict.ok
    assert manifest["public_key"] == bundle.public(OTHER_KEY) != bundle.read(raw)[0]["public_key"]


def test_a_file_says_who_signed_it_and_a_key_can_be_demanded(run: Bench) -> None:
    """A forgery is whole, and told from the house's own only by its key."""
    session = told(run)
    raw = exported(run, session)
    forged = resealed(raw, lambda lines: lines[3]["parts"][0].update(content={"text": "never said"}))
    ours, theirs = bundle.public(KEY), bundle.public(OTHER_KEY)
    for mine, other in ((raw, forged), (json.dumps(document(run, session)).encode(), forged)):
        for key in ("", ours, ours.upper() + "\n", ours[: bundle.FINGERPRINT]):
            verdict = bundle.verify_file(mine, key=key)
            assert verdict.ok and verdict.signed_by == ours
            assert verdict.said.endswith(f", signed by {ours[:32]}")
        assert bundle.verify_file(other).signed_by == theirs
        found = bundle.verify_file(other, key=ours)
        assert (found.ok, found.said) == (False, f"NOT whole: it is signed by another key, {theirs[:32]}")
    for wrong in (ours[:31], "x" * 64, ours + "00"):
        with pytest.raises(errors.Invalid, match=r"."):
            bundle.verify_file(raw, key=wrong)
    broken = bundle.verify_file(zipped({**unzipped(raw), "signature": bytes(64)}), key=ours)
    assert (broken.ok, broken.signed_by) == (False, "")


def test_what_another_house_signed_is_for_administrators(run: Bench, elsewhere: Bench) -> None:
    raw = exported(run, told(run))
    for member in (ADA, BOB):
        with pytest.raises(errors.NotAllowed, match="Only an administrator"):
            bring_in(elsewhere.engine, raw, member, OTHER_KEY)
    assert elsewhere(bring_in(elsewhere.engine, raw, ADA, KEY)).seq == 7


def test_a_bundle_under_no_id_or_of_no_kind(run: Bench, elsewhere: Bench) -> None:
    files = unzipped(exported(run, told(run)))
    manifest = json.loads(files["manifest.json"])
    with pytest.raises(errors.NotFound, match="There is no kind 'party' here"):
        elsewhere(bring_in(elsewhere.engine, signed({**manifest, "kind": "party"}, files["journal.jsonl"]), ADMIN, KEY))
    with pytest.raises(errors.Tampered, match="chain is broken") as refusal:
        bring_in(elsewhere.engine, signed({**manifest, "session": "x"}, files["journal.jsonl"]), ADMIN, KEY)
    assert refusal.value.facts == {"seq": 1}
    with pytest.raises(errors.Tampered, match="does not end at the head"):
        bring_in(elsewhere.engine, signed({**manifest, "seq": 6}, files["journal.jsonl"]), ADMIN, KEY)
    record = chain.seal(
        chain.GENESIS, session="../x", seq=1, type="founded", actor="user:a", role="member",
        at="2026-01-31T12:00:00.000Z", data={}, personal={}, salts=[bytes(16)],
    )  # fmt: skip
    odd = {**manifest, "session": "../x", "head": record.hash.hex(), "seq": 1, "kind": "team"}
    with pytest.raises(errors.Invalid, match="No journal is written like"):
        bring_in(elsewhere.engine, signed(odd, json.dumps(bundle.record(record)).encode()), ADMIN, KEY)


def test_content_as_deep_as_the_door_lets_in_goes_out_and_back(run: Bench) -> None:
    deep: Any = "bottom"
    for _ in range(31):
        deep = {"d": deep}
    record = chain.seal(
        chain.GENESIS, session="s", seq=1, type="t", actor="user:a", role="r", at="2026-01-31T12:00:00.000Z",
        data={}, personal={"user:a": deep}, salts=[bytes(16), bytes(16)],
    )  # fmt: skip
    line = chain.canonical(bundle.record(record)).encode()
    manifest = {"format": bundle.FORMAT, "session": "s", "seq": 1, "head": record.hash.hex()}
    assert bundle.read(signed(manifest, line))[1:] == ([record], Verdict("s", True, 1, record.hash.hex()))


# JSON exports


def document(run: Bench, session: str) -> dict[str, Any]:
    journal = run(run.engine.journal(session, ADA))
    events = [{"record": made} for made in bundle.records_of(journal, workshop.KIND)]
    return bundle.sign({"session": {"id": session}, "events": events, "head": events[-1]["record"]["hash"]}, KEY)


def test_a_json_export_is_checked_like_a_bundle(run: Bench) -> None:
    made = document(run, told(run))
    assert bundle.verify_document(made).ok
    assert bundle.verify_file(json.dumps(made).encode()).ok


def test_a_changed_export_is_found(run: Bench) -> None:
    made = document(run, told(run))
    changes: list[tuple[dict[str, Any], str]] = [
        ({"title": "another"}, "its signature does not match"),
        ({"signature": None}, "its signature does not match"),
        ({"signature": {"public_key": bundle.public(OTHER_KEY), "value": made["signature"]["value"]}}, "signature"),
        ({"signature": {"public_key": "zz", "value": "zz"}}, "signature"),
        ({"head": "00"}, "does not end at the head"),
        ({"events": made["events"][:-1]}, "does not end at the head"),
        ({"events": made["events"][1:]}, "expected seq 1, found 2"),
        ({"session": {"id": "another"}}, "the chain is broken"),
        ({"session": "another"}, "the chain is broken"),
    ]
    for change, reason in changes:
        verdict = bundle.verify_document({**made, **change})
        assert not verdict.ok and reason in verdict.reason
    none: tuple[Any, ...] = (None, [], {}, {"events": {}}, {"events": [{}]}, {"events": [1]})
    for wrong in none:
        with pytest.raises(errors.Invalid):
            bundle.verify_document(wrong)
