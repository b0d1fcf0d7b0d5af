"""The application as the installation is told of it."""

from __future__ import annotations

from ...installation import App
from .kind import FACILITATION
from .team import TEAM

APP = App(
    name="facilitation",
    title="Facilitation",
    description="A team meeting: everybody writes alone, then all see everything at once.",
    kinds=(TEAM, FACILITATION),
    routes="sitting.apps.facilitation.routes",
    templates="templates",
    home="/admin",
    create="/admin/teams/create",
    join="/join",
    pages={"team": "/admin/teams/{id}", "facilitation": "/admin/sessions/{id}"},
    demo="sitting.apps.facilitation.demo:play",
)
