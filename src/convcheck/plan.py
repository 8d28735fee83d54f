"""What a run does, cut into slices: the same cases for a given seed, however many workers share them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Self

from convcheck.cases import Case, choose_fills, no_law
from convcheck.covering import Row, rows
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.errors import UsageError
from convcheck.laws import BY_NAME, LAWS
from convcheck.laws.law import MINUTES, SECONDS, Law
from convcheck.problem import Map, Problem
from convcheck.space import Chooser, Space, geometries, network_layers, seeded, varied

__all__ = ["PROFILES", "Profile", "Slice", "cases_of", "profile_named", "slices"]

#: cases in a slice: small enough to share a law between workers, large enough for starting one not to count
CHUNK = 250


@dataclass(frozen=True)
class Profile:
    """How much a run does.

    A law is judged, on each map that it speaks of, on rows that cover all pairs of classes (none if ``pairs`` is
    false), then on ``random`` free choices, then on ``search`` examples that Hypothesis draws. The laws that
    certify an engine (`CERTIFYING`) get ``triples``, of the target's own call, and ``certifying`` free choices
    instead, and layers as ``networks`` have them. Of a law that exhausts a scope, it is judged on one problem in
    ``scope``. Laws that take more than their cases are judged where the profile ``affords`` it. ``seconds`` bounds
    the run, and ``shrink_seconds`` making one case smaller. Only a run without ``seconds`` is the same every time.
    """

    name: str
    pairs: bool
    triples: bool
    random: int
    certifying: int
    search: int
    scope: int = 1
    networks: bool = False
    affords: tuple[str, ...] = (SECONDS,)
    seconds: float = 0.0
    shrink_seconds: float = 10.0

    def replace(self, **changes: Any) -> Self:
        """Return the profile with some fields changed."""
        return replace(self, **changes)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "smoke",
            pairs=False,
            triples=False,
            random=12,
            certifying=200,
            search=0,
            scope=16,
            networks=True,
            affords=(),
        ),
        Profile("gate", pairs=True, triples=True, random=36, certifying=1800, search=4, networks=True),
        Profile(
            "nightly",
            pairs=True,
            triples=True,
            random=2000,
            certifying=20_000,
            search=500,
            networks=True,
            affords=(SECONDS, MINUTES),
        ),
    )
}
CERTIFYING = ("definition",)


def profile_named(name: str) -> Profile:
    """Return a profile by name.

    Raises
    ------
    UsageError
        If there is none; the message lists them.
    """
    if name not in PROFILES:
        raise UsageError(f"no profile is called {name!r}; there are {', '.join(PROFILES)}")
    return PROFILES[name]


@dataclass(frozen=True)
class Slice:
    """Cases ``start`` to ``stop`` of one stream of one law on one map: a worker's unit of work.

    The stream is ``sweep`` (``rows`` of classes, one a case), ``networks`` (layers as networks have them), ``random``,
    ``scope`` (every problem of a scope) or ``search``.
    """

    law: str
    map: Map
    stream: str
    start: int
    stop: int
    rows: tuple[Row, ...] = field(default=(), compare=False, repr=False)

    def cut(self, start: int, stop: int) -> Self:
        """Return the cases from one number to another."""
        rows = self.rows[start - self.start : stop - self.start]
        return replace(self, start=start, stop=stop, rows=rows)


def slices(engine: Engine, laws: tuple[Law, ...], profile: Profile) -> Iterator[Slice]:
    """All slices of a run, law by law in the order of the book."""
    for law in laws:
        for which in law.maps_of(engine.capabilities):
            for whole in _streams(engine, law, which, profile):
                for start in range(0, whole.stop, CHUNK):
                    yield whole.cut(start, min(whole.stop, start + CHUNK))


def _streams(engine: Engine, law: Law, which: Map, profile: Profile) -> Iterator[Slice]:
    """Every stream of a law, whole."""
    part = partial(Slice, law.name, which)
    if law.every is not None:
        yield part("scope", 0, len(_scope(law, engine.capabilities, profile)))
    elif Space.of(engine.capabilities, law, which).lacking or law.why_not(engine):
        return
    elif law.few:
        yield part("random", 0, min(law.few, profile.random))
    else:
        certifies = law.name in CERTIFYING
        table = _rows(engine, law, which, profile)
        yield part("sweep", 0, len(table), table)
        yield part("networks", 0, len(_networks(engine, law, which)) if certifies and profile.networks else 0)
        yield part("random", 0, profile.certifying if certifies else profile.random)
        yield part("search", 0, profile.search)


def _rows(engine: Engine, law: Law, which: Map, profile: Profile) -> tuple[Row, ...]:
    if not profile.pairs:
        return ()
    certifies = law.name in CERTIFYING and which is engine.capabilities.primary
    strength = 3 if profile.triples and (certifies or profile.name == "nightly") else 2
    return rows(tuple(Space.of(engine.capabilities, law, which).table.items()), strength)


def _networks(engine: Engine, law: Law, which: Map) -> tuple[Problem, ...]:
    return network_layers(engine.capabilities, which, _work(engine, law))


def _work(engine: Engine, law: Law) -> int:
    """Multiply-adds that a problem may have."""
    return min(law.work, engine.capabilities.work_limit)


def _scope(law: Law, offered: Capabilities, profile: Profile) -> tuple[Problem, ...]:
    """The problems of a law that exhausts a scope."""
    assert law.every is not None  # noqa: S101 - only such laws have this stream
    return _every(law.every, offered)[:: profile.scope]


@cache
def _every(every: Callable[[Capabilities], Iterator[Problem]], offered: Capabilities) -> tuple[Problem, ...]:
    return tuple(every(offered))


def cases_of(engine: Engine, part: Slice, profile: Profile, seed: int) -> Iterator[Case]:
    """Cases of a slice of a sweep, of free choices, or of a scope; `convcheck.search` draws the others."""
    law = BY_NAME[part.law]
    if part.stream == "scope":
        for problem in _scope(law, engine.capabilities, profile)[part.start : part.stop]:
            yield _filled(seeded(0), engine, law, part.map, problem, 0)
        return
    space = Space.of(engine.capabilities, law, part.map)
    for index in range(part.start, part.stop):
        choose = seeded(f"{seed}/{part.law}/{part.map}/{part.stream}/{index}")
        problem = _problem(choose, engine, space, part, index)
        # of a layer there is one case only
        yield _filled(choose, engine, law, part.map, problem, index, "layers" if part.stream == "networks" else "")


def _problem(choose: Chooser, engine: Engine, space: Space, part: Slice, index: int) -> Problem:
    """Build a problem of a row of a sweep, as a layer of a network, or free.

    Of free ones, every third of a certifying law is built around a layer's geometry, and those of laws about layouts
    have axes that may be mistaken for each other.
    """
    law, offered = BY_NAME[part.law], engine.capabilities
    if part.stream == "networks":
        layer = _networks(engine, law, part.map)[index]
        return varied(choose, layer, offered, part.map, _work(engine, law))
    if part.stream == "sweep":
        return space.build(choose, part.rows[index - part.start])
    known = geometries(offered) if part.law in CERTIFYING and index % 3 == 2 else ()
    problem = space.build_around(choose, choose.pick(known)) if known else space.build(choose)
    return space.alike(problem) if law.fills == "layouts" else problem


def _filled(
    choose: Chooser, engine: Engine, law: Law, which: Map, problem: Problem, turn: int, recipe: str = ""
) -> Case:
    fills = choose_fills(recipe or law.fills, choose, which, problem, engine.numerics, law.headroom, turn)
    return Case(law.name, problem, fills, which)


def select(names: Sequence[str], without: Sequence[str]) -> tuple[Law, ...]:
    """Laws by name, all where none is named, less those to leave out.

    Raises
    ------
    UsageError
        If a name is no law's; the message suggests the nearest. Or if a text stands where names should, or no law is
        left.
    """
    for given in (names, without):
        if isinstance(given, str):
            raise UsageError(f"laws are given by several names, as in [{given!r}], not by {given!r}")
    for name in (*names, *without):
        if name not in BY_NAME:
            raise UsageError(no_law(name, list(BY_NAME)))
    chosen = tuple(law for law in LAWS if (not names or law.name in names) and law.name not in without)
    if not chosen:
        raise UsageError(f"no law is left of {', '.join(names) or 'all'} without {', '.join(without)}")
    return chosen
