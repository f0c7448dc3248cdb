"""What the button beside the diagnosis does."""


def repair(lab) -> None:
    """Do what the diagnosis of a LiveTrainer proposes, if it proposes something."""
    finding = lab.diagnosis
    if finding is None:
        return
    if finding.back_to is not None:
        if finding.back_to < len(lab.history):
            lab.runs.append((lab.history, lab.trainer.steps_per_epoch))
        lab.trainer.go_back(finding.value)
        lab.start()
        return
    if finding.knob is not None:
        lab.set({finding.knob: finding.value})
    if finding.new_seed:
        lab.reset(seed=lab.trainer.config.seed + 1)
