"""A run of the dashboard whose data are a generator function: it shows what it is trained with, and goes back."""

from networks import SMALL, make_trainer, streamed_batches, streamed_tests

from snnlab import models
from snnlab.data import Source
from snnlab.live import LiveTrainer
from snnlab.live.run import Run


def test_a_generator_function_is_trained_watched_and_rewound(small, monkeypatch):
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    net = models.build(SMALL, sample_shape=small.sample_shape, num_classes=10)
    lab = LiveTrainer(net, lambda epoch: streamed_batches(small, epoch), test=streamed_tests(small), epochs=2)
    try:
        lab.fit()
        usual = make_trainer(small)
        usual.fit()
        assert lab.state == "done" and lab.history.epochs[-1]["test_acc"] == usual.history.epochs[-1]["test_acc"]
        status, about = lab.status, lab.display.board.about
        assert status.compilations == 1 and status.total_steps == 16
        assert about["samples"] == 64 and about["classes"] == [*"0123456789"]
        health = lab.checkup()
        assert health.samples == 64 and health.class_names == tuple("0123456789")
        lab.rewind(step=5)
        assert len(lab.history) == 5
        lab.fit()
        assert lab.history.steps()["loss"].tolist() == usual.history.steps()["loss"].tolist()
        lab.reset(hidden=8)
        lab.fit()
        assert lab.state == "done" and lab.model.recipe.config.hidden == 8
    finally:
        lab.close()


def test_a_source_that_raises_ends_the_run_with_the_batch_named_and_it_goes_on_when_it_is_mended(small):
    broken = [True]

    def batches(epoch):
        for k, batch in enumerate(streamed_batches(small, epoch)):
            if broken[0] and (epoch, k) == (2, 1):
                raise OSError("the disk is gone")
            yield batch

    source = Source(train=batches, test=streamed_tests(small), name="camera")
    net = models.build(SMALL, sample_shape=small.sample_shape, num_classes=10)
    run = Run(net, source, epochs=2)
    try:
        run.start()
        try:
            run.wait()
        except Exception as error:
            assert str(error) == "train: batch 2 of epoch 2 cannot be read (OSError: the disk is gone)"
        assert run.state == "error" and len(run.history) == 9
        broken[0] = False
        run.fit()
        assert run.state == "done" and len(run.history) == 16
    finally:
        run.close()
