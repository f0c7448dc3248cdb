"""The tensorflow-datasets builder behind `snnlab.data.tfds_images`; importing it imports tensorflow-datasets."""

import numpy as np
import tensorflow_datasets as tfds

from snnlab.data.idx import read_idx
from snnlab.data.published import FILES, SOURCES


class SnnlabImages(tfds.core.GeneratorBasedBuilder):
    """28x28 grey images in 10 classes; one config a data set."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (tensorflow-datasets reads a list)
        tfds.core.BuilderConfig(name=name, description=source.citation) for name, source in SOURCES.items()
    ]

    @property
    def url_infos(self):
        """What tensorflow-datasets verifies files against, fetched or manual; it would read it from a text file."""
        source = SOURCES[self.builder_config.name]
        return {
            source.url + file: tfds.download.checksums.UrlInfo(size=size, checksum=checksum, filename=file)
            for file, (size, checksum) in zip(FILES.values(), source.files, strict=True)
        }

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(28, 28), dtype=np.uint8),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        )
        # Unshuffled, so that the arrays are the same whichever way they came.
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        url = SOURCES[self.builder_config.name].url
        # One after the other, so that when one fails no thread still writes another into a folder being removed.
        paths = {part: dl_manager.download(url + file) for part, file in FILES.items()}
        return {split: self._generate_examples(paths[f"x_{split}"], paths[f"y_{split}"]) for split in ("train", "test")}

    def _generate_examples(self, images, labels):
        for k, (image, label) in enumerate(zip(read_idx(images), read_idx(labels), strict=True)):
            yield k, {"image": image, "label": int(label)}

    def _log_download_bytes(self):
        """Prints nothing: sizes are unknown to tensorflow-datasets here, and the bars tell the rest."""

    def _log_download_done(self):
        """Prints nothing: the folder it would name is a temporary one."""
