"""Which derivatives a function has: of its own library, or written by hand, as a probe of a sample finds them."""

from __future__ import annotations

from dataclasses import replace

from convcheck.engines.backward import Backward, by_hand, offered_roles
from convcheck.engines.caller import Caller
from convcheck.engines.derivatives import Derivatives, limited, probed
from convcheck.engines.facts import Facts, Watch

__all__ = ["GRADIENT_PROBE", "described", "found_again", "sought"]

#: stands for the style in the announcement of a probe, where gradients are probed
GRADIENT_PROBE = "gradient"


def sought(facts: Facts, caller: Caller, backward: Backward | None, watch: Watch) -> Facts:
    """Return facts with what was found out about a caller's derivatives; nothing, where an earlier probe was deadly."""
    probe = f"{facts.kind} {GRADIENT_PROBE} {facts.problem}"
    primary, bias = caller.primary, "bias" in facts.features
    if probe in watch.avoid:
        return replace(facts, gradients=primary.roles)  # for the laws to judge
    watch.announce(probe)
    if backward:
        return replace(facts, gradients=offered_roles(backward, caller, facts.problem, bias=bias))
    everything = _of_library(caller)
    found = everything and probed(everything, primary, facts.problem, bias=bias)
    return replace(facts, gradients=found.roles, twice=found.second is not None) if found else facts


def found_again(facts: Facts, caller: Caller, backward: Backward | None) -> Derivatives | None:
    """Return the derivatives that facts tell of."""
    if not facts.gradients:
        return None
    everything = by_hand(backward, caller) if backward else _of_library(caller)
    return limited(everything, facts.gradients, second=facts.twice, bias="bias" in facts.features)


def _of_library(caller: Caller) -> Derivatives | None:
    """Return all derivatives that the library of a caller's arrays has of any function."""
    if caller.kind.name == "torch":
        from convcheck.engines.torch_gradients import by_autograd

        return by_autograd(caller)
    if caller.kind.name == "jax":
        from convcheck.engines.jax_gradients import by_jax

        return by_jax(caller)
    return None


def described(derivatives: Derivatives | None) -> str:
    """Return a note for the user."""
    if derivatives is None:
        return "none offered"
    return derivatives.how + (", twice" if derivatives.second else "")
