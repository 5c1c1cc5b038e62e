"""033：子模組的 ReLU、最後一維的接法，先比較 shape。"""

from torch import concat, nn


class MultiInputModel(nn.Module):
    def __init__(self, image_features, text_features, hidden_size, num_classes):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(hidden_size + hidden_size, num_classes)
        self.text_fc = nn.Linear(text_features, hidden_size)
        self.image_fc = nn.Linear(image_features, hidden_size)

    def forward(self, image, text):
        if image.shape[0] != text.shape[0]:
            raise ValueError(f"batch sizes differ: {image.shape[0]} images, {text.shape[0]} texts")
        branches = [self.relu(layer(x)) for layer, x in ((self.image_fc, image), (self.text_fc, text))]
        return self.classifier(concat(branches, -1))
