"""What stays in a saved notebook when nobody watched: a picture, and the same in words."""

from typing import Any

from snnlab.live.look.probe import Prober, time_step
from snnlab.live.still.picture import picture


def still(lab) -> dict[str, Any]:
    """The mime bundle of a LiveTrainer: an inline SVG (no browser needed to make it) and a line of text."""
    trainer, history = lab.trainer, lab.history
    parts = [lab.state, f"step {len(history):,} of {trainer.total_steps:,}"]
    parts += [f"epoch {row['epoch']}: test accuracy {row['test_acc']:.1%}" for row in history.newest_epochs(1)]
    title = " \u00b7 ".join(parts)
    drawn = picture(
        history,
        steps_per_epoch=trainer.steps_per_epoch,
        title=title,
        probe=Prober(trainer.model, trainer.data, trainer.loss)(trainer.snapshot(), 0),
        class_names=trainer.data.class_names,
        dt=time_step(trainer.model),
    )
    return {"image/svg+xml": drawn, "text/plain": f"LiveTrainer: {title}"}
