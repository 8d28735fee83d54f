"""A case: one law, one map, one problem and the fills of its operands, on one line that prints, parses and replays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import ceil, log2, prod
from typing import Any, Self

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.errors import ParseError
from convcheck.layouts import LAYOUTS
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.space import Chooser

__all__ = ["RECIPES", "Case", "choose_fills"]

Fills = tuple[Fill, ...]

#: letters of the operands on a case line
LETTERS = {"x": "x", "w": "w", "y": "gy", "bias": "b", "xbias": "b"}


@dataclass(frozen=True)
class Case:
    """One judgement, whole: ``flip-relates f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 x=ramp w=impulse@0,0,0,1``.

    ``fills`` belong to the map's two roles, and to the bias where the problem has one.
    """

    law: str
    problem: Problem
    fills: Fills
    map: Map = Map.FORWARD

    def replace(self, **changes: Any) -> Self:
        """Return the case with some fields changed."""
        return replace(self, **changes)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the operands, in the order of the fills."""
        return (*self.map.roles, *((self.map.bias,) if self.problem.bias else ()))

    def operands(self) -> Operands:
        """Make the operands."""
        return Operands(*(make(self.problem, r, f) for r, f in zip(self.roles, self.fills, strict=True)))

    def __str__(self) -> str:
        """One line, from which `parse` makes an equal case."""
        law = self.law if self.map is Map.FORWARD else f"{self.law}@{self.map}"
        problem = str(self.problem.replace(bias=False))
        fills = (f"{LETTERS[r]}={f}" for r, f in zip(self.roles, self.fills, strict=True))
        return " ".join([law, problem, *fills])

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what ``str`` wrote.

        Raises
        ------
        ParseError
            If the line is no case; the message shows what cannot be read.
        """
        words = line.split()
        if not words:
            raise ParseError("an empty line is no case")
        if len(words) < 2:
            raise ParseError(f"{line!r} is no case, which has a law, a problem and operands, as a report prints it")
        law, _, which = words[0].partition("@")
        if which and which not in set(Map):
            raise ParseError(f"{which!r} is no map; there are {', '.join(Map)}")
        given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        asked = Map(which or Map.FORWARD)
        role_of = {LETTERS[role]: role for role in (*asked.roles, asked.bias)}
        unknown = set(given) - set(role_of)
        if unknown:
            raise ParseError(f"{', '.join(sorted(unknown))} in {line!r}: operands are {', '.join(role_of)}")
        fills = {role_of[letter]: Fill.parse(text) for letter, text in given.items()}
        problem = Problem.parse(" ".join(w for w in words[1:] if "=" not in w)).replace(bias=asked.bias in fills)
        case = cls(law, problem, (), asked)
        missing = [LETTERS[role] for role in case.roles if role not in fills]
        if missing:
            raise ParseError(f"{line!r} does not say how {' and '.join(missing)} is filled")
        return case.replace(fills=tuple(fills[role] for role in case.roles))


def check_law_name(name: str, known: list[str]) -> None:
    """Raise a `ParseError`, unless a law is called so."""
    if name not in known:
        raise ParseError(no_law(name, known))


def no_law(name: str, known: list[str]) -> str:
    """Say that no law has a name, and which one's is the nearest."""
    near = get_close_matches(name.lower().replace("_", "-"), known, n=1)
    return f"no law is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def choose_fills(
    recipe: str,
    choose: Chooser,
    which: Map,
    problem: Problem,
    numerics: Numerics,
    headroom: int = 0,
    turn: int | None = None,
) -> Fills:
    """Choose the fills of a problem's operands by a recipe, as large as exactness allows.

    What even a few cases should show all of is taken in turn, by the number of the case in its stream.
    """
    return RECIPES[recipe](_Budget(choose, which, problem, numerics, headroom, turn))


@dataclass(frozen=True)
class _Budget:
    """How many bits the operands of a problem may have between them, so that all sums stay exact."""

    choose: Chooser
    which: Map
    problem: Problem
    numerics: Numerics
    headroom: int = 0
    turn: int | None = None

    def bits(self, *, stored: bool) -> int:
        """Bits for a and b together; ``stored``: so few that the output's own type holds every sum."""
        dtype = DTYPES[self.problem.dtype]
        precision = min(
            DTYPES[self.numerics.accumulator(dtype.name, self.which)].precision, 15 if dtype.name == "f16" else 62
        )
        if stored or self.problem.bias or self.numerics.splits:
            precision = min(precision, dtype.precision)
        if dtype.kind == "c":  # (xr + xi) (wr + wi), from which some take the imaginary part, and a sum of three
            precision -= 3
        terms = self.problem.terms(self.which) + self.problem.bias
        return precision - ceil(log2(max(1, terms))) - self.headroom

    @property
    def extremes_fit(self) -> bool:
        """Whether results may be the integer of the dtype that is farthest from zero: nothing is added to it."""
        return DTYPES[self.problem.dtype].kind == "i" and not self.problem.bias and self.which is Map.FORWARD

    def seed(self) -> int:
        return self.choose.integer(0, 255)

    def integers(self, kinds: tuple[str, str], *, stored: bool, most: int = 62) -> Fills:
        """Dense integers, the budget split at random: a long a and a short b show what an even split never does."""
        bits = min(self.bits(stored=stored), most)
        if bits < 0 and DTYPES[self.problem.dtype].kind == "i":
            return self.single_terms()
        longest = self.numerics.bits_taken(self.problem.dtype) - self.headroom
        share = max(0, min(self.choose.integer(0, max(0, bits)), longest))
        rest = max(0, min(bits - share, longest))
        limits = [_limit(self.choose, b) for b in (share, rest)]
        shapes = (self.problem.shapes[role] for role in self.which.roles)
        fitting = (kind if _fits(kind, shape) else "dense" for kind, shape in zip(kinds, shapes, strict=True))
        return self.with_bias(*(Fill(k, limit, self.seed()) for k, limit in zip(fitting, limits, strict=True)))

    def single_terms(self) -> Fills:
        """One 1 an image, so that no sum has two terms: of a short integer type, even ones would overflow."""
        spare = DTYPES[self.problem.dtype].precision - self.headroom - self.problem.bias
        return self.with_bias(Fill("taps", seed=self.seed()), Fill("dense", 2**spare - 1, self.seed()))

    def with_bias(self, a: Fill, b: Fill) -> Fills:
        if not self.problem.bias:
            return (a, b)
        kind = "sparse" if "sparse" in (a.kind, b.kind) else "dense"
        return (a, b, Fill(kind, max(1, min(a.limit * b.limit, 100)), self.seed()))


def _limit(choose: Chooser, bits: int) -> int:
    """Return a largest magnitude of at most so many bits: often all of them, and often a small number."""
    most = max(1, 2**bits - 1) if bits < 62 else 2**61
    return min(most, choose.pick((3, most, 1, most, 7)))


def _fits(kind: str, shape: tuple[int, ...]) -> bool:
    """Whether there is room for a kind of fill: a sparse one of one element is zero, a structured one may be."""
    return {"sparse": prod(shape), "structured": prod(shape[1:])}.get(kind, 2) > 1


#: kinds of both operands; a structured one is the weight of two maps, and the input of the third
_EXACT = (
    *(("dense", "dense"),) * 11,
    *(("ramp", "dense"),) * 6,
    *(("sparse", "sparse"),) * 2,
    ("sparse", "dense"),
    ("dense", "sparse"),
    *(("dense", "structured"),) * 3,
)


def _exact(budget: _Budget) -> Fills:
    kinds = budget.choose.pick(_EXACT)
    if "ramp" in kinds and budget.bits(stored=False) < 22:
        kinds = ("dense", "dense")
    if "ramp" in kinds:
        return budget.with_bias(Fill("ramp"), Fill("dense", 1, budget.seed()))
    fills = budget.integers(kinds, stored=False)
    layout = budget.choose.pick(("contiguous",) * 7 + ("guarded",))
    return tuple(fill.replace(layout=layout) for fill in fills)


def _defining(budget: _Budget) -> Fills:
    """Exact operands, and now and then the most extreme integer of a dtype in either: other laws would overflow."""
    return _exact(budget) if budget.choose.integer(0, 5) or not budget.extremes_fit else _extremes(budget)


def _extremes(budget: _Budget) -> Fills:
    """The most extreme integer of a dtype everywhere, against ones so far apart that no sum has two terms."""
    extreme, taps = Fill("extreme"), Fill("taps", seed=budget.seed())
    return budget.choose.pick(((extreme, taps), (taps, extreme)))


def _of_layers(budget: _Budget) -> Fills:
    """Operands of which no zero and no rounding hides a term; of integers, the most extreme as often."""
    return _extremes(budget) if budget.extremes_fit and budget.choose.integer(0, 1) else _strict(budget)


def _strict(budget: _Budget) -> Fills:
    return budget.integers(("dense", "dense"), stored=True)


def _float(budget: _Budget) -> Fills:
    """Floats of several kinds; of integers, what no sum of overflows."""
    if DTYPES[budget.problem.dtype].kind == "i":
        return _exact(budget)
    kinds = ("normal", "positive", "wide") * 2 + ("constant",)
    a, b = (Fill(budget.choose.pick(kinds), seed=budget.seed()) for _ in range(2))
    return (a, b, *([Fill("normal", seed=budget.seed())] if budget.problem.bias else []))


def _scalable(budget: _Budget) -> Fills:
    """Floats, but for f16, whose range is so narrow that sums of floats become subnormal."""
    return budget.integers(("dense", "dense"), stored=True) if budget.problem.dtype == "f16" else _float(budget)


def _layouts(budget: _Budget) -> Fills:
    """Exact operands laid out in every way in turn: the first one's layouts, the second one's, then pairs of them."""
    names, fills = tuple(LAYOUTS), _exact(budget)
    turn = budget.choose.integer(0, len(names) ** 2 - 1) if budget.turn is None else budget.turn
    rounds, which = divmod(turn, len(names))
    if rounds < 2:  # beside a bias in any layout, which nobody reads together with the others
        turns = [which if n == rounds else 0 for n in range(2)] + [(which + 1) % len(names)]
        return tuple(f.replace(layout=names[turn]) for f, turn in zip(fills, turns, strict=False))
    step = rounds - 1
    return tuple(f.replace(layout=names[(which + n * step) % len(names)]) for n, f in enumerate(fills))


def _cancelling(budget: _Budget) -> Fills:
    """Large terms in pairs of opposite sign; the pairs lie along an axis that the map sums over."""
    axes = {
        Map.FORWARD: (1, 1),  # channels
        Map.GRAD_INPUT: (1, 0),  # filters
        Map.GRAD_WEIGHT: budget.choose.pick(((0, 0), (2, 2))) if budget.problem.batch > 1 else (2, 2),
    }[budget.which]
    spare = replace(budget, headroom=budget.headroom + 1)  # one of a pair may be larger by one than its limit
    return spare.integers((f"paired{axes[0]}", f"opposed{axes[1]}"), stored=False)


RECIPES: dict[str, Callable[[_Budget], Fills]] = {
    "none": lambda budget: tuple(Fill("zeros") for _ in range(2 + budget.problem.bias)),
    "exact": _exact,
    "defining": _defining,
    "layers": _of_layers,
    "strict": _strict,
    "tiny": lambda budget: budget.integers(("dense", "dense"), stored=True, most=4),
    "float": _float,
    "scalable": _scalable,
    "layouts": _layouts,
    "cancelling": _cancelling,
}
