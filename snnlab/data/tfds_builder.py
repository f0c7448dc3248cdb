"""The tensorflow-datasets builder behind `snnlab.data.tfds_images`; importing it imports tensorflow-datasets."""

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.units import Size

from snnlab.data.idx import read_idx
from snnlab.data.published import FILES, SOURCES, Source


class SnnlabImages(tfds.core.GeneratorBasedBuilder):
    """28x28 grey images in 10 classes; one config per data set."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (tensorflow-datasets reads a list)
        tfds.core.BuilderConfig(name=name, description=source.citation) for name, source in SOURCES.items()
    ]

    @property
    def source(self) -> Source:
        """The published set of the chosen config."""
        config = self.builder_config
        assert config is not None, "every builder has one of BUILDER_CONFIGS"
        return SOURCES[config.name]

    @property
    def url_infos(self):  # pyright: ignore[reportIncompatibleVariableOverride] (the base class sets it from a text file)
        """Sizes and checksums against which tensorflow-datasets verifies downloaded and manual files."""
        return {
            self.source.url + file: UrlInfo(size=Size(size), checksum=checksum, filename=file)
            for file, (size, checksum) in zip(FILES.values(), self.source.files, strict=True)
        }

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(28, 28), dtype=np.uint8),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        )
        # Unshuffled, so that the arrays equal those read from the idx files.
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        # One after the other: if one fails, no thread still writes another one into a folder that is being removed.
        paths = {part: dl_manager.download(self.source.url + file) for part, file in FILES.items()}
        return {split: self._generate_examples(paths[f"x_{split}"], paths[f"y_{split}"]) for split in ("train", "test")}

    def _generate_examples(self, images, labels):
        for k, (image, label) in enumerate(zip(read_idx(images), read_idx(labels), strict=True)):
            yield k, {"image": image, "label": int(label)}

    def _log_download_bytes(self):
        """Print nothing: tensorflow-datasets does not know the sizes, and the progress bars show the rest."""

    def _log_download_done(self):
        """Print nothing: the folder is a temporary one."""
