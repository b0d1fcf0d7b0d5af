"""The 55 cards, and the order in which a session lays them out."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Card:
    """One card: its number, a symbol, and the word that says what the symbol shows."""

    id: int
    symbol: str
    label: str


_CARDS = (
    "🧭 Compass, 🌉 Bridge, ⚓ Anchor, 🚂 Train, 🧗 Climber, 🌊 Wave, 🔥 Fire, 🌱 Seedling, 🌳 Tree, 🏔️ Mountain, "
    "🚧 Barrier, 🪢 Knot, 🧩 Puzzle piece, 🎯 Target, 🛶 Canoe, 🚣 Rowing, ⛵ Sailing boat, 🚀 Rocket, 🐢 Turtle, "
    "🐇 Rabbit, 🐝 Bee, 🐜 Ant, 🦋 Butterfly, 🦉 Owl, 🐑 Sheep, 🎻 Violin, 🥁 Drum, 🎭 Masks, 🎪 Tent, 🎠 Carousel, "
    "🎢 Roller coaster, 🪁 Kite, ⚖️ Scales, ⏳ Hourglass, ⏰ Alarm clock, 🔑 Key, 🔒 Lock, 🧱 Bricks, 🪜 Ladder, "
    "🔦 Torch, 🔭 Telescope, 🔬 Microscope, 🗺️ Map, 🚦 Traffic light, 🛤️ Railway track, 🌪️ Tornado, 🌫️ Fog, "
    "🌈 Rainbow, ☀️ Sun, 🌙 Moon, ❄️ Snowflake, 🏝️ Island, 🏗️ Crane, 🧵 Thread, 🤝 Handshake"
)
DECK = tuple(Card(id, *each.split(" ", 1)) for id, each in enumerate(_CARDS.split(", "), 1))


def card(id: int | None) -> Card | None:
    """The card of a number, or None."""
    return DECK[id - 1] if id is not None and 1 <= id <= len(DECK) else None


def order(session: str) -> list[Card]:
    """The deck as one session lays it out: the same for everybody in it, another one in the next session."""
    return sorted(DECK, key=lambda each: sha256(f"{session}:{each.id}".encode()).hexdigest())
