"""055 · another style: the rate of the next epoch is set after each epoch; logarithms; an optimizer closure."""

import math

import torch


def set_lr(optimizer, lr):
    for index in range(len(optimizer.param_groups)):
        optimizer.param_groups[index]["lr"] = lr


def step_decay(base_lr, epoch, step_size, gamma):
    drops = (epoch - epoch % step_size) / step_size
    return math.exp(math.log(base_lr) + drops * math.log(gamma))


def train(model, loader, criterion, *, base_lr, momentum, epochs, step_size, gamma):
    optimizer = torch.optim.SGD([{"params": model.parameters()}], lr=base_lr, momentum=momentum)
    rates = [step_decay(base_lr, epoch, step_size, gamma) for epoch in range(epochs + 1)]
    for following in rates[1:]:
        for x, y in loader:

            def closure(x=x, y=y):
                model.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
        set_lr(optimizer, following)
    return rates[:-1]
