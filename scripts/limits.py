"""What is bounded in Sitting, read from where it is bounded: table -> rows of (what, limit, what happens beyond)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sitting import access, bundle, clock, passwords, worker, workroom, writing
from sitting.apps.facilitation import guesses
from sitting.apps.facilitation import terms as meeting
from sitting.apps.interview import terms
from sitting.apps.interview import work as interview_work
from sitting.config import Settings
from sitting.core import event, session, strict
from sitting.store import dialect
from sitting.web import api, deps, door, frames, markdown, poll, server, streams

Rows = Sequence[tuple[str, str, str]]
INVALID, TOO_MANY = "422 `VALIDATION_ERROR`", "429 `RATE_LIMITED`"
FAULT = "a fault of the kind; nothing is stored"


def size(number: float) -> str:
    """Bytes, as people say them."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit and number % unit == 0:
            return f"{number // unit:,} {name}"
    return f"{number:,} bytes"


def time(seconds: float) -> str:
    """A duration, as people say it."""
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit and seconds % unit == 0:
            return f"{seconds // unit:,.0f} {name}"
    return f"{seconds:g} s"


def setting(name: str) -> Any:
    """The default of a setting."""
    return Settings.model_fields[name].get_default()


TABLES: Mapping[str, Rows] = {
    "A request": (
        ("Address", f"path {size(door.MAX_PATH)}, query {size(door.MAX_QUERY)}", "400 `BAD_REQUEST`"),
        ("Headers", f"{door.MAX_HEADERS} of them", "400 `BAD_REQUEST`"),
        ("Head as a whole", size(server.MAX_HEAD_BYTES), "431, connection closed"),
        ("Body", f"{size(setting('body_limit'))} (`SITTING_BODY_LIMIT`)", "413 `TOO_LARGE`"),
        ("Body of a bundle to import", size(api.BUNDLE_BYTES), "413 `TOO_LARGE`"),
        (
            "Time to send the whole request",
            f"{time(setting('request_seconds'))} (`SITTING_REQUEST_SECONDS`)",
            "408 `REQUEST_TIMEOUT`",
        ),
        ("Idle connection", time(server.KEEP_ALIVE_SECONDS), "closed"),
        ("JSON: nesting", f"{strict.MAX_DEPTH} deep", "422 `MALFORMED`"),
        ("JSON: numbers", "below 2^53 in size, no NaN, no infinity", "422 `MALFORMED`"),
        ("JSON: keys", f"{strict.MAX_KEY} characters, none twice", "422 `MALFORMED`"),
        ("JSON: text", "UTF-8, no NUL, no lone surrogates", "422 `MALFORMED`"),
        ("Form fields", f"{deps.MAX_FIELDS}", INVALID),
        ("Page of a list or of events", "`limit` 1 to 100, for events 1 to 500", INVALID),
    ),
    "Signing in": (
        (
            "Attempts at one e-mail address",
            f"{access.ATTEMPTS_BY_EMAIL} in {time(passwords.ATTEMPT_SECONDS)}, in each process",
            TOO_MANY,
        ),
        (
            "Attempts from one network address",
            f"{access.ATTEMPTS_BY_ADDRESS} in {time(passwords.ATTEMPT_SECONDS)}, in each process",
            TOO_MANY,
        ),
        ("Passwords being checked or waiting", f"{passwords.MAX_WAITING} in each process", TOO_MANY),
        ("Password", f"{passwords.MIN_PASSWORD} to {passwords.MAX_PASSWORD} characters", INVALID),
        ("E-mail address", f"{access.MAX_EMAIL} characters", "422 `VALIDATION_ERROR`; at the sign-in, an unknown one"),
        ("A sign-in holds", time(access.SIGN_IN_SECONDS), "sign in again"),
        ("The first sign-in link holds", time(access.FIRST_LINK_SECONDS), "each start prints a new one"),
        ("API tokens of an account", f"{access.MAX_TOKENS}", "409 `CONFLICT`"),
    ),
    "A live stream": (
        (
            "Open streams of one actor, or of one session's big screens",
            f"{streams.STREAMS_PER_ACTOR:,} in each process",
            TOO_MANY,
        ),
        ("A reader that accepts nothing", time(streams.USUAL.stall), "cut off; it resumes from its position"),
        ("Silence", f"a byte after {streams.USUAL.heartbeat * 1.15:g} s at the latest", "a fault of ours"),
        ("Age", f"{time(streams.USUAL.age)}, give or take 10 %", "`bye`, reason `rotation`; come back"),
        ("Leaving at shutdown", f"{time(setting('drain_seconds'))} (`SITTING_DRAIN_SECONDS`)", "closed"),
        ("One JSON answer of events", f"about {size(poll.MAX_BYTES)}", "go on from `next`"),
        ("Waiting poll", "`wait` 0 to 30 s; it counts as an open stream", INVALID),
        ("Protocol version", str(frames.PROTOCOL), "said in the first block of each stream"),
    ),
    "Markdown on a page": (
        ("Tables of one text", f"{markdown.MAX_CELLS:,} cells in all", "shown as they were written"),
        (
            "Links of one text whose address stands elsewhere in it",
            f"{markdown.MAX_REPEATED:,} characters, each as long as the longest address",
            "shown as they were written",
        ),
    ),
    "A session": (
        ("Event", size(event.MAX_EVENT_BYTES), FAULT),
        ("Folded data, its collections apart", size(session.MAX_DATA_BYTES), FAULT),
        ("Event type", f"`{event.TYPE.pattern}`", FAULT),
        ("Session id", f"`{session.ID.pattern}`", FAULT),
        (
            "Idempotency-Key of what changed something is remembered",
            f"{writing.REPEAT_HOURS} hours",
            "the request counts as new",
        ),
        ("Bundle, unpacked", size(bundle.MAX_BYTES), INVALID),
        ("Journal in a bundle", f"{bundle.MAX_LINES:,} events, each {size(bundle.MAX_LINE_BYTES)} as a line", INVALID),
    ),
    "Jobs": (
        ("Lease of a job", f"{time(worker.LEASE_SECONDS)}, renewed every {time(worker.RENEW_SECONDS)}", "taken over"),
        (
            "Text of a turn is stored",
            f"every {workroom.FLUSH_SECONDS * 1000:g} ms at most; {worker.PIECES_PER_SECOND:,} pieces a second in all",
            "that much can be lost",
        ),
        ("A lost wake-up of a worker costs", time(worker.POLL_SECONDS), ""),
        (
            "Waits between the tries of a failed job",
            ", ".join(time(seconds) for seconds in worker.BACKOFF_SECONDS),
            "the kind is told the reason",
        ),
    ),
    "A shared database": (
        (
            "A node's clock against PostgreSQL's",
            f"{time(clock.APART_SECONDS)} apart, at its start",
            "it does not start",
        ),
        (
            "A write waits for what another holds",
            time(dialect.USUAL.lock_ms / 1000),
            "503 `STORE_UNAVAILABLE`; nothing is stored",
        ),
        (
            "A write whose node stands still",
            time(dialect.USUAL.idle_ms / 1000),
            "PostgreSQL ends it; nothing is stored",
        ),
    ),
    "An interview": (
        (
            "Time limit",
            f"{terms.MIN_SECONDS} to {terms.MAX_SECONDS:,} s; with extensions {terms.TOTAL_SECONDS:,} s",
            INVALID,
        ),
        (
            "Token budget",
            f"{terms.MIN_TOKENS:,} to {terms.MAX_TOKENS:,}; with extensions {terms.TOTAL_TOKENS:,}",
            INVALID,
        ),
        ("Message", f"{terms.MAX_MESSAGE:,} characters", "422 `MESSAGE_TOO_LONG`"),
        ("Answer", f"{terms.MAX_OUTPUT_TOKENS:,} tokens, or what is left of the budget", "cut there"),
        (
            "Least room for an answer",
            f"{terms.LEAST_OUTPUT_TOKENS} tokens after the prompt",
            "409 `BUDGET_INSUFFICIENT`",
        ),
        ("Time for an answer", time(interview_work.REPLY_SECONDS), "the turn fails, nothing is charged"),
        (
            "Messages of one interview",
            f"{setting('interview_messages_minute')} a minute, {setting('interview_messages_hour')} an hour (settings)",
            TOO_MANY,
        ),
        ("Messages of a space", f"{setting('interview_messages_space_hour'):,} an hour (setting)", TOO_MANY),
        ("Challenge text", f"{terms.MAX_TEXT:,} characters", INVALID),
        ("Configuration", f"{size(terms.MAX_CONFIG_BYTES)} of JSON", INVALID),
        ("Interviewers, notes", f"{terms.MAX_INTERVIEWERS}, {terms.MAX_NOTES}", "refused"),
        ("Devices of the candidate", f"{terms.MAX_DEVICES}", "the oldest is signed out"),
        ("Devices that join by one link", f"{terms.JOINS_A_MINUTE} a minute", TOO_MANY),
        (
            "The candidate's link",
            f"{time(terms.LINK_SECONDS)}; {time(terms.MIN_LINK_SECONDS)} to {time(terms.MAX_LINK_SECONDS)}",
            "404, `This link is not valid.`",
        ),
        ("Marks of one interview", f"{terms.MARKS_A_MINUTE} a minute", TOO_MANY),
        ("A pause", time(terms.PAUSE_LIMIT_MS // 1000), "the interview ends"),
    ),
    "A team meeting": (
        ("Active members of a team", f"{setting('facilitation_max_members')} (setting)", "400"),
        (
            "A response",
            f"1 to {meeting.MAX_BULLETS} points of {meeting.MAX_BULLET} characters",
            "400 `VALIDATION_ERROR`",
        ),
        (
            "Responses sent under one name",
            f"{meeting.SUBMITS_A_MINUTE} a minute, {meeting.SUBMITS_AN_HOUR} an hour",
            TOO_MANY,
        ),
        ("Claims of one name", f"{meeting.CLAIMS_A_MINUTE} a minute", TOO_MANY),
        ("Asking for the name on the own response", f"{meeting.AUTHORSHIPS_A_MINUTE} a minute", TOO_MANY),
        (
            "Wrong codes from one address",
            f"{guesses.WRONG_CODES} in {time(guesses.WINDOW.total_seconds())}, in each process",
            TOO_MANY,
        ),
        ("Codes that one person chooses for teams", f"{meeting.MAX_CODES_AN_HOUR} an hour", TOO_MANY),
    ),
}
