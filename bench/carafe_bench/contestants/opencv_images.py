"""Images in Python over the same graph, decoded and resized by OpenCV."""

import cv2
import numpy as np

from carafe_bench.contestants.python_images import PythonImages


class OpenCv(PythonImages):
    """With OpenCV."""

    def start(self) -> None:
        """Keep OpenCV's own threads out of the way of those that are counted."""
        cv2.setNumThreads(1)
        super().start()

    def decode(self) -> np.ndarray:
        """Return the pixels, blue first."""
        return cv2.imdecode(np.frombuffer(self.image, np.uint8), cv2.IMREAD_COLOR)

    def resize(self, image: np.ndarray, width: int, height: int) -> np.ndarray:
        """Return the pixels, red first, averaged over the area that each covers, which is what Pillow's filter does as well."""
        return cv2.cvtColor(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
