"""Commands that tell what there is: the laws, one law, the engines."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import click

__all__ = ["engines", "explain", "installed", "laws"]

ARRAYS = ("numpy", "torch", "jax")


@click.command()
def laws() -> None:
    """List the laws: name and equation, by chapter."""
    from convcheck.laws import LAWS

    room = max(len(law.name) for law in LAWS)
    chapter = ""
    for law in LAWS:
        if law.chapter != chapter:
            click.echo(("\n" if chapter else "") + law.chapter)
            chapter = law.chapter
        click.echo(f"  {law.name:<{room}}  {law.equation}")


@click.command()
@click.argument("law")
def explain(law: str) -> None:
    """Tell what a law says, of which maps, and what it needs of a target."""
    from convcheck.plan import select

    (found,) = select((law,), ())
    click.echo(f"{found.name} ({found.chapter})\n")
    click.echo(found.text + "\n")
    click.echo(f"maps      {', '.join(found.maps)}")
    for name, classes in found.needs.items():
        click.echo(f"needs     {name}: {', '.join(classes)}")
    click.echo(f"operands  {found.fills}")
    if found.requires:
        click.echo(f"requires  {found.requires}")
    if found.direct:
        click.echo("does not hold for engines that declare Winograd or FFT (--accuracy normwise)")


@click.command()
def engines() -> None:
    """List adapters and kinds of arrays, and whether each can be imported here."""
    from convcheck.engines.registry import ADAPTERS

    click.echo("Adapters (each may stand for TARGET):")
    for name in ADAPTERS:
        click.echo(f"  {name:<8}{installed(name)}")
    click.echo("\nArrays (--array):")
    for name in ARRAYS:
        click.echo(f"  {name:<8}{installed(name)}")
    click.echo("\nAny function: package.module:attribute, also from the current directory.")


def installed(name: str) -> str:
    """Version of a library, found without importing it: that may take seconds."""
    if find_spec(name) is None:
        return "not installed"
    try:
        return version(name)
    except PackageNotFoundError:
        return "installed, of unknown version"
