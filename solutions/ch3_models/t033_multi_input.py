"""033 · 多輸入的模型：參考解"""

import torch
from torch import Tensor, nn


class MultiInputModel(nn.Module):
    def __init__(self, image_features: int, text_features: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.image_fc = nn.Linear(image_features, hidden_size)
        self.text_fc = nn.Linear(text_features, hidden_size)
        self.classifier = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """image (B, image_features)、text (B, text_features) -> logits (B, num_classes)。"""
        if len(image) != len(text):  # torch.cat 只會說形狀不合，不會說是哪兩個 batch
            raise ValueError(f"image 與 text 的 batch 大小必須相同，得到 {len(image)} 與 {len(text)}")
        i = torch.relu(self.image_fc(image))
        t = torch.relu(self.text_fc(text))
        return self.classifier(torch.cat([i, t], dim=1))
