"""022 · another style: PIL images and the first transforms; a short side a bit larger, then a random crop."""

from torchvision import transforms as T
from torchvision.transforms import functional as TF


class Pipeline:
    def __init__(self, *steps):
        self.steps = T.Compose(steps)

    def __call__(self, image):
        if not hasattr(image, "convert"):
            image = TF.to_pil_image(image.cpu())
        return self.steps(image)


def train_transform(size, mean, std):
    return Pipeline(
        T.Resize(round(size * 8 / 7)),
        T.RandomCrop(size),
        T.RandomHorizontalFlip(),
        T.ColorJitter(0.2, 0.2, 0.2, 0.05),
        T.ToTensor(),
        T.Normalize(mean, std),
    )


def eval_transform(size, mean, std):
    return Pipeline(T.Resize(size), T.CenterCrop(size), T.ToTensor(), T.Normalize(mean, std))
