"""050：in-place 的 ReLU、make_stage、AdaptiveAvgPool2d，Kaiming 初始化。"""

from torch import nn


def conv3x3(n_in, n_out, stride=1):
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        layers = [nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)]
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Sequential(*([] if same else layers))
        self.relu = nn.ReLU(inplace=True)
        self.conv1, self.bn1 = conv3x3(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)
        self.conv2, self.bn2 = conv3x3(out_channels, out_channels), nn.BatchNorm2d(out_channels)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_blocks, num_classes=10, widths=(64, 128, 256, 512)):
        super().__init__()
        self.in_channels = widths[0]
        self.conv1 = conv3x3(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        strides = [1] + [2] * (len(widths) - 1)
        self.stages = nn.Sequential(*map(self.make_stage, widths, num_blocks, strides))
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.bn2.weight)

    def make_stage(self, width, count, stride):
        blocks = []
        for s in [stride] + [1] * (count - 1):
            blocks.append(ResidualBlock(self.in_channels, width, s))
            self.in_channels = width
        return nn.Sequential(*blocks)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            for block in stage:
                out = block(out)
        return self.fc(self.pool(out).flatten(1))
