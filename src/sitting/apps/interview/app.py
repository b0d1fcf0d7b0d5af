"""The application as the installation is told of it."""

from __future__ import annotations

from ...installation import App
from . import challenges, kind

APP = App(
    name="interview",
    title="Interviews",
    description="A candidate solves a challenge with the help of a model, under a time limit and a token budget.",
    kinds=(kind.KIND, challenges.KIND),
    routes="sitting.apps.interview.routes",
    templates="templates",
    home="/interviews",
    create="/interviews/new",
    pages={"interview": "/interviews/{id}", "challenge": "/challenges/{id}"},
    demo="sitting.apps.interview.demo:play",
)
