"""The optimiser of the checks that a model learns: torch's, without its imports."""

import torch
from torch import nn

from torch_kata.checks import Adam


def test_like_torch():
    torch.manual_seed(3)
    ours, theirs = (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double() for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    ours.register_parameter("idle", nn.Parameter(torch.ones(2)))
    ours.register_parameter("frozen", nn.Parameter(torch.ones(2), requires_grad=False))
    adam = Adam(ours.parameters(), lr=0.05, betas=(0.5, 0.99))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.05, betas=(0.5, 0.99))
    for _ in range(7):
        x = torch.randn(6, 4, dtype=torch.float64)
        adam.step(ours(x).square().mean())
        optimizer.zero_grad()
        theirs(x).square().mean().backward()
        optimizer.step()
        for name, parameter in theirs.named_parameters():
            torch.testing.assert_close(ours.get_parameter(name), parameter, rtol=1e-9, atol=1e-12)
    assert torch.equal(ours.idle, torch.ones(2)) and torch.equal(ours.frozen, torch.ones(2))
