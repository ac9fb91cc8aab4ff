"""The HTTP service: `create_app` makes it over an open engine, with `Settings`.

app.py        the application: what is put together, in which order
settings.py   what it can be told, and where it reads it
service.py    what every request may use: engine, settings, work, jobs, metrics
guard.py      who may ask, how often, and how much: by keys.py, clients.py, rates.py, bodies.py
protocol.py   below HTTP: what is none, and what does not arrive; ending.py: above it, that the process ends
headers.py    what every answer tells browsers; head.py: HEAD; content.py: types of bodies
observing.py  the outermost layer: request ids, one line in the log for each request, counts
metrics.py    what /metrics shows
logs.py       how the log is written
readiness.py  whether model and index are there
jobs.py       indexing at a client's wish; roots.py: of which folders
work.py       threads for what blocks, and a limit on what waits
problems.py   every error as a problem document
schemas.py    requests and responses of searches
resources.py  responses about images and the whole index
openapi.py    what the OpenAPI document says beyond what the routes say
cursors.py    where the next page begins
files.py      pictures as answers: what a client has already, ranges; pictures.py: their types
kept.py       slow answers, kept while the index stays as it is
routes/       one module a kind of resource; page.py serves the web page, which lies in api/web/
"""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
