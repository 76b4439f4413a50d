"""The commands ``thalweg contest``: the tasks, a try on public problems, a judgment on withheld ones, and the board."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from thalweg.contest.board import BoardRow
    from thalweg.contest.rules.task import ContestTask

commands = typer.Typer(
    no_args_is_help=True, help="Five tasks with withheld parts, and the board of all entries."
)

TaskName = Annotated[
    str, typer.Argument(help="A task, as ``thalweg contest tasks`` names it.", show_default=False)
]
EntryFile = Annotated[
    Path,
    typer.Argument(
        help="One Python file with fit(given) and answer(model, asked).", exists=True, show_default=False
    ),
]
BoardFolder = Annotated[
    Path, typer.Argument(help="Folder of the board's rows.", exists=True, show_default=False)
]


@commands.command("tasks")
def tasks_of_contest(
    name: Annotated[
        str | None, typer.Argument(help="One task, with all its rules.", show_default="all")
    ] = None,
) -> None:
    """What there is to enter, and by which rules."""
    from thalweg.contest.listing import TASKS, task_named

    told = Console(soft_wrap=True)
    for task in TASKS if name is None else (task_named(name),):
        told.print(f"{task.name}: {task.title}", markup=False, highlight=False)
        for verb, arrays in (("gets", task.gets), ("gives", task.gives)) if name else ():
            for array, words in arrays.items():
                told.print(f"  {verb} {array}: {words}", markup=False, highlight=False)
        if name:
            told.print(
                f"  score: {task.scored}; mean of {task.problems} problems", markup=False, highlight=False
            )
            told.print(f"  limits of one problem: {task.limits.in_words()}", markup=False, highlight=False)


@commands.command("try")
def try_entry(task: TaskName, entry: EntryFile) -> None:
    """Score an entry on public problems, as a judge would on withheld ones; nothing is written."""
    from thalweg.contest.judging import PUBLIC

    _finish(_judged(task, entry, PUBLIC), task)


@commands.command("judge")
def judge_entry(
    task: TaskName,
    entry: EntryFile,
    board: Annotated[Path, typer.Option(help="Folder of the board's rows.", show_default=False)],
    seed_file: Annotated[
        Path,
        typer.Option(
            help="File with the secret of the withheld problems; - is standard input.", show_default=False
        ),
    ],
) -> None:
    """Judge an entry on withheld problems and add its row to a board, scored or refused."""
    from thalweg.contest.board import Board
    from thalweg.contest.jail.protection import strongest

    if str(seed_file) != "-" and not strongest().files:
        raise ValueError(
            f"{strongest().in_words()}, {seed_file} too; give the secret by standard input (--seed-file -) and keep it "
            "from this user, or install bubblewrap"
        )
    secret = sys.stdin.buffer.read() if str(seed_file) == "-" else seed_file.read_bytes()
    row = _judged(task, entry, secret.strip() or b"empty")
    path = Board(board).add(row)
    typer.echo(f"row: {path}")
    _finish(row, task)


@commands.command("board")
def page_of_board(
    folder: BoardFolder,
    out: Annotated[
        Path | None, typer.Option(help="The page.", show_default="board.html in the folder")
    ] = None,
) -> None:
    """Write the page of a board."""
    from thalweg.contest.board import Board
    from thalweg.contest.board_page import board_page
    from thalweg.machine.whole_files import write_whole

    page = folder / "board.html" if out is None else out
    write_whole(page, board_page(Board(folder).rows()))
    typer.echo(f"board: {page}")


def _judged(task: str, entry: Path, secret: bytes) -> BoardRow:
    from thalweg.contest.entry import Entry
    from thalweg.contest.judging import judge
    from thalweg.contest.listing import task_named

    found, taken = task_named(task), Entry.read(entry)
    with Console(stderr=True).status(taken.name) as status:
        return judge(found, taken, secret, progress=lambda what, part: status.update(what))


def _finish(row: BoardRow, task: str) -> None:
    """Say what a row says; a refusal ends with exit code 1."""
    from thalweg.contest.listing import task_named

    told = Console(soft_wrap=True)
    told.print(_in_words(row, task_named(task)), markup=False, highlight=False)
    told.print(f"behind {row.protection}", markup=False, highlight=False)
    if row.cause:
        raise typer.Exit(1)


def _in_words(row: BoardRow, task: ContestTask) -> str:
    from thalweg.report.rounding import with_error

    cost = f"{row.cpu:.1f} s of processor time, {row.memory / 1e6:.0f} MB"
    if row.value is None:
        return f"{row.entry} is refused: {row.cause} ({cost})"
    better = "larger" if task.larger_is_better else "smaller"
    score = with_error(row.value, row.error or 0.0, task.unit)
    return f"{row.entry}: {score} ({better} is better; {task.scored}); {cost}"
