"""The application as the installation is told of it."""

from __future__ import annotations

from ...installation import App
from . import kind

APP = App(
    name="solve",
    title="Solve",
    description="From a problem that weighs on you to one concrete first step. A thinking aid, not therapy.",
    kinds=(kind.KIND,),
    routes="sitting.apps.solve.routes",
    templates="templates",
    home="/solve",
    create="/solve",
    pages={"solve": "/solve/{id}"},
    demo="sitting.apps.solve.demo:play",
)
