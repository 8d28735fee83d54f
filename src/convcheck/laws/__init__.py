"""The law book: one module a chapter, two for the contract and for gradients, and all laws in an explicit tuple."""

from __future__ import annotations

from convcheck.laws import (
    algebra,
    contract,
    definition,
    geometry,
    gradients,
    history,
    locality,
    modes,
    symmetry,
    training,
)
from convcheck.laws.law import Law

__all__ = ["BY_NAME", "LAWS", "Law"]

LAWS: tuple[Law, ...] = (
    *definition.LAWS,
    *geometry.LAWS,
    *symmetry.LAWS,
    *algebra.LAWS,
    *locality.LAWS,
    *gradients.LAWS,
    *training.LAWS,
    *contract.LAWS,
    *history.LAWS,
    *modes.LAWS,
)
BY_NAME = {law.name: law for law in LAWS}
