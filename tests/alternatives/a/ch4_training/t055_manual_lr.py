"""055 · another style: the rate is multiplied when its epoch comes, and read back from the optimizer."""

import itertools

from torch.optim import SGD


def set_lr(optimizer, lr):
    [group.update(lr=lr) for group in optimizer.param_groups]


def step_decay(base_lr, epoch, step_size, gamma):
    lr = float(base_lr)
    for _ in itertools.repeat(None, epoch // step_size):
        lr *= gamma
    return lr


def train(model, loader, criterion, *, base_lr, momentum, epochs, step_size, gamma):
    sgd = SGD(model.parameters(), base_lr, momentum)
    used, lr = [], base_lr
    for epoch in range(epochs):
        if epoch > 0 and epoch % step_size == 0:
            lr *= gamma
            set_lr(sgd, lr)
        used.append(sgd.param_groups[0]["lr"])
        for batch, target in loader:
            sgd.zero_grad()
            criterion(model(batch), target).backward()
            sgd.step()
    return used
