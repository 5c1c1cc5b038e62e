"""050：繼承 torchvision 的 BasicBlock，只換 shortcut 的名稱。"""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock


class ResidualBlock(BasicBlock):
    downsample = property(lambda self: self.shortcut, lambda self, layer: None)

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__(in_channels, out_channels, stride)
        self.shortcut = nn.Sequential()
        if (in_channels, stride) != (out_channels, 1):
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(out_channels))


class ResNet(nn.Module):
    def __init__(self, num_blocks, num_classes: int = 10, widths=(64, 128, 256, 512)):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = nn.Sequential()
        previous = widths[0]
        for depth, width in zip(num_blocks, widths, strict=True):
            first = ResidualBlock(previous, width, 2 if len(self.stages) else 1)
            self.stages.append(nn.Sequential(first, *[ResidualBlock(width, width) for _ in range(depth - 1)]))
            previous = width
        self.fc = nn.Linear(previous, num_classes)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu_()
        x = self.stages(x)
        return self.fc(torch.nn.functional.adaptive_avg_pool2d(x, 1)[:, :, 0, 0])
