"""Simulate a fleet of gates through days of a city, with the courier's real logic.

Networks, disks and time are simulated; docs/fleet.md describes the model.

    python -m tests.simulation.fleet --gates 200 --days 2        # gates of every kind
    python -m tests.simulation.fleet --gates 20 --life steady    # no outage, no power cut
    python -m tests.simulation.fleet --gates 20000 --days 0.0834 --life outage
                                                                 # the server is away for an hour
"""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.fleet.city import DAY_S, City, CityPlan
from tests.simulation.fleet.fleet import CITY_OUTAGE, FleetPlan, run
from tests.simulation.fleet.lives import Span
from tests.simulation.fleet.report import as_json, draw, report_of


@click.command(
    epilog="Example: python -m tests.simulation.fleet --gates 200 --days 2 --json build/fleet.json"
)
@click.option("--gates", type=click.IntRange(1, 100_000), default=200, show_default=True)
@click.option("--days", type=click.FloatRange(0.01, 60), default=1.0, show_default=True)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="The same one gives the same numbers."
)
@click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(1, 3_600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
)
@click.option(
    "--every",
    "every_s",
    type=click.IntRange(1, 3_600),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="The city publishes so often.",
)
@click.option(
    "--changes",
    type=click.IntRange(0, 5_000_000),
    default=150_000,
    show_default=True,
    help="Cards that change in a day.",
)
@click.option(
    "--life",
    type=click.Choice(["any", "steady", "outage"]),
    default="any",
    show_default=True,
    help="Of the gates; outage: the city's server is away from the 20th minute on.",
)
@click.option(
    "--outage-minutes",
    type=click.FloatRange(1, 14 * 1_440),
    default=60.0,
    show_default=True,
    help="With --life outage.",
)
@click.option("--jobs", type=click.IntRange(1), help="Processes; otherwise one a core.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the numbers there.",
)
def main(
    gates: int,
    days: float,
    seed: int,
    poll_s: float,
    every_s: int,
    changes: int,
    life: str,
    outage_minutes: float,
    jobs: int | None,
    json_file: Path | None,
) -> None:
    """Simulate a fleet; print its traffic, the server's load, delays of lists, and snapshots."""
    outage = Span(CITY_OUTAGE.start_s, CITY_OUTAGE.start_s + outage_minutes * 60)
    if life == "outage" and days * DAY_S <= outage.end_s:
        raise click.UsageError(
            f"the outage ends after {outage.end_s / DAY_S:.3f} days: give more --days than that"
        )
    plan = CityPlan(days=days, publish_every_s=every_s, changes_a_day=changes, seed=seed)
    fleet = FleetPlan(gates, poll_s, seed, life, outage)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as progress:
        task = progress.add_task("the city", total=gates)
        progress.refresh()
        city = City(plan)
        progress.update(task, description="gates")

        def advance(done: int) -> None:
            progress.advance(task, done)
            progress.refresh()

        counted = run(city, fleet, jobs=jobs, progress=advance)
    report = report_of(counted, plan, fleet)
    draw(report, Console(width=110))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_bytes(as_json(report))


if __name__ == "__main__":
    main()
