"""A session out of the house and back, and whether its journal is whole.

A bundle is a zip of `manifest.json`, `journal.jsonl` (one record a line) and `signature` (Ed25519 over the SHA-256 of
both, in that order, each raw). A record that an audience may not see keeps its body, commitments and hash, so a bundle
with withheld events verifies like a whole one.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import errors
from .core import chain, strict
from .core.actor import ACTOR, ADMIN, Actor
from .core.event import MAX_EVENT_BYTES, OWNER, TYPE, from_text, to_text
from .core.kind import Kind
from .core.session import ID, Session
from .engine import Engine, Journal
from .reading import refolded
from .store import Store, journal, sessions
from .store.transaction import Tx

FORMAT = "sitting.bundle/1"
MAX_BYTES = 256 * 1024 * 1024
_NAMES = ("manifest.json", "journal.jsonl", "signature")
_DEPTH = strict.MAX_DEPTH * 2  # what a session may hold stands some levels down in a record
_ROLE = re.compile(r"[A-Za-z0-9:_.-]{1,64}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True)
class Verdict:
    """Whether a journal is whole. `seq` is the first bad place; `checked` counts events, `withheld` those not shown."""

    session: str
    ok: bool
    checked: int
    head: str
    reason: str = ""
    seq: int | None = None
    withheld: int = 0


def verify(store: Store, kinds: Mapping[str, Kind], session: str, *, epoch: int = 1) -> Future[Verdict]:
    """Check a stored session: chain, head, and that folding the journal gives the stored state. Raises NotFound."""
    return store.read(lambda tx: _verify(tx, kinds, session, epoch))


def verify_records(session: str, records: Iterable[chain.Record]) -> Verdict:
    """Check a chain by itself."""
    head, count, withheld = chain.GENESIS, 0, 0
    for count, record in enumerate(records, 1):
        if reason := chain.fault(head, record, session=session, seq=count):
            return Verdict(session, False, count - 1, head.hex(), reason, count, withheld)
        head = record.hash
        withheld += record.data is None
    return Verdict(session, True, count, head.hex(), withheld=withheld)


def record(kept: chain.Record, *, shown: bool = True, owners: Iterable[str] | None = None) -> dict[str, Any]:
    """A record as JSON. Not `shown`: commitments only; `owners` limits whose content goes along."""
    made: dict[str, Any] = {"seq": kept.seq}
    if shown:
        made |= {"type": kept.type, "actor": kept.actor, "role": kept.role, "at": kept.at}
        made |= {"data": json.loads(kept.data or "{}"), "salt": (kept.salt or b"").hex()}
    allowed = None if owners is None else set(owners)
    made |= {"body": kept.body.hex(), "hash": kept.hash.hex()}
    made["parts"] = [_part(part, shown=shown and (allowed is None or part.owner in allowed)) for part in kept.parts]
    return made


def unpacked(value: Any) -> chain.Record:
    """The record that JSON holds. Raises Invalid."""
    try:
        shown = "data" in value
        return chain.Record(
            seq=int(value["seq"]),
            type=str(value.get("type", "")),
            actor=str(value.get("actor", "")),
            role=str(value.get("role", "")),
            at=str(value.get("at", "")),
            data=chain.canonical(value["data"]) if shown else None,
            salt=bytes.fromhex(value["salt"]) if shown else None,
            body=bytes.fromhex(value["body"]),
            hash=bytes.fromhex(value["hash"]),
            parts=tuple(_unpacked_part(part) for part in value["parts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise errors.Invalid("This is not a journal record.") from None


def records_of(found: Journal, kind: Kind) -> Iterator[dict[str, Any]]:
    """The records of a journal as its reader's audience may carry them out."""
    for kept, told in zip(found.records, found.told, strict=True):
        owners = kind.carries(journal.event(kept), found.seen.audience)
        yield record(kept, shown=told is not None, owners=owners)


def export(engine: Engine, session: str, actor: Actor, key: Ed25519PrivateKey) -> Future[bytes]:
    """A signed bundle of what this actor may see. Raises NotFound."""
    future: Future[bytes] = Future()

    def finished(read: Future[Journal]) -> None:
        try:
            future.set_result(_packed(engine, read.result(), key))
        except BaseException as error:
            future.set_exception(error)

    engine.journal(session, actor).add_done_callback(finished)
    return future


def read(raw: bytes) -> tuple[dict[str, Any], list[chain.Record], Verdict]:
    """Open and check a bundle: its manifest, its records, and the verdict on chain and signature. Raises Invalid."""
    files = _files(raw)
    manifest = strict.loads(files["manifest.json"], depth=_DEPTH)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise errors.Invalid(f"This is not a bundle of the format {FORMAT}.")
    records = [unpacked(strict.loads(line, depth=_DEPTH)) for line in files["journal.jsonl"].splitlines() if line]
    verdict = verify_records(str(manifest.get("session")), records)
    if verdict.ok and (verdict.head, verdict.checked) != (manifest.get("head"), manifest.get("seq")):
        verdict = Verdict(
            verdict.session,
            False,
            verdict.checked,
            verdict.head,
            "the journal does not end at the head the manifest names",
        )
    if verdict.ok and not _signed(files, str(manifest.get("public_key", ""))):
        verdict = Verdict(verdict.session, False, verdict.checked, verdict.head, "the signature does not match")
    return manifest, records, verdict


def bring_in(engine: Engine, raw: bytes, actor: Actor, key: Ed25519PrivateKey) -> Future[Session]:
    """Take a bundle in as a session of the actor's space. `key` is what this installation signs with.

    A valid signature says who wrote a bundle, not that its content is true: whoever has a key can write any history,
    past every limit and quota. So what others have signed is for administrators to bring in.

    Raises: Invalid, Tampered, NotAllowed, NotFound (kind), KeyTaken.
    """
    manifest, records, verdict = read(raw)
    if manifest.get("public_key") != public(key) and ADMIN not in actor.roles:
        raise errors.NotAllowed("Only an administrator may bring in what another installation has signed.")
    if not verdict.ok:
        raise errors.Tampered(f"The bundle does not verify: {verdict.reason}.", seq=verdict.seq)
    if verdict.withheld or not records or any(not part.owner for record in records for part in record.parts):
        raise errors.Invalid("A bundle with withheld events can be verified, but not brought in.")
    if not ID.fullmatch(verdict.session) or not all(map(_is_ours, records)) or _goes_back(records):
        raise errors.Invalid("No journal is written like the one in this bundle.")
    return engine.adopt(str(manifest.get("kind")), verdict.session, records, actor)


def sign(document: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """A JSON export with `signature` {public_key, value} over the canonical text of the rest."""
    value = key.sign(chain.canonical(dict(document)).encode()).hex()
    return {**document, "signature": {"public_key": public(key), "value": value}}


def verify_document(document: Any) -> Verdict:
    """Check a signed JSON export: signature, then the chain of the records in `events`. Raises Invalid."""
    if not isinstance(document, dict) or not isinstance(document.get("events"), list):
        raise errors.Invalid("This is not an export of a session.")
    signature = document.get("signature")
    rest = {name: value for name, value in document.items() if name != "signature"}
    records = [unpacked(item.get("record") if isinstance(item, dict) else None) for item in document["events"]]
    named = document.get("session")
    session = str(named.get("id", "")) if isinstance(named, dict) else ""
    verdict = verify_records(session, records)
    if not verdict.ok:
        return verdict
    if verdict.head != document.get("head"):
        return Verdict(
            session, False, verdict.checked, verdict.head, "the journal does not end at the head the export names"
        )
    if not isinstance(signature, dict) or not _verified(
        str(signature.get("public_key")), str(signature.get("value")), chain.canonical(rest).encode()
    ):
        return Verdict(
            session, False, verdict.checked, verdict.head, "the export was changed: its signature does not match"
        )
    return verdict


def verify_file(raw: bytes) -> Verdict:
    """Check a file that came out of the house: a bundle or a JSON export. Raises Invalid."""
    if raw.startswith(b"PK"):
        return read(raw)[2]
    return verify_document(strict.loads(raw, depth=_DEPTH))


def public(key: Ed25519PrivateKey) -> str:
    """The public half, in hex."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _verify(tx: Tx, kinds: Mapping[str, Kind], id: str, epoch: int) -> Verdict:
    if not ID.fullmatch(id) or sessions.version(tx, id) is None:
        raise errors.NotFound()
    try:
        return _checked(tx, kinds, id, epoch)
    except _UNREADABLE as error:
        return Verdict(id, False, 0, "", f"what is stored cannot be read ({type(error).__name__})")


def _checked(tx: Tx, kinds: Mapping[str, Kind], id: str, epoch: int) -> Verdict:
    held = sessions.load(tx, id, epoch=epoch)
    assert held is not None, "its version was just read in this transaction"
    verdict = verify_records(id, journal.every(tx, id))
    if not verdict.ok:
        return verdict
    kind = kinds.get(held.session.kind)
    reason = ""
    if (verdict.head, verdict.checked) != (held.head.hex(), held.session.seq):
        reason = "the journal does not end where the session says it ends"
    elif kind is not None and not held.erased:
        folded = refolded(tx, kind, held.session)
        if (folded.state, folded.data, _filled(folded.items)) != (
            held.session.state,
            held.session.data,
            _filled(held.session.items),
        ):
            reason = "the stored state is not what the journal gives"
    if not reason:
        return verdict
    return Verdict(id, False, verdict.checked, verdict.head, reason, held.session.seq, verdict.withheld)


def _is_ours(record: chain.Record) -> bool:
    """Whether an engine could have written this record: every name in its form, nothing twice, not too large."""
    owners = [part.owner for part in record.parts]
    texts = [record.data or "", *(part.text or "" for part in record.parts)]
    try:
        in_time = to_text(from_text(record.at)) == record.at
    except (ValueError, OverflowError):
        return False
    return (
        in_time
        and bool(TYPE.fullmatch(record.type) and ACTOR.fullmatch(record.actor) and _ROLE.fullmatch(record.role))
        and len(set(owners)) == len(owners)
        and all(OWNER.fullmatch(owner) for owner in owners)
        and sum(len(text.encode()) for text in texts) <= MAX_EVENT_BYTES
    )


def _goes_back(records: list[chain.Record]) -> bool:
    return any(after.at < before.at for before, after in pairwise(records))


def _filled(items: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Collections with elements; an emptied one is not stored."""
    return {name: elements for name, elements in items.items() if elements}


def _packed(engine: Engine, found: Journal, key: Ed25519PrivateKey) -> bytes:
    session = found.seen.session
    kind = engine.kinds[session.kind]
    lines = "".join(chain.canonical(line) + "\n" for line in records_of(found, kind)).encode()
    manifest = {
        "format": FORMAT,
        "kind": session.kind,
        "session": session.id,
        "seq": session.seq,
        "head": found.records[-1].hash.hex(),
        "public_key": public(key),
        "state": session.state,
    }
    head = (chain.canonical(manifest) + "\n").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in zip(_NAMES, (head, lines, key.sign(_digest(head, lines))), strict=True):
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _files(raw: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            infos = archive.infolist()
            if (
                sorted(info.filename for info in infos) != sorted(_NAMES)
                or sum(info.file_size for info in infos) > MAX_BYTES
            ):
                raise errors.Invalid("This is not a bundle.")
            return {info.filename: _limited(archive, info) for info in infos}
    except Exception:
        # Whatever the library makes of a broken archive: it has no single error for that.
        raise errors.Invalid("This is not a bundle.") from None


def _limited(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's content, never more than it says it has, so a lying archive cannot fill the memory."""
    with archive.open(info) as member:
        return member.read(info.file_size)


def _digest(manifest: bytes, lines: bytes) -> bytes:
    return hashlib.sha256(manifest).digest() + hashlib.sha256(lines).digest()


def _signed(files: Mapping[str, bytes], key: str) -> bool:
    digest = _digest(files["manifest.json"], files["journal.jsonl"])
    return _verified(key, files["signature"].hex(), digest)


def _verified(key: str, signature: str, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _part(part: chain.Part, *, shown: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"commitment": part.commitment.hex()}
    if shown:
        made["owner"] = part.owner
    if shown and part.text is not None:
        made |= {"content": json.loads(part.text), "salt": (part.salt or b"").hex()}
    return made


def _unpacked_part(value: Mapping[str, Any]) -> chain.Part:
    commitment = bytes.fromhex(value["commitment"])
    owner = str(value.get("owner", ""))
    if "content" not in value:
        return chain.Part(owner, commitment)
    return chain.Part(owner, commitment, chain.canonical(value["content"]), bytes.fromhex(value["salt"]))
