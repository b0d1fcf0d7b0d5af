"""One meeting from an empty team to a verified journal: three people write alone, and see the whole at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ... import bundle
from ...core.actor import Actor, guest
from ...engine import Engine
from ...installation import Installation
from . import commands, people, team_commands, views
from .terms import GENERATING

MEMBERS = ("Alice Example", "Bob Example", "Cy Example", "Dana Example")
SAID = (
    (2, ["We agree on the goal, but not on the order.", "Priorities change every week."]),
    (12, ["Handover between sales and delivery is slow.", "I learn about changed priorities in the corridor."]),
    (44, ["Two teams build the same report.", "Nobody decides between two priorities."]),
    (9, ["The customers we have are happy.", "The goal is clear for this year, not for next."]),
)
STRATEGY = "One product for small workshops, sold and served by the same people."
MOST_SECONDS = 240


def play(installation: Installation, say: Callable[[str], None]) -> None:
    """Play it. The worker of this process makes the synthesis; team and session stay, to be looked at."""
    engine, leader = installation.engine, installation.access.local()
    installation.worker.start()
    create = team_commands.CreateTeam(company_name="Example Works", team_name="North", strategy_statement=STRATEGY)
    team = engine.open("team", create, leader).result().session
    for name in MEMBERS:
        team = engine.do(team.id, team_commands.AddMember(name=name), leader).result().session
    say(f"facilitation: the team has {len(MEMBERS)} members and the code {team.data['code']}")
    month = installation.clock.now().strftime("%Y-%m")
    session = engine.open("facilitation", commands.Create(team_id=team.id, month=month), leader).result().session
    engine.do(session.id, commands.Start(), leader).result()
    for member, (card, bullets) in enumerate(SAID, 1):
        _respond(engine, session.id, team.data["code"], member, commands.Submit(card=card, bullets=bullets))
        say(f"facilitation: {MEMBERS[member - 1]} has responded; nobody sees what")
    engine.do(session.id, commands.Close(), leader).result()
    _wait(engine, session.id, leader)
    revealed = engine.do(session.id, commands.Reveal(), leader).result().session
    _tell(engine, revealed.id, leader, say)
    action = team_commands.AddAction(
        text="Write one order of priorities for the month.", owner_member_id=2, session_id=session.id
    )
    engine.do(team.id, action, leader).result()
    verdict = bundle.verify(installation.store, installation.kinds, session.id, epoch=installation.epoch).result()
    seal = views.seal_line(engine.view(session.id, leader).result().session)
    say(
        f"facilitation: {session.id}, {verdict.checked} events, {seal}, "
        + ("verified" if verdict.ok else f"NOT whole: {verdict.reason}")
    )


def _respond(engine: Engine, session: str, code: str, member: int, response: commands.Submit) -> None:
    """One person at the door: the name is claimed with the team's code, the response handed in on the same device."""
    device = guest(f"demo-{session}-{member}", credentials=(people.team_credential(code),))
    engine.do(session, commands.Claim(member_id=member), device).result()
    engine.do(session, response, device).result()


def _wait(engine: Engine, session: str, leader: Actor) -> None:
    pause = threading.Event()
    for _ in range(MOST_SECONDS * 4):
        found = engine.view(session, leader).result().session
        if views.synthesis_status(found)["status"] != GENERATING:
            return
        pause.wait(0.25)


def _tell(engine: Engine, id: str, leader: Actor, say: Callable[[str], None]) -> None:
    """What the meeting sees."""
    seen = engine.view(id, leader).result()
    made, grouped = views.synthesis(seen.session, seen.audience), views.grouping(seen.session, seen.audience)
    if made["themes"] is None:
        say(f"facilitation: {views.progress(seen.session)['message']}")
    else:
        say(f"facilitation: gap: {made['gap_type']}; themes: {' '.join(made['themes'].split())[:300]}")
    for theme in (grouped or {"themes": ()})["themes"]:
        say(f"facilitation: {theme['title']}: {', '.join(theme['responses'])}")
