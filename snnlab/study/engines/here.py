"""The engine in this process: cells of one structure in one program, a block of them at a time, round by round.

A round is an epoch of every cell, coarse to fine, so that the map is there at once and then sharpens. Rows are written
at once; checkpoints every few seconds and when a cell is over, because saving all cells after each epoch would cost as
much as training them.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from snnlab.errors import SnnlabError, WriteError
from snnlab.study import saved
from snnlab.study.agenda import Agenda, Task
from snnlab.study.blocks import Blocks
from snnlab.study.cells import Fate
from snnlab.study.engines import Job
from snnlab.study.findings import Examiner, is_due
from snnlab.study.population import Groups, Member, Population
from snnlab.study.space import Index
from snnlab.study.stopping import has_rule
from snnlab.study.work import compute, reason, row_of, settle_diverged, settle_silent

EVERY = 20.0  # seconds between two checkpoints of a cell, about
MOST_BYTES = 2**29  # of the cells that are kept in memory between their rounds


def run(job: Job, should_stop: Callable[[], bool], blocks: Blocks | None = None) -> None:
    """See `snnlab.study.engines.Engine`; `blocks` says how cells are shared out."""
    blocks = Blocks.of() if blocks is None else blocks
    here = _Here(job, should_stop, blocks)
    job.requests.heard = True
    alone = isinstance(job.folder.plan.model, str)  # nothing is known of the structure of a model of your own
    agenda = job.agenda(here.cells, None if alone else 1)
    groups = (lambda index: index) if alone else Groups(job.folder.plan, job.data)
    try:
        while not should_stop():
            for index, why in agenda.given_up():
                here.give_up(index, why)
            here.answer()
            task = agenda.next(blocks.cells, groups)
            if task is None:
                break
            here.say(task)
            if alone:
                here.compute_alone(task.cells[0], task.until)
            else:
                here.compute(task, groups(task.cells[0]))
            here.tell(task, agenda)
    finally:
        here.save_all()
        job.requests.heard = False
        here.answer()


class _Here:
    """What is in memory of a study while it is computed.

    Attributes:
        cells: what is known of each cell.
    """

    def __init__(self, job: Job, should_stop: Callable[[], bool], blocks: Blocks):
        self._job, self._folder, self._plan = job, job.folder, job.folder.plan
        self._should_stop, self._blocks = should_stop, blocks
        self.cells = job.folder.cells()
        self._populations: dict[tuple, tuple[Population, Examiner]] = {}
        self._members: dict[Index, tuple[Member, Population]] = {}
        self._saved: dict[Index, tuple[float, tuple[int, int]]] = {}  # when each was saved last, and where it was

    def say(self, task: Task) -> None:
        """Tell that cells are computed now."""
        for index in task.cells:
            self.cells[index] = replace(self.cells[index], fate=Fate.RUNNING, computing=True)
            self._job.on_cell(self.cells[index])

    def tell(self, task: Task, agenda: Agenda) -> None:
        """Tell what became of the cells of a task."""
        for index in task.cells:
            cell = replace(self.cells[index], computing=False)
            if cell.fate is Fate.RUNNING and len(cell.rows) >= self._plan.epochs:
                cell = replace(cell, fate=Fate.DONE)
            self.cells[index] = cell
            if cell.fate is not Fate.RUNNING:
                self._leave(index)
            agenda.tell(cell)
            self._job.on_cell(cell)

    def give_up(self, index: Index, why: str) -> None:
        """Stop a cell by a comparison with others."""
        self._leave(index)
        self.cells[index] = self._folder.give_up(self.cells[index], why)
        self._job.on_cell(self.cells[index])

    def compute_alone(self, index: Index, until: int) -> None:
        """Compute a cell with a trainer of its own."""

        def on_row(row) -> None:
            self.cells[index] = replace(self.cells[index], rows=(*self.cells[index].rows, row))
            self._job.on_cell(self.cells[index])

        self.cells[index] = compute(
            self._folder, index, until=until, on_row=on_row, should_stop=self._should_stop, data=self._job.data
        )

    def compute(self, task: Task, group: tuple) -> None:
        """Compute cells of one structure; those that turn out to have another one, alone."""
        try:
            population, examine = self._population(group, task.cells[0])
        except SnnlabError as error:  # the model does not fit the data
            for index in task.cells:
                self._fail(index, error)
            return
        members = [member for index in task.cells if (member := self._member(index, task.until, population))]
        while not self._should_stop():
            going = [one for one in members if not one.diverged and one.history.num_epochs < task.until]
            if not going:
                break
            population.train(going, self._should_stop)
            for member in going:
                self._take(member, population, examine)
        self._make_room(set(task.cells))

    def _population(self, group: tuple, index: Index) -> tuple[Population, Examiner]:
        if group not in self._populations:
            population = Population(self._plan, self._job.data, index, self._blocks)
            self._populations[group] = population, Examiner(population.trainer.stepper, self._job.data)
        return self._populations[group]

    def _member(self, index: Index, until: int, population: Population) -> Member | None:
        """Return a cell as it stands in memory, or in its folder; None if it was computed alone, or failed."""
        if index in self._members:
            return self._members[index][0]
        try:
            member = population.member(index, saved.newest(self._folder.place(index), self._folder.say))
        except WriteError:
            raise
        except SnnlabError as error:
            self._fail(index, error)
            return None
        if member is None:
            self.compute_alone(index, until)
            return None
        self._members[index] = member, population
        self._saved[index] = time.monotonic(), member.place
        self._add_rows(member, population)
        return member

    def _take(self, member: Member, population: Population, examine: Examiner) -> None:
        """Write what an epoch of a cell has given."""
        index, plan = member.index, self._plan
        if member.diverged:
            self._save(index)
            why = settle_diverged(self._folder, index, member.history.num_epochs + 1)
            self.cells[index] = replace(self.cells[index], fate=Fate.STOPPED, finding="diverged", why=why)
            return
        if not self._add_rows(member, population):
            return
        cell, epoch = self.cells[index], member.history.num_epochs
        if is_due(epoch, population.steps_per_epoch, plan.epochs, plan.stop):
            finding = examine(population.state_of(member), member.history, cell.rows[-1].accuracy)
            if finding != cell.finding:
                self._folder.settle(index, finding=finding)
            self.cells[index] = cell = replace(cell, finding=finding)
        if cell.finding == "silent" and has_rule(plan.stop, "silent") and epoch < plan.epochs:
            why = settle_silent(self._folder, index, epoch)
            self.cells[index] = replace(cell, fate=Fate.STOPPED, why=why)
        if time.monotonic() - self._saved[index][0] >= EVERY:
            self._save(index)

    def _add_rows(self, member: Member, population: Population) -> bool:
        """Write the rows that the folder lacks; whether there were any."""
        cell, history = self.cells[member.index], member.history
        epochs = history.newest_epochs(history.num_epochs - len(cell.rows)) if history.num_epochs else []
        new = [row_of(epoch, history.scored, population.steps_per_epoch) for epoch in epochs]
        if new:
            self._folder.add_rows(member.index, new)
            self.cells[member.index] = replace(cell, rows=(*cell.rows, *new))
        return bool(new)

    def _fail(self, index: Index, error: Exception) -> None:
        why = reason(error)
        self._folder.settle(index, Fate.FAILED, why=why)
        self.cells[index] = replace(self.cells[index], fate=Fate.FAILED, why=why)

    def _save(self, index: Index) -> None:
        """Write a checkpoint, if there is something new."""
        if index not in self._members:
            return
        member, population = self._members[index]
        if member.place != self._saved[index][1]:
            saved.save(self._folder.place(index), len(member.history), population.snapshot(member), durable=False)
        self._saved[index] = time.monotonic(), member.place

    def _leave(self, index: Index) -> None:
        """Save a cell that is over, and forget it."""
        self._save(index)
        self._members.pop(index, None)

    def answer(self) -> None:
        """Save the cells that somebody wants to open."""
        for index, event in self._job.requests.take():
            self._save(index)
            event.set()

    def save_all(self) -> None:
        """Save every cell that is in memory."""
        for index in list(self._members):
            self._save(index)

    def _make_room(self, busy: set[Index]) -> None:
        """Forget the cells that were computed longest ago, where there are very many; their checkpoints have them."""
        for index in busy & self._members.keys():
            self._members[index] = self._members.pop(index)  # the newest are the last
        sizes = {index: member.num_bytes for index, (member, _) in self._members.items()}
        total = sum(sizes.values())
        for index in [one for one in self._members if one not in busy]:
            if total <= MOST_BYTES:
                break
            self._leave(index)
            total -= sizes[index]
