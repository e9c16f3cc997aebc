"""Prints the ledger: groups first, then tasks, then the estimates. Long tables are shortened; `--json` has
everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from openflan.cli.mixture_offline import print_left_out
from openflan.cli.output import next_command, print_counts, print_table
from openflan.mixture.left_out import rows_by_reason
from openflan.packing.capacity import REACH

CATEGORIES = 20
"""The number of categories to print without `--all`."""

TASKS = 40
"""The number of tasks to print without `--all`."""

LONGEST_NAME = 30
"""The number of characters of a task's name, so that the table has at most 120 columns."""

_SPANS = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0))


def print_ledger(
    arguments: Sequence[str], name: str, steps: int, ledger: Mapping[str, Any], *, everything: bool
) -> None:
    """Prints the ledger of the recipe called `name`; `everything` prints all tasks and categories.

    `arguments` are the recipe and its overrides, as on the command line.
    """
    tasks = sorted(ledger["tasks"], key=lambda row: -row["share"])
    typer.echo(
        f"{name}: {_number(len(tasks), 'task')}, {ledger['examples']:,} examples in "
        f"{_number(steps, 'step')}\n"
    )
    if ledger.get("unit") == "tokens":
        typer.echo(
            "rates are of tokens: tokens % is a task's share of them, share % how often it is drawn for "
            "that, by the estimated length of its examples\n"
        )
    _table("submixtures", "submixture", ledger["submixtures"], everything=True)
    if len(ledger["categories"]) > 1:
        _table("categories", "category", ledger["categories"], everything=everything, max_rows=CATEGORIES)
    _table("tasks", "task", tasks, everything=everything, max_rows=TASKS)
    _packing(ledger["measured"])
    print_counts("formats", ledger["measured"]["formats"])
    print_counts("of these", ledger["measured"]["counts"])
    places = Counter(row["place"] for row in tasks if row.get("place"))
    print_counts("tasks", {f"from {place}": count for place, count in places.items()})
    print_left_out(ledger["left_out"])
    reasons = rows_by_reason(row["left_out"] for row in tasks)
    print_counts("rows left out", {f"({reason})": count for reason, count in reasons.items()})
    print_counts("rows left out", _by_task(tasks, "refused"))
    print_counts("rows left out as overlaps", _by_task(tasks, "overlaps_dropped"))
    _notices(ledger)
    typer.echo()
    _capacities(ledger["capacities"], ledger["measured"]["examples"])
    print_estimates(ledger["estimates"], steps)
    next_command("finetune", *arguments)


def _notices(ledger: Mapping[str, Any]) -> None:
    """Prints what the vocabulary cannot write, and what the chat template makes of conversations."""
    from openflan.packing.unknown import unknown_line
    from openflan.training.conversations import conversation_lines

    unknown = ledger["measured"].get("unknown_targets")
    lines = [unknown_line(unknown)] if unknown else []
    for line in [*lines, *conversation_lines(ledger.get("conversations", {}))]:
        typer.echo(f"note: {line}")


def span(seconds: float) -> str:
    """A time in days, hours, minutes or seconds."""
    for unit, size in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.2g} seconds" if seconds < 10 else f"{seconds:,.0f} seconds"


def _table(
    title: str, key: str, rows: Sequence[Mapping[str, Any]], *, everything: bool, max_rows: int = 0
) -> None:
    printed = rows if everything else rows[:max_rows]
    groups = key != "task"
    by_tokens = bool(rows) and "token_share" in rows[0]
    columns = [
        key,
        *(["tasks"] if groups else []),
        "rows",
        *(["tokens %"] if by_tokens else ["over cap"]),
        "share %",
        "epochs",
        "drawn",
        "inputs",
        "targets",
        "truncated",
        "dropped",
        "pruned",
    ]
    print_table(title, columns, [_cells(row, key, groups) for row in printed])
    if len(printed) < len(rows):
        share = sum(row["share"] for row in rows[len(printed) :])
        typer.echo(
            f"and {len(rows) - len(printed):,} more with {share:.1%} of the mixture; --all prints them\n"
        )


def _cells(row: Mapping[str, Any], key: str, groups: bool) -> list[Any]:
    name = row[key] if groups or len(row[key]) <= LONGEST_NAME else f"{row[key][: LONGEST_NAME - 3]}..."
    tokens = [
        None if row[side] is None else round(row[side])
        for side in ("mean_input_tokens", "mean_target_tokens")
    ]
    counts = [row[what] for what in ("truncated", "dropped", "pruned_exemplars")]
    return [
        name,
        *([row["tasks"]] if groups else []),
        row["rows"],
        100 * row["token_share"] if "token_share" in row else row["hidden_by_cap"],
        100 * row["share"],
        row["epochs"],
        row["drawn"],
        *tokens,
        *counts,
    ]


def _packing(measured: Mapping[str, Any]) -> None:
    sides = (
        ""
        if measured["fill_inputs"] is None
        else f" ({measured['fill_inputs']:.1%} of inputs, {measured['fill_targets']:.1%} of targets)"
    )
    typer.echo(
        "over cap: rows above the cap, which do not count. The columns after epochs describe the first "
        "examples: how many were\ndrawn, their mean tokens, how many have truncated inputs, are dropped, or "
        "have pruned exemplars.\n"
    )
    typer.echo(
        f"packing, measured on {measured['examples']:,} examples: {measured['examples_per_row']:.1f} "
        f"examples a sequence, {measured['fill']:.1%} filled{sides}"
    )
    for side, lengths in measured["lengths"].items():
        typer.echo(
            f"{side} before truncation: mean {lengths['mean']:,.0f} tokens, "
            f"median {lengths['median']:,.0f}, 90 % up to "
            f"{lengths['p90']:,.0f}, "
            f"99 % up to {lengths['p99']:,.0f}, longest {lengths['longest']:,}"
        )


def _capacities(proposals: Sequence[Mapping[str, Any]], examples: int) -> None:
    """Prints each pair of capacities once, with the lowest loss that it was proposed for."""
    pairs = {(proposal["inputs"], proposal["targets"]): proposal for proposal in proposals}
    sided = proposals[0]["fill_inputs"] is not None
    columns = [
        "packing.inputs",
        "packing.targets",
        "touched %",
        "examples a sequence",
        "filled %",
        *(["inputs %", "targets %"] if sided else []),
    ]
    rows = [
        [
            str(proposal["inputs"]),
            str(proposal["targets"]),
            100 * proposal["touched"],
            proposal["examples_per_row"],
            100 * proposal["fill"],
            *([100 * proposal["fill_inputs"], 100 * proposal["fill_targets"]] if sided else []),
        ]
        for _, proposal in sorted(pairs.items())
    ]
    losses = ", ".join(f"{loss:.1%}" for loss in dict.fromkeys(proposal["loss"] for proposal in proposals))
    typer.echo(
        f"Capacities that truncate, drop or prune at most {losses} of {examples:,} examples: the smallest, "
        f"and the fullest up to {REACH} times that."
    )
    print_table("capacities", columns, rows)


def print_estimates(estimates: Mapping[str, Any], steps: int) -> None:
    """Prints a ledger's estimates of memory and time."""
    memory = estimates["memory"]
    parts = " + ".join(
        f"{_size(memory[part])} {part}"
        for part in ("weights", "gradients", "optimizer", "activations", "logits")
    )
    typer.echo("estimates, from the configuration and not from a run:")
    typer.echo(
        f"  memory on a device, {_number(estimates['rows_at_a_time'], 'row')} at a time in "
        f"{estimates['precision']}: {_size(memory['total'])} GB"
    )
    typer.echo(f"    = {parts}")
    typer.echo(f"    a dense attention mask adds {_size(memory['attention_scores'])} GB{_fits(estimates)}")
    typer.echo(
        f"  arithmetic: {estimates['flops']:.1e} FLOPs for {estimates['tokens']:,} tokens through "
        f"{estimates['parameters']:,} parameters, by Table 2's rule;\n"
        f"    {estimates['full_row_flops']:.1e} if rows were full, as the paper counts"
    )
    if estimates["seconds"] is None:
        typer.echo("  time: name a device, such as --device h100 --devices 8")
    else:
        num_devices = f"{estimates['devices']:,} x " if estimates["devices"] > 1 else ""
        typer.echo(
            f"  time: {span(estimates['seconds'])} for {_number(steps, 'step')} on "
            f"{num_devices}{estimates['device']}, at {estimates['mfu']:.0%} of "
            f"{estimates['device_tflops']:,g} TFLOP/s (--mfu)"
        )
    typer.echo("  assumed:")
    for assumption in estimates["assumptions"]:
        typer.echo(f"    {assumption}")


def _fits(estimates: Mapping[str, Any]) -> str:
    """Say if training fits the device's memory, with the dense mask and without it."""
    if estimates["device_memory"] is None:
        return ""
    without_mask, with_mask, available = (
        estimates["memory"]["total"],
        estimates["memory"]["total"] + estimates["memory"]["attention_scores"],
        estimates["device_memory"],
    )
    verdict = (
        "fits"
        if with_mask <= available
        else "fits without the mask only"
        if without_mask <= available
        else "does not fit; lower `training.micro_batch_size`"
    )
    return f"; of {_size(available)} GB on {estimates['device']}: {verdict}"


def _size(count: int) -> str:
    gigabytes = count / 1e9
    return f"{gigabytes:,.0f}" if gigabytes >= 100 else f"{gigabytes:.3g}"


def _by_task(tasks: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    return {f"of {row['task']}": row[key] for row in tasks}


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
