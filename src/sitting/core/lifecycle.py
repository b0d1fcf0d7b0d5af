"""The table state x verb -> states, and which roles may. Diagrams, buttons and refusals are read from it.

Everything that affects which move is legal lives in a kind's `Lifecycle`; whether a legal move is also sensible (a
guard) is for the kind's `decide`. A wrong table is refused when it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from .. import errors
from .actor import SYSTEM

CREATE = "create"
ERASE = "erase"
GONE = "gone"


@dataclass(frozen=True)
class Move:
    """`verb` leads from each state of `source` to one of `target` (empty: stays) and is open to `roles`.

    `opening` starts the sentence of a refusal: `Cannot start session.` The verb `create` has no source. The state
    `gone` stands in no table and nothing leads out of it: a session that reaches it is emptied in the same transaction.
    The verb `erase` always leads there.
    """

    verb: str
    source: tuple[str, ...]
    roles: tuple[str, ...]
    target: tuple[str, ...] = ()
    opening: str = ""

    def __post_init__(self) -> None:
        if self.verb == ERASE:
            object.__setattr__(self, "target", (GONE,))

    def reaches(self, state: str) -> tuple[str, ...]:
        """The states this move may lead to from `state`."""
        return self.target or (state,)


def wrong_state(state: str, move: Move) -> errors.Refusal:
    """The house's refusal of a move that the state does not allow."""
    opening = move.opening or f"Cannot {move.verb.replace('_', ' ')}."
    return errors.WrongState(f"{opening} Session is in '{state}' state.", session_status=state)


class Lifecycle:
    """A kind's table of moves.

    Raises:
        Misuse: a state is unknown or cannot be reached, a verb stands twice for one state, or nothing creates.
    """

    def __init__(
        self,
        states: Sequence[str],
        moves: Sequence[Move],
        *,
        final: Collection[str] = (),
        refuse: Callable[[str, Move], errors.Refusal] = wrong_state,
    ) -> None:
        self.states = tuple(states)
        self.moves = tuple(moves)
        self.final = frozenset(final)
        self._refuse = refuse
        self._table: dict[tuple[str, str], Move] = {}
        self._verbs: dict[str, Move] = {}
        for move in self.moves:
            self._enter(move)
        self._check()

    @property
    def verbs(self) -> tuple[str, ...]:
        """Every verb, in the table's order."""
        return tuple(self._verbs)

    def move(self, state: str, verb: str, role: str | None = None) -> Move:
        """The move `verb` from `state` (`""` before creation). A refusal tells what this role may do instead.

        Raises:
            NotFound: no state has this verb.
            WrongState: this state has not (or what the kind refuses with instead).
        """
        found = self._table.get((state, verb))
        if found is not None:
            return found
        if verb not in self._verbs:
            raise errors.NotFound(f"There is no command '{verb}' here.")
        refusal = self._refuse(state, self._verbs[verb])
        possible = [move.verb for move in self.open(state, role) if move.roles != (SYSTEM,)]
        refusal.facts.setdefault("allowed", possible)
        raise refusal

    def open(self, state: str, role: str | None = None) -> tuple[Move, ...]:
        """The moves that `state` has, for one role or for all."""
        return tuple(
            move
            for (source, _), move in self._table.items()
            if source == state and (role is None or role in move.roles)
        )

    def _enter(self, move: Move) -> None:
        for state in move.source or ("",):
            if (state, move.verb) in self._table:
                raise errors.Misuse(f"The lifecycle has two moves '{move.verb}' from '{state}'.")
            self._table[state, move.verb] = move
        self._verbs.setdefault(move.verb, move)

    def _check(self) -> None:
        known = set(self.states)
        named = {state for move in self.moves for state in move.source} | self.final
        named |= {state for move in self.moves for state in move.target} - {GONE}
        if GONE in known:
            raise errors.Misuse(f"The state '{GONE}' is the engine's own.")
        if named - known:
            raise errors.Misuse(f"The lifecycle names unknown states: {', '.join(sorted(named - known))}.")
        if ("", CREATE) not in self._table:
            raise errors.Misuse("The lifecycle has no move 'create'.")
        reached = set(self._table["", CREATE].target)
        while True:
            next_ones = {state for move in self.moves if reached & set(move.source) for state in move.target}
            if not (more := next_ones & known - reached):
                break
            reached |= more
        if known - reached:
            raise errors.Misuse(f"The lifecycle cannot reach: {', '.join(sorted(known - reached))}.")
        for move in self.moves:
            if (stuck := self.final & set(move.source)) and set(move.target) - stuck - {GONE}:
                raise errors.Misuse(f"The move '{move.verb}' leaves a final state.")
