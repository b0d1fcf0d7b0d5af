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
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
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
from .store.sessions import Held
from .store.transaction import Tx

FORMAT = "sitting.bundle/1"
MAX_BYTES = 256 * 1024 * 1024
MAX_LINES = 250_000
MAX_LINE_BYTES = 16 * MAX_EVENT_BYTES  # an event, and what each of its owners adds
_MANIFEST, _JOURNAL, _SIGNATURE = _NAMES = ("manifest.json", "journal.jsonl", "signature")
_SMALL = 64 * 1024  # of what is no journal; and as much of a journal as is unpacked at once
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others a few bytes may take any memory
_ENTRY, _MAX_ENTRIES = b"PK\x01\x02", 64  # the bytes an archive lists a member by; content may hold them by chance
_NO_BUNDLE = "This is not a bundle."
_UNSIGNED = "the signature does not match"
_DEPTH = strict.MAX_DEPTH * 2  # what a session may hold stands some levels down in a record
FINGERPRINT = 32  # hex digits of a public key: nobody makes another key that begins with the same 128 bits
_KEY = re.compile(f"[0-9a-f]{{{FINGERPRINT},64}}")
_ROLE = re.compile(r"[A-Za-z0-9:_.-]{1,64}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True)
class Verdict:
    """Whether a journal is whole. `seq` is the first bad place.

    `checked` counts events, `withheld` those not shown, `erased` the personal parts whose content is gone. `signed_by`
    is the public key of a file's signature, when that holds; what is stored is not signed.
    """

    session: str
    ok: bool
    checked: int
    head: str
    reason: str = ""
    seq: int | None = None
    withheld: int = 0
    erased: int = 0
    signed_by: str = ""

    def broken(self, reason: str, seq: int | None = None) -> Verdict:
        """The verdict on what is not whole for another reason than its chain."""
        return replace(self, ok=False, reason=reason, seq=seq)

    @property
    def said(self) -> str:
        """The verdict in one line, for people."""
        if not self.ok:
            return f"NOT whole{'' if self.seq is None else f' at {self.seq}'}: {self.reason}"
        counted = ((self.withheld, "withheld"), (self.erased, "part erased" if self.erased == 1 else "parts erased"))
        more = "".join(f", {number} {what}" for number, what in counted if number)
        by = f", signed by {self.signed_by[:FINGERPRINT]}" if self.signed_by else ""
        return f"verified, {self.checked} event{'' if self.checked == 1 else 's'}, head {self.head[:16]}{more}{by}"


def verify(store: Store, kinds: Mapping[str, Kind], session: str, *, epoch: int = 1) -> Future[Verdict]:
    """Check a stored session: chain, head, times, and that folding the journal gives the stored state.

    Raises: NotFound.
    """
    return store.read(lambda tx: _verify(tx, kinds, session, epoch))


def verify_records(session: str, records: Iterable[chain.Record]) -> Verdict:
    """Check a chain by itself."""
    head, count, withheld, erased = chain.GENESIS, 0, 0, 0
    for count, record in enumerate(records, 1):
        if reason := chain.fault(head, record, session=session, seq=count):
            return Verdict(session, False, count - 1, head.hex(), reason, count, withheld, erased)
        head = record.hash
        withheld += record.data is None
        erased += sum(part.text is None for part in record.parts if part.owner)  # what is withheld names no owner
    return Verdict(session, True, count, head.hex(), withheld=withheld, erased=erased)


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


def export(engine: Engine, session: str, actor: Actor, key: Ed25519PrivateKey) -> bytes:
    """A signed bundle of what this actor may see. Takes the caller's time: as long as the journal. Raises NotFound."""
    return _packed(engine, engine.journal(session, actor).result(), key)


def read(raw: bytes) -> tuple[dict[str, Any], list[chain.Record], Verdict]:
    """Open and check a bundle: its manifest, its records up to the first fault, and the verdict. Raises Invalid."""
    with _opened(raw) as archive:
        manifest = _manifest(archive)
        return manifest, *_checked_records(archive, manifest)


def bring_in(engine: Engine, raw: bytes, actor: Actor, key: Ed25519PrivateKey) -> Future[Session]:
    """Take a bundle in as a session of the actor's space. `key` is what this installation signs with.

    A valid signature says who wrote a bundle, not that its content is true: whoever has a key can write any history,
    past every limit and quota. So what others have signed is for administrators to bring in; from anybody else nothing
    is taken apart, or held in memory as a whole, before it is known to be ours.

    Raises: Invalid, Tampered, NotAllowed, NotFound (kind), KeyTaken.
    """
    with _opened(raw) as archive:
        manifest = _manifest(archive)
        if ADMIN not in actor.roles:
            if manifest.get("public_key") != public(key):
                raise errors.NotAllowed("Only an administrator may bring in what another installation has signed.")
            if not _signed(archive, public(key)):
                raise _tampered(_UNSIGNED)
        records, verdict = _checked_records(archive, manifest)
    if not verdict.ok:
        raise _tampered(verdict.reason, verdict.seq)
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
        return verdict.broken("the journal does not end at the head the export names")
    if not isinstance(signature, dict) or not _verified(
        str(signature.get("public_key")), str(signature.get("value")), chain.canonical(rest).encode()
    ):
        return verdict.broken("the export was changed: its signature does not match")
    return verdict


def is_file(name: str) -> bool:
    """Whether somebody who names something to verify means a file, there or not."""
    return Path(name).is_file() or "/" in name or Path(name).suffix in (".zip", ".json")


def verify_file(raw: bytes, *, key: str = "") -> Verdict:
    """Check a file that came out of the house: a bundle or a JSON export.

    Whoever has any key can write a history that is whole. `key` demands whose it is: a public key in hex, or its
    beginning, no shorter than its fingerprint.

    Raises: Invalid.
    """
    wanted = key.strip().lower()
    if wanted and not _KEY.fullmatch(wanted):
        raise errors.Invalid.field("key", f"A public key in hex, or at least its first {FINGERPRINT} characters.")
    if raw.startswith(b"PK"):
        naming, _, verdict = read(raw)
    else:
        try:
            document = strict.loads(raw, depth=_DEPTH)
        except errors.Malformed:
            raise errors.Invalid("This is neither a bundle nor a JSON export of a session.") from None
        verdict = verify_document(document)
        naming = document["signature"] if verdict.ok else {}
    if not verdict.ok:
        return verdict
    signer = bytes.fromhex(str(naming["public_key"])).hex()
    verdict = replace(verdict, signed_by=signer)
    if signer.startswith(wanted):
        return verdict
    return verdict.broken(f"it is signed by another key, {signer[:FINGERPRINT]}")


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
    if verdict.ok and (reason := _unlike(tx, kinds, held, verdict)):
        return verdict.broken(reason, held.session.seq)
    return verdict


def _unlike(tx: Tx, kinds: Mapping[str, Kind], held: Held, verdict: Verdict) -> str:
    """In what the stored session is not what its journal gives; empty when it is."""
    session, kind = held.session, kinds.get(held.session.kind)
    if (verdict.head, verdict.checked) != (held.head.hex(), session.seq):
        return "the journal does not end where the session says it ends"
    ends = (*journal.records(tx, session.id, limit=1), *journal.newest(tx, session.id, limit=1))
    if [session.created_at, session.updated_at] != [from_text(record.at) for record in ends]:
        return "the journal does not begin and end when the session says it does"
    if kind is None:
        return f"its kind '{session.kind}' is not known here; its application is missing (see SITTING_APPLICATIONS)"
    if not held.erased:
        folded = refolded(tx, kind, session)
        given, stored = ((each.state, each.data, _filled(each.items)) for each in (folded, session))
        if given != stored:
            return "the stored state is not what the journal gives"
    return ""


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


def _opened(raw: bytes) -> zipfile.ZipFile:
    """The archive, of which nothing is unpacked yet. Raises Invalid."""
    try:
        if raw.count(_ENTRY) > _MAX_ENTRIES:
            raise ValueError
        archive = zipfile.ZipFile(io.BytesIO(raw))
        size = {info.filename: info.file_size for info in archive.infolist() if info.compress_type in _PACKED_AS}
        small = all(size[name] <= _SMALL for name in (_MANIFEST, _SIGNATURE))
        if len(archive.infolist()) != len(_NAMES) or not small or sum(size.values()) > MAX_BYTES:
            raise ValueError
        return archive
    except Exception:
        # Whatever the library makes of a broken archive: it has no single error for that.
        raise errors.Invalid(_NO_BUNDLE) from None


def _pieces(archive: zipfile.ZipFile, name: str, size: int, *, lines: bool = False) -> Iterator[bytes]:
    """A member in pieces, or lines, of at most `size`; never more than it says it has, whatever there is of it."""
    try:
        with archive.open(name) as member, io.BufferedReader(member) as buffered:  # type: ignore[type-var]
            take: Callable[[int], bytes] = buffered.readline if lines else buffered.read
            while piece := take(size):
                yield piece
    except Exception:
        raise errors.Invalid(_NO_BUNDLE) from None


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest = strict.loads(b"".join(_pieces(archive, _MANIFEST, _SMALL)), depth=_DEPTH)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise errors.Invalid(f"This is not a bundle of the format {FORMAT}.")
    return manifest


def _checked_records(archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> tuple[list[chain.Record], Verdict]:
    """The records up to the first fault, and the verdict on chain and signature. Raises Invalid."""
    records: list[chain.Record] = []

    def kept() -> Iterator[chain.Record]:
        for number, line in enumerate(_pieces(archive, _JOURNAL, MAX_LINE_BYTES + 1, lines=True), 1):
            if number > MAX_LINES or len(line) > MAX_LINE_BYTES:
                raise errors.Invalid("The journal in this bundle is too large.")
            if line := line.rstrip(b"\r\n"):
                records.append(unpacked(strict.loads(line, depth=_DEPTH)))
                yield records[-1]

    verdict = verify_records(str(manifest.get("session")), kept())
    if verdict.ok and (verdict.head, verdict.checked) != (manifest.get("head"), manifest.get("seq")):
        verdict = verdict.broken("the journal does not end at the head the manifest names")
    elif verdict.ok and not _signed(archive, str(manifest.get("public_key", ""))):
        verdict = verdict.broken(_UNSIGNED)
    return records, verdict


def _tampered(reason: str, seq: int | None = None) -> errors.Tampered:
    return errors.Tampered(f"The bundle does not verify: {reason}.", seq=seq)


def _digest(manifest: bytes, lines: bytes) -> bytes:
    return hashlib.sha256(manifest).digest() + hashlib.sha256(lines).digest()


def _signed(archive: zipfile.ZipFile, key: str) -> bool:
    """Whether this key has signed it. However large the journal is, little of it is in memory at a time."""
    digest = b""
    for name in (_MANIFEST, _JOURNAL):
        hashed = hashlib.sha256()
        for piece in _pieces(archive, name, _SMALL):
            hashed.update(piece)
        digest += hashed.digest()
    return _verified(key, b"".join(_pieces(archive, _SIGNATURE, _SMALL)).hex(), digest)


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
